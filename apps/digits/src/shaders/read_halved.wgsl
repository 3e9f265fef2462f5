// Reads with every second pixel of every second row as a centre: the input has twice the size of the output.

fn taps(plane: u32, row: u32, column: u32) -> Taps {
    let seen = row < 2u * conv.rows; // the index of the row above the first wraps round to a large number
    let i = (plane * 2u * conv.rows + select(0u, row, seen)) * 2u * conv.columns + 2u * column;
    let before = select(0.0, input[max(i, 1u) - 1u].w, seen && column > 0u);
    let a = select(vec4<f32>(), input[i], seen);
    let b = select(vec4<f32>(), input[i + 1u], seen);
    return Taps(vec4<f32>(before, a.yw, b.y), vec4<f32>(a.xz, b.xz), vec4<f32>(a.yw, b.yw));
}

fn window(plane: u32, block: Block) -> Window {
    let row = 2u * block.row;
    let a = taps(plane, row - 1u, block.column);
    let b = taps(plane, row, block.column);
    let c = taps(plane, row + 1u, block.column);
    let d = taps(plane, row + 2u, block.column);
    let e = taps(plane, row + 3u, block.column);
    return Window(array<Taps, 3>(a, b, c), array<Taps, 3>(c, d, e));
}

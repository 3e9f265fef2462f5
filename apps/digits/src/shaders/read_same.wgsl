// Reads the input as it is: it has the size of the output.

fn taps(plane: u32, row: u32, column: u32) -> Taps {
    let seen = row < conv.rows; // the index of the row above the first wraps round to a large number
    let i = (plane * conv.rows + select(0u, row, seen)) * conv.columns + column;
    let left = select(0.0, input[max(i, 1u) - 1u].w, seen && column > 0u);
    let middle = select(vec4<f32>(), input[i], seen);
    let right = select(0.0, input[i + 1u].x, seen && column + 1u < conv.columns);
    return Taps(vec4<f32>(left, middle.xyz), middle, vec4<f32>(middle.yzw, right));
}

fn window(plane: u32, block: Block) -> Window {
    let a = taps(plane, block.row - 1u, block.column);
    let b = taps(plane, block.row, block.column);
    let c = taps(plane, block.row + 1u, block.column);
    let d = taps(plane, block.row + 2u, block.column);
    return Window(array<Taps, 3>(a, b, c), array<Taps, 3>(b, c, d));
}

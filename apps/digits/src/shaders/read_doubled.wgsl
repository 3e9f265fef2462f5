// Reads every pixel and every row twice: the input has half the size of the output.

fn taps(plane: u32, row: u32, column: u32) -> Taps {
    let rows = conv.rows / 2u;
    let columns = conv.columns / 2u;
    let seen = row < rows; // the index of the row above the first wraps round to a large number
    let i = (plane * rows + select(0u, row, seen)) * columns + column / 2u;
    let word = select(vec4<f32>(), input[i], seen);
    // A word of the input is two words of the output.
    let odd = column % 2u == 1u;
    let before = select(0.0, input[max(i, 1u) - 1u].w, seen && column > 0u);
    let after = select(0.0, input[i + 1u].x, seen && column + 1u < conv.columns);
    let left = select(before, word.y, odd);
    let pair = select(word.xy, word.zw, odd);
    let right = select(word.z, after, odd);
    return Taps(vec4<f32>(left, pair.xxy), pair.xxyy, vec4<f32>(pair.xyy, right));
}

fn window(plane: u32, block: Block) -> Window {
    let row = block.row / 2u;
    let a = taps(plane, row - 1u, block.column);
    let b = taps(plane, row, block.column);
    let c = taps(plane, row + 1u, block.column);
    return Window(array<Taps, 3>(a, b, b), array<Taps, 3>(b, b, c));
}

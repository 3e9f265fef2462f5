// Counts, means, and sums of the squares and products of the deviations of three quantities at once, which are merged without
// cancellation, as in `reduce/moments.wgsl`.
// Expects: nothing.
// Defines: Sum, plus.
struct Sum {
    mean: vec3<f32>,
    count: f32,
    squares: vec3<f32>, // of the deviations from the means
    unused: f32,
    products: vec3<f32>, // of the deviations of the first and second, the first and third, the second and third
    also_unused: f32,
}

fn plus(a: Sum, b: Sum) -> Sum {
    let count = a.count + b.count;
    let share = b.count / max(count, 1.0);
    let gap = b.mean - a.mean;
    let weight = a.count * share;
    return Sum(
        a.mean + gap * share,
        count,
        a.squares + b.squares + gap * gap * weight,
        0.0,
        a.products + b.products + gap.xxy * gap.yzz * weight,
        0.0,
    );
}

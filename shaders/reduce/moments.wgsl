// Counts, means and summed squared deviations of two quantities at once, which are merged without cancellation (Chan, Golub
// & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances", eq. 2.1).
// Expects: nothing.
// Defines: Sum, plus.
struct Sum {
    mean: vec2<f32>,
    squares: vec2<f32>, // of the deviations from the mean
    count: f32,
}

fn plus(a: Sum, b: Sum) -> Sum {
    let count = a.count + b.count;
    let share = b.count / max(count, 1.0);
    let gap = b.mean - a.mean;
    return Sum(a.mean + gap * share, a.squares + b.squares + gap * gap * (a.count * share), count);
}

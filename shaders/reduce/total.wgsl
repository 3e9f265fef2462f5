// Plain sums.
// Expects: nothing.
// Defines: Sum, plus.
alias Sum = f32;

fn plus(a: Sum, b: Sum) -> Sum {
    return a + b;
}

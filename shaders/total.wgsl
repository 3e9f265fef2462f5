// Plain sums.
alias Sum = f32;

fn plus(a: Sum, b: Sum) -> Sum {
    return a + b;
}

// The end of the reduction for guidance: writes the sums of a sample's predictions as they are.
// Expects: fold, Sum (co_moments).
// Defines: moments, write_result.
@group(0) @binding(2) var<storage, read_write> moments: array<Sum>;

fn write_result(sample: u32, sum: Sum) {
    moments[fold.first_sample + sample] = sum;
}

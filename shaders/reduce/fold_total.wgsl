// A sample's sum times a factor.
// Expects: fold, Sum.
// Defines: results, write_result.
@group(0) @binding(2) var<storage, read_write> results: array<f32>;

fn write_result(sample: u32, sum: Sum) {
    results[fold.first_result + (fold.first_sample + sample) * fold.pitch] = sum * fold.factor;
}

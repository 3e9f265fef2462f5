// A sample's sum times a number.
@group(0) @binding(2) var<storage, read_write> results: array<f32>;

fn finish_sum(sample: u32, sum: Sum) {
    results[finish.first + (finish.first_sample + sample) * finish.pitch] = sum * finish.numbers.x;
}

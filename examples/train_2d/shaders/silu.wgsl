
// SiLU, z sigmoid(z) (Elfwing et al. 2017, arXiv 1702.03118), keeping z for the backward pass.
@group(0) @binding(4) var<storage, read_write> before: array<f32>;

fn finish(i: u32, sum: f32) {
    before[i] = sum;
    out[i] = sum / (1.0 + exp(-sum));
}

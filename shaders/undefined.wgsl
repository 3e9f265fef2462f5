// Counts the samples without a row, once each.
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;

fn report_undefined(sample: u32) {
    if (params.window.reports == 1u && params.window.first_element == 0u) {
        atomicAdd(&status[0], 1u);
    }
}

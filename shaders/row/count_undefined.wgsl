// Counts the samples without a row, once each.
// Expects: params.
// Defines: status, report_undefined.
@group(0) @binding(4) var<storage, read_write> status: array<atomic<u32>>;

fn report_undefined(sample: u32) {
    // Where a long sample is split into windows, the first of them counts it.
    if (params.window.reports == 1u && params.window.first_element == 0u) {
        atomicAdd(&status[0], 1u);
    }
}

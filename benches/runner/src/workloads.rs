//! The sizes that are measured: those of `benches/peers/torch_bench.py`, and the user's own.

use tweedie::Shape;

/// A batch of samples, with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The name, as on the command line and in result lines.
    pub name: &'static str,
    /// The batch.
    pub shape: Shape,
    /// True if it is measured when none is named.
    pub usual: bool,
}

/// Every workload that has a name.
pub const WORKLOADS: [Workload; 6] = [
    row("points2d", 1 << 20, 2, true),
    row("latent_sd15", 16, 4 * 64 * 64, true),
    row("latent_sdxl", 16, 4 * 128 * 128, true),
    row("image256", 64, 3 * 256 * 256, true),
    row("video", 2, 16 * 21 * 60 * 104, true),
    row("bulk", 1024, 65536, false),
];

const fn row(name: &'static str, batch: u32, elements: u32, usual: bool) -> Workload {
    Workload { name, shape: Shape::new(batch, elements), usual }
}

/// The name of the user's own size.
pub const CUSTOM: &str = "custom";
/// The name of the workload of all times of the host.
pub const HOST: &str = "host";
/// The name of every size of the size plot.
pub const SWEEP: &str = "sweep";

impl Workload {
    /// Makes a workload of the user's own size.
    pub const fn custom(batch: u32, elements: u32) -> Self {
        row(CUSTOM, batch, elements, true)
    }

    /// Finds the workload of this name.
    ///
    /// # Errors
    /// A text that lists the names there are.
    pub fn named(name: &str) -> Result<Workload, String> {
        WORKLOADS.into_iter().find(|workload| workload.name == name).ok_or_else(|| {
            let known = WORKLOADS.map(|workload| workload.name).join(", ");
            format!("expected one of {known}, found `{name}` (--batch and --elements make a size of your own)")
        })
    }

    /// Lists sizes from 64 KiB to `most` bytes a tensor in f32, each twice the one before: 16 samples each.
    pub fn sweep(most: u64) -> Vec<Workload> {
        const BATCH: u32 = 16;
        let tensors = std::iter::successors(Some(64 << 10), |bytes: &u64| bytes.checked_mul(2));
        let shapes = tensors.take_while(|&bytes| bytes <= most);
        shapes.map(|bytes| row(SWEEP, BATCH, (bytes / 4 / u64::from(BATCH)) as u32, true)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_listed() {
        assert_eq!(Workload::named("image256").unwrap().shape, Shape::new(64, 196_608));
        let error = Workload::named("image").unwrap_err();
        assert!(error.contains("`image`") && error.contains("points2d, latent_sd15"), "{error}");
    }

    #[test]
    fn the_sweep_ends_at_the_largest_that_fits() {
        let sizes: Vec<u64> = Workload::sweep(300 << 10).iter().map(|it| it.shape.total() * 4).collect();
        assert_eq!(sizes, [64 << 10, 128 << 10, 256 << 10]);
        assert!(Workload::sweep(1000).is_empty());
    }
}

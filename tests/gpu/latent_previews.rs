//! Previews of latents, against their reference.

use crate::harness::Harness;
use crate::pixels::{SHOWN, floats, run, texels, texture};
use tweedie::gpu::{LatentPreview, PlanError, Storage, Tensor};
use tweedie::math::LatentFormat;

pub const TESTS: &[crate::Test] = &[
    ("latent_previews::previews_of_every_storage", previews_of_every_storage),
    ("latent_previews::errors_name_what_was_found", errors_name_what_was_found),
];

fn previews_of_every_storage(harness: &Harness) {
    let [frames, height, width] = [2, 3, 5];
    for format in [LatentFormat::SD15, LatentFormat::FLUX, LatentFormat::FLUX2, LatentFormat::LTXV] {
        let elements = format.channels * frames * height * width;
        let preview = format.preview.expect("a matrix");
        let (rows, columns) = (height * preview.edge(), width * preview.edge());
        for storage in Storage::ALL {
            // The second of two samples; the first one only takes up space in the buffer.
            let given = floats(2 * elements, storage);
            let tensor = harness.gpu.upload("latent", &storage.encode(&given));
            let request = LatentPreview {
                latent: Tensor::new(&tensor, storage),
                factors: preview.factors,
                bias: preview.bias,
                edge: preview.edge() as u32,
                frames: frames as u32,
                height: height as u32,
                width: width as u32,
                sample: 1,
                frame: 1,
            };
            let pitch = columns as u32 + 3;
            let out = harness.gpu.buffer("preview", 4 + 4 * u64::from(pitch) * rows as u64);
            let plan = request.into_buffer(&harness.context, (&out, 4), pitch).expect("plan");
            let texture = texture(harness, columns as u32, rows as u32, SHOWN);
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            let shown = request.into_texture(&harness.context, &view).expect("plan");
            run(harness, |pass| {
                plan.record(pass);
                shown.record(pass);
            });
            let words: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(&out));
            assert_eq!((words[0], words[1 + columns]), (0, 0), "the words around the preview");
            let rows_of = words[1..].chunks(pitch as usize);
            let pixels: Vec<u32> = rows_of.flat_map(|row| row[..columns].to_vec()).collect();
            assert_eq!(texels(harness, &texture, columns as u32, rows as u32), pixels, "{storage}");
            let sample: Vec<f64> = given[elements..].iter().map(|&x| x.into()).collect();
            let expected = format.preview_of(&sample, [frames, height, width], 1).expect("a preview");
            let differ = |found: &[u32], expected: &[u8]| {
                let bytes = found.iter().flat_map(|word| word.to_le_bytes()[..3].to_vec());
                let each: Vec<u8> = bytes.zip(expected).map(|(a, &b)| a.abs_diff(b)).collect();
                (each.iter().max().copied(), each.iter().filter(|&&d| d > 0).count())
            };
            // A byte is truncated, so a sum in f32 may fall on the other side of a whole number: rarely, and by one.
            let (most, count) = differ(&pixels, &expected);
            assert!(most <= Some(1) && count <= 2, "{storage}: {count} bytes differ, by up to {most:?}");
            assert!(pixels.iter().all(|pixel| pixel >> 24 == 255), "{storage}: opaque");
            let other = format.preview_of(&sample, [frames, height, width], 0).expect("a preview");
            assert!(differ(&pixels, &other).0 > Some(1), "{storage}: another frame passes");
        }
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let buffer = harness.gpu.buffer("latent", 4096);
    let pixels = harness.gpu.buffer("preview", 4096);
    let latent = LatentPreview {
        latent: Tensor::f32(&buffer),
        factors: &[[1.0; 3]; 4],
        bias: [0.0; 3],
        edge: 1,
        frames: 1,
        height: 3,
        width: 5,
        sample: 0,
        frame: 0,
    };
    let refusal =
        |preview: LatentPreview<'_>| preview.into_buffer(&harness.context, (&pixels, 0), 5).expect_err("refused");
    assert!(matches!(refusal(LatentPreview { frame: 1, ..latent }), PlanError::Rule { .. }));
    assert!(matches!(refusal(LatentPreview { factors: &[], ..latent }), PlanError::EmptyShape { .. }));
    assert!(matches!(refusal(LatentPreview { width: 6, ..latent }), PlanError::Rule { what: "pitch", .. }));
    for stride in [60, u32::MAX] {
        let far = LatentPreview { sample: u32::MAX, latent: latent.latent.stride(stride), ..latent };
        assert!(matches!(refusal(far), PlanError::BufferTooSmall { .. }), "{stride}");
    }
    assert!(matches!(refusal(LatentPreview { bias: [f64::NAN; 3], ..latent }), PlanError::Rule { .. }));
    let huge = LatentPreview { height: u32::MAX, frames: u32::MAX, ..latent };
    assert!(matches!(refusal(huge), PlanError::DeviceLimit { .. }));
}

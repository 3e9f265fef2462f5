//! Group K, latents: every format against the recordings of ComfyUI, in f64; its preview bytes; and its constants.

use crate::support::{Vectors, id};
use serde_json::Value;
use tweedie::math::{LatentError, LatentFormat, Preview};

/// "One multiplication and one addition": the manifest's bound, relative.
const EXACT: f64 = 1e-12;

/// The manifest's bound: a preview is stock float32, which may lie on the other side of a whole number before it is truncated.
const BYTES: u8 = 1;

/// The factor of a wrong coefficient, which a comparison must notice: a change of the last printed digit.
const WRONG: f64 = 1.0 + 1e-4;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("vectors/K_latent.json")).unwrap()
}

fn file() -> Vectors {
    Vectors::load("K_latent")
}

fn class(case: &Value) -> &str {
    case["config"]["class"].as_str().unwrap()
}

fn shape(case: &Value, tensor: &str) -> Vec<usize> {
    let axes = case["tensors"][tensor].as_array().into_iter().flatten();
    axes.map(|axis| usize::try_from(axis.as_u64().unwrap()).unwrap()).collect()
}

/// The recorded latents of every case, with its format and the cells of a channel.
fn recorded() -> Vec<(Value, LatentFormat, Vec<f64>, usize)> {
    let file = file();
    let cases = cases().into_iter().filter(|case| case["config"]["class"].is_string());
    let with_latents = |case: Value| {
        let format = LatentFormat::named(class(&case)).unwrap();
        let x = file.f64(&format!("{}/x", class(&case)));
        let cells = shape(&case, "x")[2..].iter().product();
        (case, format, x, cells)
    };
    cases.map(with_latents).collect()
}

/// The largest relative deviation of both maps from the record.
fn deviation(file: &Vectors, class: &str, format: &LatentFormat, x: &[f64], cells: usize) -> f64 {
    let expected = ["process_in", "process_out"].map(|name| file.f64(&format!("{class}/{name}")));
    let found = [format.process_in(x, cells).unwrap(), format.process_out(x, cells).unwrap()];
    let worst = |(found, expected): (&Vec<f64>, &Vec<f64>)| crate::support::worst(found, expected).0;
    crate::support::largest(found.iter().zip(&expected).map(worst))
}

#[test]
fn latents_are_scaled_as_recorded() {
    let file = file();
    let all = recorded();
    assert_eq!(all.len(), 12);
    for (case, format, x, cells) in &all {
        let found = deviation(&file, class(case), format, x, *cells);
        assert!(found <= EXACT, "{}: {found:e}", id(case));
        let wrong = LatentFormat { scale: format.scale * WRONG, ..*format };
        assert!(deviation(&file, class(case), &wrong, x, *cells) > EXACT, "{}: a wrong scale passes", id(case));
        // The way back, and the rows of the kernel: what cancels there is as large as the terms.
        let back = format.process_out(&format.process_in(x, *cells).unwrap(), *cells).unwrap();
        let tables = [format.table_in(), format.table_out()];
        let direct = [format.process_in(x, *cells).unwrap(), format.process_out(x, *cells).unwrap()];
        for (i, &x) in x.iter().enumerate() {
            assert!((back[i] - x).abs() <= EXACT * (x.abs() + 10.0), "{}: {} for {x}", id(case), back[i]);
            for (table, direct) in tables.iter().zip(&direct) {
                let [[a, b], zero] = *table.row(i / cells % format.channels).unwrap();
                let bound = EXACT * ((a * x).abs() + b.abs());
                assert!((a * x + b - direct[i]).abs() <= bound && zero == [0.0; 2], "{}: row of {i}", id(case));
            }
        }
    }
}

/// The largest difference of a preview's bytes from the record, and how many differ.
fn preview_difference(case: &Value, format: &LatentFormat, x: &[f64]) -> (u8, usize) {
    let axes = shape(case, "x");
    let [frames, height, width] = match axes[2..] {
        [height, width] => [1, height, width],
        [frames, height, width] => [frames, height, width],
        _ => panic!("no picture: {axes:?}"),
    };
    let sample = &x[..axes[1..].iter().product()];
    let found = format.preview_of(sample, [frames, height, width], 0).unwrap();
    let expected = file().bytes(&format!("{}/preview", class(case)));
    assert_eq!(found.len(), expected.len(), "{}", id(case));
    let each = found.iter().zip(&expected).map(|(&found, &expected)| found.abs_diff(expected));
    (each.clone().max().unwrap_or(0), each.filter(|&difference| difference > 0).count())
}

#[test]
fn previews_have_the_recorded_bytes() {
    let mut pictures = 0;
    for (case, format, x, _) in recorded() {
        if case["tensors"]["preview"].is_null() {
            assert_eq!(format.preview_of(&x, [1, 1, 1], 0), Err(LatentError::NoPreview), "{}", id(&case));
            continue;
        }
        let (most, differ) = preview_difference(&case, &format, &x);
        println!("{}: {differ} bytes differ, by at most {most}", id(&case));
        assert!(most <= BYTES && differ <= 1, "{}: {differ} bytes by {most}", id(&case));
        let preview = format.preview.unwrap();
        let wrong = Preview { bias: preview.bias.map(|bias| bias + 0.05), ..preview };
        let (most, _) = preview_difference(&case, &LatentFormat { preview: Some(wrong), ..format }, &x);
        assert!(most > BYTES, "{}: a wrong bias passes", id(&case));
        pictures += 1;
    }
    assert_eq!(pictures, 10);
}

#[test]
fn the_constants_are_those_of_the_record() {
    let (file, cases) = (file(), cases());
    let constants = cases.iter().find(|case| id(case) == "K_latent_constants").unwrap();
    let formats = constants["config"]["formats"].as_array().unwrap();
    assert_eq!(formats.len(), 22);
    for entry in formats {
        let class = entry["class"].as_str().unwrap();
        let format = LatentFormat::named(class).unwrap();
        let number = |key: &str| entry[key].as_f64();
        let whole = |key: &str| usize::try_from(entry[key].as_u64().unwrap()).unwrap();
        assert_eq!(format.channels, whole("latent_channels"), "{class}");
        assert_eq!(format.dimensions, whole("latent_dimensions"), "{class}");
        assert_eq!(format.spatial, whole("spatial_ratio"), "{class}");
        assert_eq!(format.temporal, whole("temporal_ratio"), "{class}");
        assert_eq!(Some(format.scale), number("scale_factor"), "{class}");
        assert_eq!(format.shift, number("shift_factor").unwrap_or(0.0), "{class}");
        let tensor = |name: &str| {
            let name = format!("{class}__{name}");
            (!constants["tensors"][&name].is_null()).then(|| file.f64(&format!("constants/{name}")))
        };
        let wide = |list: &[f32]| list.iter().copied().map(f64::from).collect::<Vec<f64>>();
        assert_eq!(format.statistics.map(|it| wide(it.mean)), tensor("latents_mean"), "{class}");
        assert_eq!(format.statistics.map(|it| wide(it.deviation)), tensor("latents_std"), "{class}");
        assert_eq!(format.preview.map(|it| it.factors.as_flattened().to_vec()), tensor("rgb_factors"), "{class}");
        let bias = format.preview.map(|it| it.bias.to_vec());
        assert_eq!(bias, tensor("rgb_bias").or(format.preview.map(|_| vec![0.0; 3])), "{class}");
        let unfolds = entry["rgb_reshape"].as_bool().unwrap_or(false);
        assert_eq!(format.preview.is_some_and(|it| it.unfolds), unfolds, "{class}");
    }
}

#[test]
fn a_cell_of_patches_unfolds() {
    // One cell, of which one patch after the other is lit in the eighth channel of the preview.
    let format = LatentFormat::FLUX2;
    let preview = format.preview.unwrap();
    for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut x = vec![0.0; 128];
        x[4 * 7 + 2 * dy + dx] = 2.0;
        let found = format.preview_of(&x, [1, 1, 1], 0).unwrap();
        for (place, rgb) in found.chunks(3).enumerate() {
            let lit = if place == 2 * dy + dx { 2.0 } else { 0.0 };
            let expected = [0, 1, 2].map(|i| Preview::byte(lit * preview.factors[7][i] + preview.bias[i]));
            assert_eq!(rgb, expected, "({dy}, {dx}) at {place}");
        }
    }
}

#[test]
fn latents_of_another_shape_are_refused() {
    let format = LatentFormat::SD15;
    let refused = |x: usize, cells: usize| format.process_in(&vec![0.0; x], cells).unwrap_err().to_string();
    assert_eq!(refused(10, 2), "expected a multiple of 4 channels of 2 cells each, found 10 elements");
    assert_eq!(refused(12, 0), "expected a multiple of 4 channels of 0 cells each, found 12 elements");
    assert_eq!(format.process_out(&[], 3), Ok(Vec::new()));
    let preview = |x: usize, shape, frame| format.preview_of(&vec![0.0; x], shape, frame).unwrap_err();
    assert_eq!(preview(24, [1, 2, 3], 1), LatentError::Frame { frames: 1, found: 1 });
    assert_eq!(preview(25, [1, 2, 3], 0), LatentError::Elements { channels: 4, cells: 6, found: 25 });
    let huge = preview(24, [usize::MAX, 2, 3], 0);
    assert_eq!(huge, LatentError::Elements { channels: 4, cells: usize::MAX, found: 24 });
    let none = LatentFormat { channels: 0, ..format };
    assert_eq!(none.process_in(&[0.0], 1), Err(LatentError::Elements { channels: 0, cells: 1, found: 1 }));
    let cells = usize::MAX;
    let refused = none.preview_of(&[], [1, 1, cells], 0);
    assert_eq!(refused, Err(LatentError::Elements { channels: 0, cells, found: 0 }));
    assert_eq!([f64::NAN, -9.0, -1.0, 0.0, 1.0, 9.0].map(Preview::byte), [0, 0, 0, 127, 255, 255]);
}

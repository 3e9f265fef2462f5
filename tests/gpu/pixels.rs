//! Pixels to floats and back, against their references.

use crate::harness::Harness;
use tweedie::gpu::compare::{Comparison, Expected};
use tweedie::gpu::{PixelBuffer, PixelConversion, PixelDepth, PixelLayout, PixelRounding, PlanError, Storage, Tensor};

pub const TESTS: &[crate::Test] = &[
    ("pixels::floats_of_every_layout", floats_of_every_layout),
    ("pixels::pixels_of_every_layout", pixels_of_every_layout),
    ("pixels::pixels_come_back", pixels_come_back),
    ("pixels::a_texture_has_the_pixels", a_texture_has_the_pixels),
    ("pixels::errors_name_what_was_found", errors_name_what_was_found),
];

const LAYOUTS: [PixelLayout; 2] = [PixelLayout::Interleaved, PixelLayout::Planar];
const DEPTHS: [PixelDepth; 2] = [PixelDepth::U8, PixelDepth::U16];

/// Pictures of an odd number of pixels, so that words are shared.
const IMAGES: u32 = 2;
const HEIGHT: u32 = 3;
const WIDTH: u32 = 5;
const PIXELS: usize = (HEIGHT * WIDTH) as usize;

/// A whole number may be off by one where the exact value is within this distance of a rounding edge, in units of one whole
/// number: the error of f32 at up to 65535.
const EDGE: f64 = 0.02;

fn channels() -> impl Iterator<Item = (u32, u32)> {
    [(1, 1), (1, 3), (1, 4), (3, 3), (3, 4), (4, 3), (4, 4)].into_iter()
}

/// The index of a channel of a pixel.
fn index(layout: PixelLayout, channels: u32, image: usize, pixel: usize, channel: usize) -> usize {
    let channels = channels as usize;
    let within = match layout {
        PixelLayout::Interleaved => pixel * channels + channel,
        PixelLayout::Planar => channel * PIXELS + pixel,
    };
    image * channels * PIXELS + within
}

/// Every place of the channels of all pictures, with the place that it comes from, or `None` for an alpha that is opaque.
fn places(to: (PixelLayout, u32), from: (PixelLayout, u32)) -> Vec<(usize, Option<usize>)> {
    let mut all = Vec::new();
    for image in 0..IMAGES as usize {
        for pixel in 0..PIXELS {
            for channel in 0..to.1 as usize {
                let source = match (channel, from.1) {
                    (3, 1 | 3) => None,
                    (_, 1) => Some(0),
                    _ => Some(channel),
                };
                let source = source.map(|source| index(from.0, from.1, image, pixel, source));
                all.push((index(to.0, to.1, image, pixel, channel), source));
            }
        }
    }
    all
}

fn wholes(count: usize, depth: PixelDepth) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 7919 + 3) % (depth.largest() + 1)).collect()
}

fn packed(wholes: &[u32], depth: PixelDepth) -> Vec<u8> {
    let mut bytes: Vec<u8> = match depth {
        PixelDepth::U8 => wholes.iter().map(|&whole| whole as u8).collect(),
        PixelDepth::U16 => wholes.iter().flat_map(|&whole| (whole as u16).to_le_bytes()).collect(),
    };
    bytes.resize(bytes.len().next_multiple_of(4), 0xa5);
    bytes
}

fn unpacked(bytes: &[u8], depth: PixelDepth) -> Vec<u32> {
    match depth {
        PixelDepth::U8 => bytes.iter().map(|&byte| byte.into()).collect(),
        PixelDepth::U16 => bytes.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]).into()).collect(),
    }
}

pub fn floats(count: usize, storage: Storage) -> Vec<f32> {
    let value = |i: usize| ((i * 37 % 101) as f32 / 101.0 - 0.5) * 2.6;
    let rounded = storage.decode(&storage.encode(&(0..count).map(value).collect::<Vec<_>>()));
    rounded[..count].to_vec()
}

fn conversion<'a>(tensor: Tensor<'a>, channels: u32, layout: PixelLayout) -> PixelConversion<'a> {
    PixelConversion {
        images: IMAGES,
        height: HEIGHT,
        width: WIDTH,
        floats: tensor,
        channels,
        layout,
        range: [-1.0, 1.0],
        rounding: PixelRounding::Nearest,
    }
}

fn count(channels: u32) -> usize {
    IMAGES as usize * PIXELS * channels as usize
}

/// Runs every combination of storage, depth, layouts and channels, of the floats and of the pixels.
fn every(mut run: impl FnMut(Storage, PixelDepth, (PixelLayout, u32), (PixelLayout, u32))) {
    for storage in Storage::ALL {
        for depth in DEPTHS {
            for (from, to) in channels() {
                for from_layout in LAYOUTS {
                    for to_layout in LAYOUTS {
                        run(storage, depth, (from_layout, from), (to_layout, to));
                    }
                }
            }
        }
    }
}

fn floats_of_every_layout(harness: &Harness) {
    every(|storage, depth, from, to| {
        let pixels = wholes(count(from.1), depth);
        let buffer = harness.gpu.upload("pixels", &packed(&pixels, depth));
        // The tensor begins at the second element, and one lies behind it: both stay as they are.
        let around = storage.encode(&vec![7.0; count(to.1) + 2]);
        let out = harness.gpu.upload("floats", &around);
        let conversion = conversion(Tensor::new(&out, storage).at(storage.bytes()), to.1, to.0);
        let pixel_buffer = PixelBuffer { buffer: &buffer, offset: 0, depth, channels: from.1, layout: from.0 };
        let plan = conversion.from_pixels(&harness.context, pixel_buffer).expect("plan");
        run(harness, |pass| plan.record(pass));
        let found = storage.decode(&harness.read(&out));
        assert_eq!((found[0], found[count(to.1) + 1]), (7.0, 7.0), "{storage}: the elements around the tensor");
        let compare = |range: [f64; 2]| {
            let reference = PixelConversion { range, ..conversion };
            let mut comparison = Comparison::new(storage);
            for (place, source) in places(to, from) {
                let value = source.map_or(range[1], |source| reference.float_of(pixels[source], depth));
                comparison.add(found[1 + place], Expected { value, magnitude: 1.0 + value.abs() });
            }
            comparison.passes()
        };
        assert!(compare([-1.0, 1.0]), "{storage} {depth:?} {from:?} {to:?}");
        assert!(!compare([-1.0, 1.02]), "{storage}: a wrong range passes");
    });
}

/// Counts the whole numbers that are not the reference's nor, near a rounding edge, its neighbour.
fn wrong(
    found: &[u32],
    floats: &[f32],
    conversion: &PixelConversion<'_>,
    depth: PixelDepth,
    map: &[(usize, Option<usize>)],
) -> usize {
    let is_wrong = |&(place, source): &(usize, Option<usize>)| {
        let Some(source) = source else { return found[place] != depth.largest() };
        let exact = f64::from(floats[source]);
        let width = EDGE * (conversion.range[1] - conversion.range[0]) / f64::from(depth.largest());
        [exact - width, exact + width].iter().all(|&float| conversion.whole_of(float, depth) != found[place])
    };
    map.iter().filter(|place| is_wrong(place)).count()
}

fn pixels_of_every_layout(harness: &Harness) {
    every(|storage, depth, from, to| {
        let given = floats(count(from.1), storage);
        let tensor = harness.gpu.upload("floats", &storage.encode(&given));
        let filler = packed(&wholes(count(to.1) + 4, depth), depth);
        let out = harness.gpu.upload("pixels", &filler);
        for rounding in [PixelRounding::Nearest, PixelRounding::Down] {
            let conversion = PixelConversion { rounding, ..conversion(Tensor::new(&tensor, storage), from.1, from.0) };
            let pixel_buffer = PixelBuffer { buffer: &out, offset: 0, depth, channels: to.1, layout: to.0 };
            let plan = conversion.into_pixels(&harness.context, pixel_buffer).expect("plan");
            run(harness, |pass| plan.record(pass));
            let bytes = harness.read(&out);
            let (found, map) = (unpacked(&bytes, depth), places(to, from));
            assert_eq!(wrong(&found, &given, &conversion, depth, &map), 0, "{storage} {depth:?} {from:?} {to:?}");
            let other = PixelConversion { range: [-1.0, 1.05], ..conversion };
            assert!(wrong(&found, &given, &other, depth, &map) > 0, "{storage}: a wrong range passes");
            let end = map.len() * bytes.len() / found.len();
            assert_eq!(bytes[end..], filler[end..], "the bytes after the pixels");
        }
    });
}

fn pixels_come_back(harness: &Harness) {
    // f32 keeps all whole numbers of 16 bits apart, which f16 and bf16 do not.
    for depth in DEPTHS {
        let pixels = wholes(count(3), depth);
        let bytes = packed(&pixels, depth);
        let (from, back) = (harness.gpu.upload("pixels", &bytes), harness.gpu.upload("back", &vec![0; bytes.len()]));
        let tensor = harness.gpu.buffer("floats", 4 * count(3) as u64);
        let conversion = conversion(Tensor::f32(&tensor), 3, PixelLayout::Planar);
        let of = |buffer| PixelBuffer { buffer, offset: 0, depth, channels: 3, layout: PixelLayout::Interleaved };
        let there = conversion.from_pixels(&harness.context, of(&from)).expect("plan");
        let again = conversion.into_pixels(&harness.context, of(&back)).expect("plan");
        run(harness, |pass| {
            there.record(pass);
            again.record(pass);
        });
        assert_eq!(unpacked(&harness.read(&back), depth)[..count(3)], pixels, "{depth:?}");
    }
}

pub fn texture(harness: &Harness, width: u32, height: u32, usage: wgpu::TextureUsages) -> wgpu::Texture {
    harness.gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("shown"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage,
        view_formats: &[],
    })
}

pub const SHOWN: wgpu::TextureUsages = wgpu::TextureUsages::STORAGE_BINDING.union(wgpu::TextureUsages::COPY_SRC);

/// The texels of the first rows and columns.
pub fn texels(harness: &Harness, texture: &wgpu::Texture, width: u32, height: u32) -> Vec<u32> {
    const PITCH: u32 = 256;
    let buffer = harness.gpu.buffer("texels", u64::from(PITCH * height));
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(PITCH), rows_per_image: None };
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    harness.gpu.submit(|encoder| encoder.copy_texture_to_buffer(texture.as_image_copy(), to, size)).expect("a copy");
    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&harness.read(&buffer));
    words.chunks(PITCH as usize / 4).flat_map(|row| row[..width as usize].to_vec()).collect()
}

fn a_texture_has_the_pixels(harness: &Harness) {
    for storage in Storage::ALL {
        for (layout, channels) in [(PixelLayout::Planar, 3), (PixelLayout::Interleaved, 4), (PixelLayout::Planar, 1)] {
            let given = floats(count(channels), storage);
            let tensor = harness.gpu.upload("floats", &storage.encode(&given));
            let conversion = conversion(Tensor::new(&tensor, storage), channels, layout);
            let texture = texture(harness, WIDTH + 3, HEIGHT, SHOWN);
            let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
            let plan = conversion.into_texture(&harness.context, &view).expect("plan");
            run(harness, |pass| plan.record(pass));
            let words = texels(harness, &texture, WIDTH, HEIGHT);
            let found: Vec<u32> = words.iter().flat_map(|word| word.to_le_bytes()).map(u32::from).collect();
            let mut map = places((PixelLayout::Interleaved, 4), (layout, channels));
            map.truncate(found.len());
            assert_eq!(wrong(&found, &given, &conversion, PixelDepth::U8, &map), 0, "{storage} {layout:?} {channels}");
        }
    }
}

fn errors_name_what_was_found(harness: &Harness) {
    let buffer = harness.gpu.buffer("floats", 4096);
    let pixels = harness.gpu.buffer("pixels", 4096);
    let good = conversion(Tensor::f32(&buffer), 3, PixelLayout::Planar);
    let of = |buffer, channels, offset| PixelBuffer {
        buffer,
        offset,
        depth: PixelDepth::U8,
        channels,
        layout: PixelLayout::Interleaved,
    };
    let refusal = |conversion: &PixelConversion<'_>, pixels: PixelBuffer<'_>| {
        conversion.into_pixels(&harness.context, pixels).expect_err("refused")
    };
    assert_eq!(refusal(&good, of(&pixels, 2, 0)).to_string(), "pixels: expected 1, 3 or 4 channels, found 2");
    assert_eq!(
        refusal(&good, of(&pixels, 1, 0)).to_string(),
        "pixels: expected the 3 or 4 channels of the floats, found 1"
    );
    assert_eq!(refusal(&good, of(&buffer, 3, 0)), PlanError::Overlap { output: "pixels", other: "floats" });
    assert_eq!(refusal(&good, of(&pixels, 3, 2)), PlanError::WordOffset { words: "pixels", found: 2 });
    let empty = PixelConversion { height: 0, ..good };
    assert!(matches!(refusal(&empty, of(&pixels, 3, 0)), PlanError::EmptyShape { .. }));
    let huge = PixelConversion { height: u32::MAX, width: u32::MAX, ..good };
    assert!(matches!(refusal(&huge, of(&pixels, 3, 0)), PlanError::SampleSize { .. }));
    let large = PixelConversion { height: 1000, ..good };
    assert!(matches!(refusal(&large, of(&pixels, 3, 0)), PlanError::BufferTooSmall { .. }));
    for range in [[1.0, -1.0], [0.0, 0.0], [f64::NAN, 1.0], [0.0, f64::INFINITY]] {
        let fallen = PixelConversion { range, ..good };
        assert!(matches!(refusal(&fallen, of(&pixels, 3, 0)), PlanError::Rule { .. }), "{range:?}");
    }
    let view =
        |width, usage| texture(harness, width, HEIGHT, usage).create_view(&wgpu::TextureViewDescriptor::default());
    let shown = |view: &wgpu::TextureView| good.into_texture(&harness.context, view).expect_err("refused").to_string();
    assert_eq!(shown(&view(4, SHOWN)), "texture: expected at least 5 x 3 texels, found 4 x 3");
    assert!(shown(&view(5, wgpu::TextureUsages::COPY_SRC)).starts_with("texture: expected usage STORAGE_BINDING"));
}

pub fn run(harness: &Harness, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) {
    let submitted = harness.gpu.submit(|encoder| {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        record(&mut pass);
    });
    submitted.expect("device");
}

//! Tests of the render pipeline, pixel by pixel.

use crate::harness::{FORMAT, Harness, Test, small};
use pictures::{Picture, test_card::test_card};
use tweedie_viewer::renderer::{ImageId, Piece, Request};
use tweedie_viewer::state::State;

pub const TESTS: &[Test] = &[
    ("drawing::a_picture_of_its_own_size_is_its_pixels", a_picture_of_its_own_size_is_its_pixels),
    ("drawing::gain_scales_around_grey", gain_scales_around_grey),
    ("drawing::no_number_is_no_colour", no_number_is_no_colour),
    ("drawing::twice_its_size_is_every_pixel_four_times", twice_its_size_is_every_pixel_four_times),
    ("drawing::what_hangs_is_where_it_was_put", what_hangs_is_where_it_was_put),
];

/// The side of the target: a row of it has 256 bytes, a multiple of which copies to buffers need.
const SIDE: u32 = 64;

/// Half a step of rounding on each side, and the interpolation's.
const STEP: u8 = 1;

/// Draws pieces on a black square and reads it back.
fn drawn(harness: &Harness, state: &State, pieces: &[Piece]) -> Vec<[u8; 4]> {
    let mut renderer = harness.renderer();
    let device = &harness.gpu.device;
    let size = wgpu::Extent3d { width: SIDE, height: SIDE, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    let pixels = harness.gpu.buffer("pixels", u64::from(4 * SIDE * SIDE));
    let attachment = wgpu::RenderPassColorAttachment {
        view: &view,
        depth_slice: None,
        resolve_target: None,
        ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::BLACK), store: wgpu::StoreOp::Store },
    };
    // As in a frame of the window: kernels and pictures in one encoder, one submit.
    let recorded = harness.gpu.submit(|encoder| {
        renderer.record(encoder, &Request::Plane(state.plane()));
        renderer.place(pieces);
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(attachment)],
            ..wgpu::RenderPassDescriptor::default()
        });
        renderer.draw(&mut pass);
        drop(pass);
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * SIDE), rows_per_image: None };
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &pixels, layout },
            size,
        );
    });
    recorded.expect("device");
    let bytes = pollster::block_on(harness.gpu.download(&pixels, 0..pixels.size())).expect("readback");
    bytes.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2], pixel[3]]).collect()
}

/// A piece at this place, in pixels.
fn piece(what: ImageId, [left, top, right, bottom]: [u32; 4], gain: f32) -> Piece {
    let across = |x: u32| x as f32 / SIDE as f32 * 2.0 - 1.0;
    let corners = [across(left), -across(top), across(right), -across(bottom)];
    Piece { what, corners, pixels: [right - left, bottom - top], gain }
}

/// The same, interpolated although it need not be.
fn smooth(piece: Piece) -> Piece {
    Piece { pixels: [0; 2], ..piece }
}

fn near(a: &[u8; 4], b: [u8; 3]) -> bool {
    a[3] == 255 && a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= STEP)
}

fn of_picture(picture: Picture) -> State {
    let mut state = small();
    state.set_picture(picture, "another".into());
    state
}

fn a_picture_of_its_own_size_is_its_pixels(harness: &Harness) {
    let state = of_picture(test_card(SIDE, SIDE));
    let crisp = piece(ImageId::X0, [0, 0, SIDE, SIDE], 1.0);
    let expected = state.picture.to_rgb();
    let found = drawn(harness, &state, &[crisp]);
    for found in [&found, &drawn(harness, &state, &[smooth(crisp)])] {
        let wrong = found.iter().zip(expected.pixels()).filter(|(found, expected)| !near(found, expected.0)).count();
        assert_eq!(wrong, 0);
    }
    let mirrored =
        found.iter().rev().zip(expected.pixels()).filter(|(found, expected)| !near(found, expected.0)).count();
    assert!(mirrored > found.len() / 2, "the comparison must be able to fail");
}

fn gain_scales_around_grey(harness: &Harness) {
    let plane = (SIDE * SIDE) as usize;
    let data: Vec<f32> = [0.0, 1.0, -3.0].into_iter().flat_map(|value| vec![value; plane]).collect();
    let state = of_picture(Picture::from_planar(SIDE as usize, SIDE as usize, data).expect("a picture"));
    for (gain, expected) in [(1.0, [128, 255, 0]), (0.25, [128, 159, 32]), (2.0, [128, 255, 0])] {
        let found = drawn(harness, &state, &[piece(ImageId::X0, [0, 0, SIDE, SIDE], gain)]);
        assert!(found.iter().all(|pixel| near(pixel, expected)), "{gain}: {:?}", found[0]);
    }
}

fn no_number_is_no_colour(harness: &Harness) {
    let mut picture = test_card(SIDE, SIDE);
    picture.data[5] = f32::NAN;
    picture.data[9] = f32::INFINITY;
    let expected = picture.to_rgb();
    let (state, crisp) = (of_picture(picture), piece(ImageId::X0, [0, 0, SIDE, SIDE], 1.0));
    let found = drawn(harness, &state, &[crisp]);
    let between = drawn(harness, &state, &[smooth(crisp)]);
    let same = found.iter().zip(&between).all(|(a, b)| near(a, [b[0], b[1], b[2]]));
    assert!(same, "at its own size both are the same");
    assert!(!near(&found[5], expected.get_pixel(5, 0).0), "stripes");
    assert!(found[5][0] > found[5][1] && found[5][0] > found[5][2], "red ones: {:?}", found[5]);
    assert_eq!(found[9][0], 255, "an infinite value is white in its channel");
    assert!(near(&found[20], expected.get_pixel(20, 0).0));
}

fn twice_its_size_is_every_pixel_four_times(harness: &Harness) {
    let state = of_picture(test_card(SIDE / 2, SIDE / 2));
    let expected = state.picture.to_rgb();
    let found = drawn(harness, &state, &[piece(ImageId::X0, [0, 0, SIDE, SIDE], 1.0)]);
    let right = |found: &[[u8; 4]]| {
        let pixels = (0..SIDE * SIDE).map(|i| expected.get_pixel(i % SIDE / 2, i / SIDE / 2).0);
        found.iter().zip(pixels).filter(|(found, expected)| near(found, *expected)).count()
    };
    assert_eq!(right(&found), found.len());
    let between = drawn(harness, &state, &[smooth(piece(ImageId::X0, [0, 0, SIDE, SIDE], 1.0))]);
    assert!(right(&between) < found.len() / 2, "what is interpolated is something between");
}

fn what_hangs_is_where_it_was_put(harness: &Harness) {
    let state = of_picture(Picture::from_planar(4, 4, vec![1.0; 48]).expect("a picture"));
    let pieces = [piece(ImageId::X0, [8, 16, 24, 40], 1.0), piece(ImageId::Sample(0, 0), [32, 32, 64, 64], 1.0)];
    let found = drawn(harness, &state, &pieces);
    for (index, pixel) in found.iter().enumerate() {
        let (x, y) = (index as u32 % SIDE, index as u32 / SIDE);
        let inside = (8..24).contains(&x) && (16..40).contains(&y);
        assert_eq!(pixel[0], if inside { 255 } else { 0 }, "{x}, {y}");
    }
}

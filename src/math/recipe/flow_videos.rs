//! Recipes of flows that make videos.

use super::facts::{Facts, Recipe, UsualGuidance};
use super::grid::{GridRule, Shift, TimeList};
use super::make::{Made, STATISTICS_IN_FILE, entry, euler, flow, recipe, rising_flow, to_least_noise};
use crate::math::catalog::entry::{Entry, Values};
use crate::math::latent::format::LatentFormat;
use crate::math::model::Told;
use UsualGuidance::{Embedded, Off, Scale, Terms};

/// The facts of Wan's models: UniPC on a flow, patches of 2x2 cells.
const fn wan(shift: Shift) -> Facts {
    Facts::new("unipc", GridRule::before_last(shift)).run(50, Scale(5.0)).patched()
}

const WAN22_A14B: Facts = wan(Shift::Fixed(3.0)).latent(LatentFormat::WAN21).unsure(&["grid", "guidance"]).note(
    "The authors shift by 12, or by 5 from a picture; the second network is guided by 3 to 4, as far as is known",
);

const LTX_LINE: Shift = Shift::Line([(1024.0, 0.95), (4096.0, 2.05)]);
const LTX_GRID: GridRule = GridRule::Times { list: TimeList::Even, shift: LTX_LINE, terminal: Some(0.1) };

const fn ltx(grid: GridRule) -> Facts {
    euler(grid).latent(LatentFormat::LTXV).note(STATISTICS_IN_FILE)
}

const HUNYUAN: Facts = euler(GridRule::even(Shift::Fixed(7.0))).latent(LatentFormat::HUNYUAN_VIDEO).patched();

pub(super) const VIDEOS: &[Entry<Recipe>] = &[
    recipe!(
        "wan21",
        ["wan2.1", "wan2.1-t2v-14b", "wan2.1-t2v-1.3b", "wan2.1-i2v-14b"],
        "Wan 2.1, whose shift is 3 at 480p and 5 at 720p (Wan Team 2025)",
        flow(),
        wan(Shift::ByArea([3.0, 5.0]))
            .latent(LatentFormat::WAN21)
            .note("From a first and a last frame the shift is 16; ComfyUI shifts by 8")
    ),
    recipe!(
        "wan22-t2v-a14b",
        ["wan2.2-t2v-a14b", "wan2.2"],
        "Wan 2.2 A14B from text, two networks (Wan Team 2025)",
        flow(),
        WAN22_A14B.second_network_below(0.875)
    ),
    recipe!(
        "wan22-i2v-a14b",
        ["wan2.2-i2v-a14b"],
        "Wan 2.2 A14B from a picture, two networks (Wan Team 2025)",
        flow(),
        WAN22_A14B.second_network_below(0.9)
    ),
    recipe!(
        "wan22-ti2v-5b",
        ["wan2.2-ti2v-5b", "wan2.2-5b"],
        "Wan 2.2 5B, told a time for each token (Wan Team 2025)",
        flow(),
        wan(Shift::Fixed(5.0))
            .latent(LatentFormat::WAN22)
            .note("In a video from a picture, the tokens of the first frame are told 0")
    ),
    recipe!(
        "ltx-video",
        ["ltxv", "ltx-video-0.9"],
        "LTX-Video (HaCohen et al. 2024)",
        flow(),
        ltx(LTX_GRID).run(50, Scale(3.0))
    ),
    recipe!(
        "ltx-video-095",
        ["ltx-video-0.9.5", "ltx-video-0.9.7"],
        "LTX-Video 0.9.5 and 0.9.7, without a shift (Lightricks 2025)",
        flow(),
        ltx(GridRule::even(Shift::Fixed(1.0))).run(50, Scale(3.0))
    ),
    recipe!(
        "ltx-2",
        [],
        "LTX-2, video with audio (Lightricks 2026)",
        flow(),
        ltx(LTX_GRID).run(
            30,
            Terms(&[
                ("guidance", 3.0),
                ("spatio-temporal guidance", 1.0),
                ("modality", 3.0),
                ("rescale", 0.7),
                ("audio guidance", 7.0)
            ])
        )
    ),
    recipe!(
        "ltx-distilled",
        ["ltx-2-distilled", "ltx-video-0.9.7-distilled"],
        "LTX-Video and LTX-2, distilled (Lightricks)",
        flow(),
        ltx(GridRule::Listed(&[1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875]))
            .run(8, Off)
            .note("Version 0.9.8 has 0.9937 in place of 0.99375. The mean and the deviation of its latents are in the file of the autoencoder")
    ),
    recipe!(
        "ltx-distilled-stage-2",
        [],
        "LTX-Video and LTX-2 distilled: the second stage, at a higher resolution (Lightricks)",
        flow(),
        ltx(GridRule::Listed(&[0.909375, 0.725, 0.421875])).run(3, Off)
    ),
    recipe!("hunyuan-video", [], "HunyuanVideo 1 (Kong et al. 2024)", flow(), HUNYUAN.run(50, Embedded(6.0))),
    recipe!(
        "hunyuan-video-15",
        ["hunyuan-video-1.5"],
        "HunyuanVideo 1.5, whose shift is 5, 7 or 9 by size and task (Tencent 2025)",
        flow(),
        Facts { steps: Some(50), ..euler(GridRule::even(Shift::ByArea([5.0, 9.0]))) }
            .latent(LatentFormat::HUNYUAN_VIDEO15)
            .unsure(&["grid", "guidance"])
            .note("Which size and task has which shift is not verified")
    ),
    recipe!(
        "mochi",
        ["mochi-1-preview"],
        "Mochi 1, which predicts clean minus noise (Genmo 2024)",
        rising_flow(),
        euler(GridRule::LinearQuadratic { threshold: 0.025 })
            .run(64, Scale(4.5))
            .latent(LatentFormat::MOCHI)
            .patched()
            .note("ComfyUI samples it at times that are shifted by 6")
    ),
    recipe!(
        "kandinsky-5",
        [],
        "Kandinsky 5 (Kandinsky Lab 2025)",
        flow(),
        euler(GridRule::ends(1.0)).run(50, Scale(5.0)).unsure(&["grid", "latent"])
    ),
    recipe!(
        "kandinsky-6-distilled",
        [],
        "Kandinsky 6 distilled: pi-Flow, 10 velocities per output (Kandinsky Lab 2026)",
        flow(),
        Facts::new("pi-flow", GridRule::Usual).run(16, Off).unsure(&["latent"]).note(STATISTICS_IN_FILE)
    ),
    recipe!(
        "cosmos-predict2",
        ["cosmos-2"],
        "Cosmos Predict 2, a flow's network on variance-exploding sigmas (NVIDIA 2025)",
        flow(),
        euler(GridRule::Exploding { sigmas: [0.002, 80.0] })
            .run(35, Scale(7.0))
            .latent(LatentFormat::WAN21)
            .told(Told::Time(1.0))
            .note("Samples are those of a flow: 1/(1 + sigma) times the variance-exploding ones")
            .with(to_least_noise)
    ),
    recipe!(
        "cosmos-predict25",
        ["cosmos-predict2.5", "cosmos-2.5"],
        "Cosmos Predict 2.5, a flow (NVIDIA 2025)",
        flow(),
        Facts::new("unipc", GridRule::Exploding { sigmas: [0.01, 200.0] })
            .latent(LatentFormat::WAN21)
            .unsure(&["steps", "guidance"])
    ),
    recipe!(
        "minimax-h3",
        [],
        "MiniMax H3, which predicts clean minus noise (MiniMax 2026)",
        rising_flow(),
        euler(GridRule::Times { list: TimeList::Points, shift: Shift::Fixed(12.0), terminal: None })
            .latent(LatentFormat::MINIMAX_H3)
            .told(Told::RisingTime(1.0))
            .note("Its audio has a shift of 3. The last of its steps is the clean sample, which is not visited")
    ),
];

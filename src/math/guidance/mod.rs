//! Guidance: the mixture of several predictions of one call.
//!
//! **Theory.** A network is called more than once at a noise level: with the condition (`c`), without it (`u`), and sometimes with
//! a part of the condition or of the network (a third and a fourth prediction). Guidance adds differences of these to `c`. The
//! methods differ in the weights, which are fixed for a call or follow from a few sums over each sample.
//! [`GuideRow`](crate::table::GuideRow) has the formula that all of them share.
//!
//! | method | predictions | source |
//! |---|---|---|
//! | [`Linear`](Method::Linear) | `c`, `u` | Ho & Salimans 2022, arXiv 2207.12598; autoguidance: Karras et al. 2024, arXiv 2406.02507 |
//! | [`ZeroStar`](Method::ZeroStar) | `c`, `u` | Fan et al. 2025, arXiv 2503.18886 |
//! | [`Projected`](Method::Projected), [`Mixed`](Method::Mixed) | `c`, `u` | Sadat et al. 2024, arXiv 2410.02416; HunyuanImage 2.1 |
//! | [`Tangential`](Method::Tangential) | `c`, `u` | Kwon et al. 2025, arXiv 2503.18137 |
//! | [`Magnitude`](Method::Magnitude) | `c`, `u` | MAMBO-G, arXiv 2508.03442 |
//! | [`Perturbed`](Method::Perturbed) | `c`, `u`, a perturbed network's | Ahn et al. 2024, arXiv 2403.17377; Hong 2024, arXiv 2408.00760; Stable Diffusion 3.5 |
//! | [`Modalities`](Method::Modalities) | `c`, `u`, a perturbed network's, that of isolated modalities | LTX-2 |
//! | [`Image`](Method::Image) | `c`, `u`, that of the image alone | Brooks et al. 2023, arXiv 2211.09800 |
//! | [`Norm`](Method::Norm) | `c`, `u` | Qwen-Image; ComfyUI, `CFGNorm` |
//! | [`PerpNeg`](Method::PerpNeg) | `c`, `u`, a negative one | Armandpour et al. 2023, arXiv 2304.04968 |
//! | [`Mahiro`](Method::Mahiro) | `c`, `u` | ComfyUI, `Mahiro` |
//! | [`Frequencies`](Method::Frequencies) | `c`, `u` | Sadat et al. 2025, arXiv 2506.19713 |
//!
//! **Practice.** A [`Guider`] comes from [`Guider::CATALOGUE`] by name, under the names and arguments that other
//! libraries use. Each call of [`Guider::calls`] says which predictions it asks for, and holds its row. A [`GuidanceLoop`]
//! applies the calls of a run to tensors in f64, one after the other; [`gpu::Guide`](crate::gpu::Guide) applies the rows on the GPU.
//!
//! A result depends on its own sample alone, with two exceptions that follow ComfyUI: `perp-neg-batch` and `mahiro-batch`
//! sum over the batch.

pub(crate) mod apply;
pub(crate) mod call;
pub(crate) mod finish;
pub(crate) mod guider;
pub(crate) mod levels;
pub(crate) mod method;
pub(crate) mod mixture;
pub(crate) mod pyramid;
pub(crate) mod window;

pub use crate::table::{Finish, Pyramid, PyramidLevel};
pub use apply::GuidanceLoop;
pub use call::{GuiderCall, Over};
pub use guider::Guider;
pub use levels::FrequencyLevel;
pub use method::{Method, Projection};
pub use mixture::Predictions;
pub use window::Window;

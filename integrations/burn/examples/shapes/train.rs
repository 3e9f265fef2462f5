//! Training with Burn's autodiff, which can be stopped after any step and resumed.

use super::pictures::{Pictures, SIDE};
use super::unet::{NO_CLASS, UNet};
use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::path::Path;
use tweedie::gpu::NoiseKey;
use tweedie::{Quantity, Schedule, philox4x32_10};
use tweedie_burn::{Bridge, Error, Goal, Training};

/// Size and length of a training.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Setting {
    /// Channels of the U-Net's first level.
    pub width: usize,
    pub batch: usize,
    pub steps: u32,
    pub rate: f64,
}

/// Timesteps of the schedule.
pub const TIMESTEPS: usize = 1000;
/// Pictures of every 256 that are shown without their class.
const DROPPED: u32 = 26;
const SEED: u32 = 1;

/// The schedule of every run here.
pub fn schedule() -> Result<Schedule, Error> {
    Ok(Schedule::linear(TIMESTEPS, 1e-4, 0.02).map_err(tweedie::Error::from)?)
}

/// A training in progress.
pub struct Run {
    pub network: UNet,
    pub step: u32,
    optimizer: ModuleOptimizer,
    training: Training,
    device: Device,
    setting: Setting,
}

impl Run {
    pub fn new(bridge: &Bridge, predicts: Quantity, setting: Setting) -> Result<Self, Error> {
        let device = bridge.device().clone().autodiff();
        device.seed(u64::from(SEED));
        let network = UNet::new(setting.width, TIMESTEPS, &device);
        let goal = Goal::new(tweedie::math::Objective::of(predicts), TIMESTEPS)?;
        let goal = Goal { stratified: Some(setting.batch as u32), ..goal };
        let training = Training::new(bridge, &schedule()?, goal)?;
        Ok(Self { network, step: 0, optimizer: AdamConfig::new().init(), training, device, setting })
    }

    /// Makes a step and returns its loss.
    pub fn step(&mut self) -> Result<Tensor<1>, Error> {
        let Setting { batch, steps, rate, .. } = self.setting;
        let first = u64::from(self.step) * batch as u64;
        let (pixels, classes) = Pictures { seed: SEED }.batch(first, batch);
        let shown =
            classes.iter().zip(first..).map(|(&class, index)| if dropped(index) { NO_CLASS as i32 } else { class });
        let x0 = Tensor::<4>::from_data(TensorData::new(pixels, [batch, 1, SIDE, SIDE]), &self.device);
        let class = words(shown.collect(), &self.device);

        let noisy = self.training.noise(x0, NoiseKey::seed(u64::from(SEED)).stream(self.step))?;
        let prediction = self.network.forward(noisy.x_t.clone().autodiff(), noisy.t.clone().autodiff(), class);
        let losses = self.training.loss(&noisy, prediction)?;

        let gradients = GradientsParams::from_grads(losses.mean.backward(), &self.network);
        let left = 1.0 - f64::from(self.step) / f64::from(steps);
        self.network = self.optimizer.step(rate * left.clamp(0.02, 1.0), self.network.clone(), gradients);
        self.step += 1;
        Ok(losses.mean.without_autodiff())
    }

    /// The number of plans that tweedie has made.
    pub fn plans_made(&self) -> u64 {
        self.training.plans_made()
    }

    /// The number of times that tweedie has moved a plan to other tensors.
    pub fn plans_moved(&self) -> u64 {
        self.training.plans_moved()
    }

    /// Writes everything on which the next step depends. The file of the progress, without which nothing is resumed, comes last.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        self.network.clone().save_file(folder.join("network.bpk"))?;
        self.optimizer.save(folder.join("optimizer.bpk"))?;
        let progress = Progress { step: self.step, setting: self.setting, predicts: self.predicts() };
        let partial = folder.join("progress.json.part");
        std::fs::write(&partial, serde_json::to_vec_pretty(&progress)?)?;
        Ok(std::fs::rename(partial, folder.join("progress.json"))?)
    }

    /// Resumes a saved run of the same setting; returns false if there is none.
    pub fn resume(&mut self, folder: &Path) -> anyhow::Result<bool> {
        let Ok(bytes) = std::fs::read(folder.join("progress.json")) else { return Ok(false) };
        let found: Progress = serde_json::from_slice(&bytes)?;
        let expected = Progress { step: found.step, setting: self.setting, predicts: self.predicts() };
        anyhow::ensure!(found == expected, "{}: expected a run of {expected:?}, found {found:?}", folder.display());
        self.network = self.network.clone().try_load_file(folder.join("network.bpk"))?;
        self.optimizer = AdamConfig::new().init().load(folder.join("optimizer.bpk"))?;
        self.step = found.step;
        Ok(true)
    }

    fn predicts(&self) -> String {
        self.training.goal().objective.predicts.to_string()
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Progress {
    step: u32,
    setting: Setting,
    predicts: String,
}

/// Returns whether a picture is shown without its class, which depends on its index alone.
fn dropped(index: u64) -> bool {
    philox4x32_10([index as u32, (index >> 32) as u32, 1, 0], [SEED, 0x6472_6f70])[0] % 256 < DROPPED
}

/// Integers, one per sample.
pub fn words(words: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = words.len();
    Tensor::from_data(TensorData::new(words, [count]), device)
}

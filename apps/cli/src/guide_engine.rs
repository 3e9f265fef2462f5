//! Guides predictions on an adapter.

use crate::engine::{Adapter, Values, narrow, plan_failure};
use crate::guide_run::RecordedPredictions;
use crate::progress::Progress;
use crate::report::Outcome;
use crate::windows::{Cut, windows};
use files::Array;
use tweedie::gpu::{Guide, GuideFinish, Recording};
use tweedie::math::guidance::{Finish, Over};
use tweedie::table::GuideRow;
use tweedie::{Plan, Shape, Storage, Tensor, wgpu};

impl Adapter {
    /// The guided predictions of all calls.
    pub fn guide(&self, recorded: &RecordedPredictions) -> Outcome<Values> {
        let whole =
            recorded.calls.iter().any(|call| matches!(call.finish, Some(Finish::Mahiro { over_batch: true, .. })));
        // Calls without guidance have no sums.
        let over = recorded.calls.iter().map(|call| call.over).find(|over| *over != Over::Sample);
        let group = over.unwrap_or(Over::Sample).elements(&recorded.shape);
        let total: usize = recorded.shape.iter().product();
        let batch = total / group;
        let elements = self.elements(batch, group)?;
        let arrays = std::iter::once(Some(&recorded.conditional)).chain(recorded.others.iter().map(Option::as_ref));
        arrays.flatten().try_for_each(|array| self.require_fit(&array.header, 0, &array.data))?;
        let rows: Vec<GuideRow> = recorded.calls.iter().map(|call| call.row).collect();
        let mut guided = vec![Vec::new(); rows.len()];
        let mut progress = Progress::new("guiding", batch as u64);
        for window in windows(batch, elements as usize, Cut::BetweenSamples) {
            let shape = window.shape().ok_or_else(|| window.too_large())?;
            if whole && u64::from(shape.batch) != batch as u64 {
                return Err(window.too_large());
            }
            let piece = Piece { recorded, rows: &rows, shape, first: window.range().start, entry: total };
            self.guide_piece(&piece, &mut guided)?;
            progress.advance(u64::from(shape.batch));
        }
        Ok(Values::Stored(self.storage, guided.concat()))
    }

    /// Guides some samples through all calls, and appends their results to those of each call. A mixture that is finished by another
    /// op is kept in f32, and rounded to the storage at the end.
    fn guide_piece(&self, piece: &Piece<'_>, guided: &mut [Vec<u8>]) -> Outcome {
        let total = piece.shape.total();
        let finishes = piece.recorded.calls.iter().any(|call| call.finish.is_some());
        let storage = if finishes { Storage::F32 } else { self.storage };
        let buffers = Buffers::new(self, storage, total);
        let mixture = finishes.then(|| self.gpu.buffer("tweedie-cli::mixture", total * storage.bytes()));
        let mixture = mixture.as_ref().unwrap_or(&buffers.conditional);
        let plan = buffers.plan(self, piece, mixture)?;
        let mut last: Option<(Finish, Plan)> = None;
        for (k, guided) in guided.iter_mut().enumerate() {
            buffers.refill(self, piece, k);
            self.run(&plan, Recording::call(k as u32))?;
            if let Some(finish) = piece.recorded.calls[k].finish {
                let (_, plan) = match last.take().filter(|(of, _)| *of == finish) {
                    Some(same) => last.insert(same),
                    None => last.insert((finish, buffers.finish(self, piece, finish, mixture)?)),
                };
                self.run(plan, Recording::per_sample())?;
            }
            let values = storage.decode(&self.download_as(storage, mixture, total)?);
            guided.extend(self.storage.encode(&values));
        }
        Ok(())
    }
}

/// The buffers of the predictions.
struct Buffers {
    storage: Storage,
    conditional: wgpu::Buffer,
    others: [wgpu::Buffer; 3],
    momentum: wgpu::Buffer,
}

impl Buffers {
    fn new(adapter: &Adapter, storage: Storage, total: u64) -> Self {
        let buffer = |label: &str| adapter.gpu.buffer(&format!("tweedie-cli::{label}"), total * storage.bytes());
        let (conditional, momentum) = (buffer("conditional"), buffer("momentum"));
        Self { storage, conditional, others: ["unconditional", "third", "fourth"].map(buffer), momentum }
    }

    /// The plan of all calls, whose result is written into a buffer.
    fn plan(&self, adapter: &Adapter, piece: &Piece<'_>, guided: &wgpu::Buffer) -> Outcome<Plan> {
        let tensor = |buffer| Tensor::new(buffer, self.storage);
        let [unconditional, third, fourth] =
            [0, 1, 2].map(|i| piece.recorded.others[i].as_ref().map(|_| tensor(&self.others[i])));
        let momentum =
            piece.rows.iter().any(|row| row.momentum != 0.0).then(|| Tensor::new(&self.momentum, self.storage));
        let plan = Guide {
            unconditional,
            third,
            fourth,
            momentum,
            guided: Tensor::new(guided, self.storage),
            ..Guide::in_place(piece.rows, piece.shape, Tensor::new(&self.conditional, self.storage))
        };
        plan.plan(&adapter.context).map_err(plan_failure)
    }

    /// The plan of the op that finishes a mixture.
    fn finish(&self, adapter: &Adapter, piece: &Piece<'_>, finish: Finish, mixture: &wgpu::Buffer) -> Outcome<Plan> {
        let mut dims = piece.recorded.shape.clone();
        dims.iter_mut().take(1).for_each(|batch| *batch = piece.shape.batch as usize);
        let [unconditional, ..] = &self.others;
        let request = GuideFinish {
            finish,
            dims: &dims,
            guided: (mixture, 0),
            conditional: (&self.conditional, 0),
            unconditional: Some((unconditional, 0)),
        };
        request.plan(&adapter.context).map_err(plan_failure)
    }

    /// Writes the predictions of a call, rounded to the adapter's storage.
    fn refill(&self, adapter: &Adapter, piece: &Piece<'_>, call: usize) {
        let write = |buffer: &wgpu::Buffer, array: &Array| {
            let values: Vec<f32> =
                piece.of(array, call).iter().map(|x| adapter.storage.round(f64::from(*x)) as f32).collect();
            adapter.gpu.queue.write_buffer(buffer, 0, &self.storage.encode(&values));
        };
        write(&self.conditional, &piece.recorded.conditional);
        for (array, buffer) in piece.recorded.others.iter().zip(&self.others) {
            array.iter().for_each(|array| write(buffer, array));
        }
    }
}

/// Some samples of a run.
struct Piece<'a> {
    recorded: &'a RecordedPredictions,
    rows: &'a [GuideRow],
    shape: Shape,
    /// The first element in an entry.
    first: usize,
    /// Elements of an entry.
    entry: usize,
}

impl Piece<'_> {
    /// Returns the part of an entry of a tensor that belongs to these samples.
    fn of(&self, array: &Array, entry: usize) -> Vec<f32> {
        let first = entry * self.entry + self.first;
        narrow(array.data.get(first..first + self.shape.total() as usize).unwrap_or_default())
    }
}

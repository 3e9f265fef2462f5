//! Plans by the places of their tensors.
//!
//! A plan of tweedie is bound to its buffers, and Burn computes each step's tensors wherever its memory pool has room. Around a
//! small network the pool hands out the same places again and again, and a few plans serve a whole run. Around a larger one
//! most steps have places of their own: then a plan of the same op is moved to them, which costs new bind groups.

use crate::Error;
use std::sync::{Mutex, PoisonError};
use tweedie::gpu::{Plan, PlanError};
use tweedie::{Context, Shape, Storage, Tensor, wgpu};

/// The number of plans that are kept, those used last. A plan keeps the pages of memory to which it is bound.
const CAPACITY: usize = 32;

/// The place of a tensor: its role, its buffer, the bytes before it and the storage of its elements.
type Place = (&'static str, wgpu::Buffer, u64, Storage);

/// Tensors by the roles that a plan of tweedie has for them.
pub(crate) type Roles<'a> = &'a [(&'static str, Option<Tensor<'a>>)];

/// The plans of an op.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    plans: Vec<(Shape, Vec<Place>, Plan)>,
    made: u64,
    moved: u64,
}

impl Cache {
    /// Calls `record` with a plan for these tensors: one that is bound to them already, one that is moved to them, or else
    /// one that is made. The plan is not used elsewhere meanwhile, so a noise key may be set and the recording submitted.
    pub fn with<T>(
        &self,
        context: &Context,
        shape: Shape,
        tensors: Roles<'_>,
        make: impl FnOnce() -> Result<Plan, Error>,
        record: impl FnOnce(&Plan) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut inner = self.lock();
        let places: Vec<Place> = tensors.iter().filter_map(|(role, tensor)| Some(place(role, &(*tensor)?))).collect();
        let plan = match inner.plans.iter().position(|(other, at, _)| (*other, at) == (shape, &places)) {
            Some(index) => inner.plans.remove(index).2,
            None => inner.bind(context, shape, tensors, &places, make)?,
        };
        let result = record(&plan);
        if inner.plans.len() == CAPACITY {
            inner.plans.remove(0);
        }
        inner.plans.push((shape, places, plan));
        result
    }

    /// The numbers of plans that were made and that were moved.
    pub fn counts(&self) -> [u64; 2] {
        let inner = self.lock();
        [inner.made, inner.moved]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic while it was locked may have lost a plan, which is then made again.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn bind(
        &mut self,
        context: &Context,
        shape: Shape,
        tensors: Roles<'_>,
        places: &[Place],
        make: impl FnOnce() -> Result<Plan, Error>,
    ) -> Result<Plan, Error> {
        let tensors: Vec<_> = tensors.iter().filter_map(|(role, tensor)| Some((*role, (*tensor)?))).collect();
        let alike = |at: &[Place]| {
            let kinds = |places: &[Place]| places.iter().map(|place| (place.0, place.3)).collect::<Vec<_>>();
            kinds(at) == kinds(places)
        };
        // The latest first: Burn's pages change slowly.
        let mut known = self.plans.iter().rev().filter(|(other, at, _)| *other == shape && alike(at));
        let moved = known.find_map(|(.., plan)| match plan.moved(context, &tensors) {
            // Tensors that share pages in another way than before need a plan of their own.
            Err(PlanError::Moved { .. }) => None,
            moved => Some(moved),
        });
        match moved {
            Some(plan) => {
                let plan = plan.map_err(tweedie::Error::from)?;
                self.moved += 1;
                Ok(plan)
            }
            None => {
                let plan = make()?;
                self.made += 1;
                Ok(plan)
            }
        }
    }
}

fn place(role: &'static str, tensor: &Tensor<'_>) -> Place {
    (role, tensor.buffer.clone(), tensor.offset, tensor.storage)
}

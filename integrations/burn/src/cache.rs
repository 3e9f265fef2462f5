//! Plans by where their tensors lie.
//!
//! A plan of tweedie is bound to its buffers, and Burn computes each step's tensors wherever its memory pool has room. Around a
//! small network the pool hands out the same places again and again, and a few plans serve a whole run. Around a larger one
//! each tensor has a few places but all of them together seldom the same ones, and most steps make their plans anew.

use crate::Error;
use crate::lent::Place;
use std::sync::{Mutex, PoisonError};

/// The most places that are remembered, the latest used ones. A plan takes some 20 KiB of tables and keeps the page of memory
/// that it is bound to.
const CAPACITY: usize = 32;

/// The key of a plan beside its op: the shape, and the places of its tensors in a fixed order.
pub(crate) type Key = (tweedie::Shape, Vec<Option<Place>>);

/// The plans of an op.
#[derive(Debug)]
pub(crate) struct Cache<P> {
    inner: Mutex<Inner<P>>,
}

#[derive(Debug)]
struct Inner<P> {
    plans: Vec<(Key, P)>,
    made: u64,
}

impl<P> Default for Cache<P> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { plans: Vec::new(), made: 0 }) }
    }
}

impl<P> Cache<P> {
    /// Lets `record` have the plan of this key, made if there is none. Nobody else has it meanwhile: a noise key may be set
    /// and the recording submitted.
    pub fn with<T>(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<P, Error>,
        record: impl FnOnce(&P) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut inner = self.lock();
        let found = inner.plans.iter().position(|(other, _)| *other == key);
        let (key, plan) = match found {
            Some(index) => inner.plans.remove(index),
            None => {
                inner.made += 1;
                (key, make()?)
            }
        };
        let result = record(&plan);
        if inner.plans.len() == CAPACITY {
            inner.plans.remove(0);
        }
        inner.plans.push((key, plan));
        result
    }

    /// Number of plans that have been made.
    pub fn made(&self) -> u64 {
        self.lock().made
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<P>> {
        // A panic while it was locked can have lost a plan, which is then made again.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

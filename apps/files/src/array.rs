//! A tensor in memory: its values in f64, and its header in the file.

use crate::header::Header;
use anyhow::Result;
use std::ops::{Deref, DerefMut};

/// Values read from a file, with the name and the shape of their [`Header`].
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Name, shape and element type.
    pub header: Header,
    /// In row-major order; every storage type widens to f64 without loss.
    pub data: Vec<f64>,
}

impl Deref for Array {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

impl DerefMut for Array {
    fn deref_mut(&mut self) -> &mut Header {
        &mut self.header
    }
}

impl Array {
    /// Refuses NaN and infinities, saying where the first one is.
    pub fn require_finite(&self) -> Result<()> {
        self.header.require_finite(0, &self.data)
    }
}

//! The catalogue of grids: the schedulers of ComfyUI by name, and its scheduler nodes.

use super::named_grids::SCHEDULERS;
use super::node_grids::NODES;
use super::request::GridRule;
use crate::math::catalog::entry::{Catalogue, Entry};

impl GridRule {
    /// Every scheduler, then every scheduler node. A node is also found by ComfyUI's name.
    pub const CATALOGUE: Catalogue<Self> = Catalogue { entries: &GRIDS };

    /// The names of schedulers that are not nodes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SCHEDULERS.iter().map(|entry| entry.name)
    }
}

const GRIDS: [Entry<GridRule>; SCHEDULERS.len() + NODES.len()] = {
    let mut grids = [SCHEDULERS[0]; SCHEDULERS.len() + NODES.len()];
    let mut i = 0;
    while i < grids.len() {
        grids[i] = if i < SCHEDULERS.len() { SCHEDULERS[i] } else { NODES[i - SCHEDULERS.len()] };
        i += 1;
    }
    grids
};

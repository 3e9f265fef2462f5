//! The catalogue of shaders against those that were compiled: a kernel that plans ask for must be among the kinds that
//! `every_shader` lists, so that what validates the list validates everything.
//!
//! Tensors, storages and options combine into more texts than a list can hold. So a compiled text is known if each of its
//! lines stands in a listed text of the same op and walk: every binding, load, store, constant and file that it is made of.

use std::collections::{BTreeMap, BTreeSet};
use tweedie::gpu::ComposedShader;

/// An entry point, and the op behind it.
type Kind = (String, &'static str);

/// The ops, by the names that head their files.
const OPS: [&str; 6] = ["map", "step", "spread", "histogram", "loss", "vlb"];

/// The listed lines of each kind.
pub struct Catalogue(BTreeMap<Kind, BTreeSet<String>>);

impl Catalogue {
    pub fn of(shaders: &[ComposedShader]) -> Self {
        let mut kinds: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
        for shader in shaders {
            let lines = kinds.entry(kind(shader.entry_point, &shader.text)).or_default();
            for line in shader.text.lines().filter(|line| !line.is_empty()) {
                if !lines.contains(line) {
                    lines.insert(line.to_owned());
                }
            }
        }
        Self(kinds)
    }

    /// The first line of a compiled shader that no listed shader of its kind has.
    pub fn missing<'a>(&self, entry_point: &str, text: &'a str) -> Option<&'a str> {
        let lines = self.0.get(&kind(entry_point, text));
        text.lines().filter(|line| !line.is_empty()).find(|line| lines.is_none_or(|lines| !lines.contains(*line)))
    }
}

fn kind(entry_point: &str, text: &str) -> Kind {
    let is_op = |op: &&str| text.contains(&format!("\n// {op}: "));
    (entry_point.to_owned(), OPS.into_iter().find(is_op).unwrap_or("none"))
}

#[test]
fn a_kernel_that_is_not_listed_is_found() {
    let listed = tweedie::gpu::every_shader();
    // Without one of these the list still has everything else that their kernels are made of.
    let gaps = ["const CURVE = 1u;", "const DEPTH = 3u;", "var<storage, read> table:", "var<storage, read> seeds:"];
    for gap in gaps {
        let shader = listed.iter().find(|shader| shader.text.contains(gap)).expect(gap);
        let wanted = kind(shader.entry_point, &shader.text);
        let like = listed.iter().filter(|other| kind(other.entry_point, &other.text) == wanted);
        let (with, without): (Vec<_>, Vec<_>) = like.cloned().partition(|other| other.text.contains(gap));
        let missing = |list: &[ComposedShader]| Catalogue::of(list).missing(shader.entry_point, &shader.text).is_some();
        assert!(!missing(&with), "{gap}: {} is listed", shader.name());
        assert!(missing(&without), "{gap}: {} was not missed", shader.name());
    }
}

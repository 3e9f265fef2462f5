//! The rules: arrows run down, close no circle, and take an item from the file that defines it.

use super::resolve::{Lost, resolve};
use super::sources::{Module, Modules};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A folder and its floors, the lowest first: names of files (without `.rs`) and of folders.
pub type Floors = (&'static str, &'static [&'static [&'static str]]);

/// An import of one file by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    /// The path as written.
    pub path: String,
    /// Files that hand the item on.
    pub through: Vec<String>,
}

impl Arrow {
    /// Whether the path begins at a place of this crate, not at a name that a `use` brought in.
    fn is_anchored(&self) -> bool {
        ["crate::", "super::", "self::"].iter().any(|anchor| self.path.starts_with(anchor))
    }

    fn ends(&self) -> (String, String, Vec<String>) {
        (self.from.clone(), self.to.clone(), self.through.clone())
    }
}

/// All imports of a crate, and a message for each path that cannot be followed.
pub fn arrows(modules: &Modules) -> (BTreeSet<Arrow>, Vec<String>) {
    let (mut arrows, mut lost) = (BTreeSet::new(), Vec::new());
    for (at, module) in modules {
        for path in imported(module) {
            match resolve(modules, at, path) {
                Ok(found) => {
                    let (from, path) = (module.file.clone(), path.join("::"));
                    arrows.insert(Arrow { from, to: found.file, path, through: found.through });
                }
                Err(Lost::Outside) => {}
                Err(Lost::Unknown) => lost.push(format!("{}: nothing is found at `{}`", module.file, path.join("::"))),
            }
        }
    }
    arrows.retain(|arrow| arrow.from != arrow.to);
    // `Quantity::X0` says nothing that the `use` of `Quantity` has not said.
    let said: BTreeSet<_> = arrows.iter().filter(|arrow| arrow.is_anchored()).map(Arrow::ends).collect();
    arrows.retain(|arrow| arrow.is_anchored() || !said.contains(&arrow.ends()));
    (arrows, lost)
}

/// Paths that count as imports. The re-exports of an index do not.
fn imported(module: &Module) -> impl Iterator<Item = &Vec<String>> {
    let is_index = is_index(&module.file);
    let uses = module.imports.iter().filter(move |import| !(is_index && import.public));
    uses.map(|import| &import.path).chain(&module.paths)
}

fn is_index(file: &str) -> bool {
    file.ends_with("/mod.rs") || file == "src/lib.rs"
}

/// Everything that breaks a rule, one line each.
pub fn violations(modules: &Modules, all: &[Floors]) -> Vec<String> {
    let (arrows, mut broken) = arrows(modules);
    broken.extend(arrows.iter().filter_map(indirect));
    broken.extend(missing_files(modules, all));
    broken.extend(arrows.iter().filter_map(|arrow| upward(all, arrow)));
    broken.extend(circles(&arrows));
    broken.sort();
    broken.dedup();
    broken
}

/// An item that is imported through a file that does not define it.
fn indirect(Arrow { from, to, path, through }: &Arrow) -> Option<String> {
    let passed = through.first()?;
    Some(format!("{from}: `{path}` is imported through {passed}, it is defined in {to}"))
}

/// The deepest folder that holds both files, and the entry in it that each belongs to.
fn entries<'a>(from: &'a str, to: &'a str) -> (String, &'a str, &'a str) {
    let [a, b]: [Vec<&str>; 2] = [from, to].map(|file| file.split('/').collect());
    let depth = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let entry = |parts: &[&'a str]| parts[depth].trim_end_matches(".rs");
    (a[..depth].join("/"), entry(&a), entry(&b))
}

fn floor_of(floors: &[&[&str]], entry: &str) -> Option<usize> {
    floors.iter().position(|floor| floor.contains(&entry))
}

fn upward(all: &[Floors], Arrow { from, to, path, .. }: &Arrow) -> Option<String> {
    let (folder, above, below) = entries(from, to);
    let (_, floors) = all.iter().find(|(name, _)| *name == folder)?;
    let (a, b) = (floor_of(floors, above)?, floor_of(floors, below)?);
    (a <= b).then(|| {
        let way = if a == b { "beside it" } else { "above it" };
        format!("{from}: `{path}` runs up: {below} (floor {b}) stands {way}, {above} is on floor {a} of {folder}")
    })
}

/// Files without a floor, and floors without a file.
fn missing_files(modules: &Modules, all: &[Floors]) -> Vec<String> {
    let mut broken = Vec::new();
    for (folder, floors) in all {
        let below = modules.values().filter_map(|module| module.file.strip_prefix(folder)?.strip_prefix('/'));
        let found: BTreeSet<&str> =
            below.map(|rest| rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs")).collect();
        let named: BTreeSet<&str> = floors.iter().copied().flatten().copied().collect();
        broken.extend(found.difference(&named).map(|entry| format!("{folder}/{entry} has no floor")));
        broken.extend(named.difference(&found).map(|entry| format!("{folder}/{entry} has a floor and no file")));
    }
    let folders: BTreeSet<&str> = modules.values().filter_map(|module| Some(module.file.rsplit_once('/')?.0)).collect();
    let without = folders.into_iter().filter(|folder| !all.iter().any(|(listed, _)| listed == folder));
    broken.extend(without.map(|folder| format!("{folder} has no floors")));
    broken
}

/// Circles of files, each reported once: files that import their way back to themselves.
fn circles(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let (mut told, mut broken) = (BTreeSet::new(), Vec::new());
    for &start in next.keys() {
        if let Some(circle) = way(&next, start, start)
            && circle.iter().all(|file| told.insert(*file))
        {
            let mut line = format!("a circle: {start}");
            circle.iter().for_each(|file| write!(line, " -> {file}").unwrap());
            broken.push(line);
        }
    }
    broken
}

/// The shortest way from one file to another, along at least one arrow.
fn way<'a>(next: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for &file in next.get(way[way.len() - 1]).into_iter().flatten() {
                if file == to {
                    return Some([&way[1..], &[file]].concat());
                }
                if seen.insert(file) {
                    longer.push([&way[..], &[file]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// How many floors and distinct arrows between entries each folder has.
pub fn summary(modules: &Modules, all: &[Floors]) -> String {
    let (arrows, _) = arrows(modules);
    let mut text = String::new();
    for (folder, floors) in all {
        let inside = arrows.iter().map(|arrow| entries(&arrow.from, &arrow.to));
        let between: BTreeSet<_> = inside.filter(|(name, ..)| name == folder).collect();
        let entries: usize = floors.iter().map(|floor| floor.len()).sum();
        writeln!(text, "{folder}: {entries} entries on {} floors, {} arrows", floors.len(), between.len()).unwrap();
    }
    text
}

//! From a path in a module to the file that defines its item.

use super::sources::Modules;
use std::collections::BTreeSet;

/// The place where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file that defines the item, or holds the module.
    pub file: String,
    /// Files that only hand the item on, in the order in which they are passed.
    pub through: Vec<String>,
}

/// A failure to follow a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The path begins with a name of another crate, or of the language.
    Outside,
    /// The path begins in this crate and a later segment is not there.
    Unknown,
}

enum Node {
    Module(Vec<String>),
    Item(String),
}

/// Follows a path that is written in `from`.
pub fn resolve(modules: &Modules, from: &[String], path: &[String]) -> Result<Found, Lost> {
    let mut through = Vec::new();
    let node = Walk { modules, through: &mut through, seen: BTreeSet::new() }.path(from, path)?;
    let file = match node {
        Node::Module(module) => modules[&module].file.clone(),
        Node::Item(file) => file,
    };
    // A file's own imports are no detour for the paths in it.
    through.retain(|passed| *passed != file && *passed != modules[from].file);
    Ok(Found { file, through })
}

struct Walk<'a> {
    modules: &'a Modules,
    through: &'a mut Vec<String>,
    /// Names that are already followed: a name that leads back to itself leads nowhere.
    seen: BTreeSet<(Vec<String>, String)>,
}

impl Walk<'_> {
    fn path(&mut self, from: &[String], path: &[String]) -> Result<Node, Lost> {
        let mut at = from.to_vec();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            rest = after;
        }
        let is_anchored = rest.len() < path.len();
        let Some((first, after)) = rest.split_first() else { return Ok(Node::Module(at)) };
        let mut node = match self.name(&at, first) {
            Ok(node) => node,
            Err(_) if is_anchored => return Err(Lost::Unknown),
            Err(_) => return Err(Lost::Outside),
        };
        for segment in after {
            let Node::Module(module) = node else { break };
            node = self.name(&module, segment)?;
        }
        Ok(node)
    }

    /// A name in a module: a child, an item, or whatever a `use` brings in.
    fn name(&mut self, at: &[String], name: &str) -> Result<Node, Lost> {
        let module = self.modules.get(at).ok_or(Lost::Unknown)?;
        let child = [at, &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return Ok(Node::Module(child));
        }
        if module.items.contains(name) {
            return Ok(Node::Item(module.file.clone()));
        }
        if !self.seen.insert((at.to_vec(), name.to_owned())) {
            return Err(Lost::Unknown);
        }
        let named = module.imports.iter().find(|import| import.name == name);
        let globs = module.imports.iter().filter(|import| import.name == "*");
        let tries = named.map(|import| import.path.clone()).into_iter();
        let tries = tries.chain(globs.map(|glob| [&glob.path[..], &[name.to_owned()]].concat()));
        for path in tries {
            let before = self.through.len();
            self.through.push(module.file.clone());
            match self.path(at, &path) {
                Ok(node) => return Ok(node),
                Err(_) => self.through.truncate(before),
            }
        }
        Err(Lost::Unknown)
    }
}

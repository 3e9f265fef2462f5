//! Modules of a crate as `syn` reads them: items, uses and paths of each file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Item, UseTree, Visibility};

/// A name that a `use` brings into a module.
#[derive(Clone, Debug)]
pub struct Import {
    /// The segments as written.
    pub path: Vec<String>,
    /// The name in the module; `*` for a glob.
    pub name: String,
    /// Re-exported, with any visibility.
    pub public: bool,
}

/// A module: a file, or an inline module of one.
#[derive(Debug, Default)]
pub struct Module {
    /// The file that holds the module, from the root of the repository.
    pub file: String,
    /// Items that the module defines, its child modules excepted.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two segments and more that are written without a `use`.
    pub paths: BTreeSet<Vec<String>>,
}

/// Modules by their path from the root of the crate.
pub type Modules = BTreeMap<Vec<String>, Module>;

/// Reads the sources of a crate: pairs of a file name, `src/...`, and its text.
pub fn read(sources: &[(String, String)]) -> Modules {
    let mut modules = Modules::new();
    for (file, text) in sources {
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader { modules: &mut modules, at: module_of(file), file };
        reader.module().file.clone_from(file);
        parsed.items.iter().for_each(|item| reader.visit_item(item));
    }
    modules
}

/// All Rust files below a folder, in order.
pub fn files_below(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(root, &name));
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            found.push((name, text));
        }
    }
    found
}

pub fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(segments.last().map(String::as_str), Some("mod" | "lib")) {
        segments.pop();
    }
    segments
}

struct Reader<'a> {
    modules: &'a mut Modules,
    at: Vec<String>,
    file: &'a str,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.at.clone()).or_default()
    }

    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            _ => return,
        };
        let name = name.to_string();
        self.module().items.insert(name);
    }

    fn import(&mut self, tree: &UseTree, before: &[String], public: bool) {
        let joined = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(tree) => return self.import(&tree.tree, &joined(&tree.ident), public),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(tree, before, public)),
            UseTree::Glob(_) => (before.to_vec(), "*".to_owned()),
            UseTree::Rename(tree) => (joined(&tree.ident), tree.rename.to_string()),
            // `use a::b::{self}` names the module.
            UseTree::Name(tree) if tree.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            UseTree::Name(tree) => (joined(&tree.ident), tree.ident.to_string()),
        };
        self.module().imports.push(Import { path, name, public });
    }

    /// Paths in the arguments of macros and attributes, which `syn` leaves as tokens.
    fn tokens(&mut self, tokens: &str) {
        let mut path: Vec<String> = Vec::new();
        let mut joined = false;
        for token in tokens.split_whitespace().chain([";"]) {
            let is_name = token.chars().all(|c| c.is_alphanumeric() || c == '_');
            match (token, is_name) {
                ("::", _) => joined = true,
                (name, true) if joined => {
                    path.push(name.to_owned());
                    joined = false;
                }
                _ => {
                    self.path(std::mem::take(&mut path));
                    path.extend(is_name.then(|| token.to_owned()));
                    joined = false;
                }
            }
        }
    }

    fn path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.module().paths.insert(path);
        }
    }
}

/// Tokens with spaces around each, so that words can be told apart; strings become empty.
fn spaced(tokens: &str) -> String {
    let mut out = String::with_capacity(2 * tokens.len());
    for (index, part) in tokens.split('"').enumerate() {
        if index % 2 == 0 {
            out.push_str(&part.replace("::", " :: "));
        }
    }
    out.chars().flat_map(|c| if "(){}[]<>,;.&|!?=+-*/#$'".contains(c) { vec![' ', c, ' '] } else { vec![c] }).collect()
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.define(item);
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if let Some((_, items)) = &module.content {
            self.at.push(module.ident.to_string());
            let file = self.file.to_owned();
            self.module().file = file;
            items.iter().for_each(|item| self.visit_item(item));
            self.at.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &[], public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.path(item.path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        self.tokens(&spaced(&item.tokens.to_string()));
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(&spaced(&list.tokens.to_string()));
        }
    }

    /// `pub(in crate::math)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

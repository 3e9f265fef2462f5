//! The public API of the crate, as text: read from the sources, and compared with `docs/api.txt`.
//!
//! `TWEEDIE_RENEW=1 cargo test -p tweedie --test main public_api` renews the file. It is made by `syn`, like the floors,
//! because rustdoc's JSON, which `cargo public-api` needs, is not available on a stable compiler. Auto traits are not listed.

use crate::floors::resolve::{Lost, resolve};
use crate::floors::sources::{self, Modules};
use proc_macro2::TokenTree;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use syn::{Attribute, Fields, File, ImplItem, Item, ItemImpl, Type, UseTree, Visibility, parse_quote};

const HEAD: &str = "\
// The public API of tweedie with all features: each item at its shortest path. `_: _` stands for private fields, `{}` for bodies.
// `TWEEDIE_RENEW=1 cargo test -p tweedie --test main public_api` renews this file.
";

/// The place that defines an item: a file and a name.
type Definition = (String, String);

/// A crate as text: its modules, and the impl blocks of each type.
struct Crate {
    modules: Modules,
    files: BTreeMap<Vec<String>, File>,
    impls: BTreeMap<Definition, Vec<(Vec<String>, ItemImpl)>>,
}

impl Crate {
    fn read(texts: &[(String, String)]) -> Self {
        let modules = sources::read(texts);
        let parse = |(file, text): &(String, String)| (sources::module_of(file), syn::parse_file(text).expect(file));
        let files: BTreeMap<_, _> = texts.iter().map(parse).collect();
        let mut read = Self { modules, files, impls: BTreeMap::new() };
        let mut impls: BTreeMap<Definition, Vec<_>> = BTreeMap::new();
        for (module, file) in &read.files {
            let written = file
                .items
                .iter()
                .filter_map(|item| if let Item::Impl(block) = item { Some(block.clone()) } else { None });
            for block in written.chain(constructors(file)) {
                if let Some(definition) = path_of(&block.self_ty).and_then(|path| read.define(module, &path).ok()) {
                    impls.entry(definition).or_default().push((module.clone(), block));
                }
            }
        }
        read.impls = impls;
        read
    }

    fn define(&self, from: &[String], path: &[String]) -> Result<Definition, Lost> {
        let found = resolve(&self.modules, from, path)?;
        Ok((found.file, path.last().expect("a name").clone()))
    }

    /// The item of a definition; none where the definition is a module.
    fn item(&self, (file, name): &Definition) -> Option<&Item> {
        let module = sources::module_of(file);
        self.files[&module].items.iter().find(|item| name_of(item).as_deref() == Some(name))
    }

    /// The public items by path, each with the text of its declaration and its impl blocks.
    fn listing(&self) -> String {
        let (items, aliases) = self.public_items();
        let public: BTreeSet<&Definition> = items.values().collect();
        let mut lines: BTreeMap<&str, String> = BTreeMap::new();
        for (path, definition) in &items {
            let item = self.item(definition).expect("a definition");
            let blocks = self.impls.get(definition).into_iter().flatten();
            let blocks = blocks.filter_map(|(module, block)| self.public_block(module, block, &public));
            let mut texts: Vec<String> = blocks.map(|block| text_of(Item::Impl(block))).collect();
            texts.sort();
            texts.dedup();
            lines.insert(path, format!("{}{}", text_of(declaration(item)), texts.concat()));
        }
        for (path, target) in &aliases {
            lines.insert(path, format!("pub use {target};\n"));
        }
        let items = lines.iter().map(|(path, text)| format!("\n// {path}\n{text}"));
        HEAD.to_owned() + &items.collect::<String>()
    }

    /// Definitions and further names, by public path. The shortest path of an item is found first.
    fn public_items(&self) -> (BTreeMap<String, Definition>, BTreeMap<String, String>) {
        let (mut items, mut aliases, mut first) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut queue = VecDeque::from([("tweedie".to_owned(), Vec::new())]);
        while let Some((at, module)) = queue.pop_front() {
            let mut found = Vec::new();
            for item in &self.files[&module].items {
                match item {
                    _ if attributes(item).iter().any(is_of_docs) => {}
                    Item::Mod(item) if is_public(&item.vis) => {
                        let name = item.ident.to_string();
                        queue.push_back((format!("{at}::{name}"), [&module[..], &[name]].concat()));
                    }
                    Item::Use(item) if is_public(&item.vis) => leaves(&item.tree, &[], &mut found),
                    item => {
                        let name = name_of(item).filter(|_| visibility(item).is_some_and(is_public));
                        found.extend(name.map(|name| (vec!["self".to_owned(), name.clone()], name)));
                    }
                }
            }
            for (path, name) in found {
                let public = format!("{at}::{name}");
                match self.define(&module, &path) {
                    Ok(definition) if self.item(&definition).is_none() => {
                        aliases.insert(public, path.join("::"));
                    }
                    Ok(definition) => match first.get(&definition) {
                        Some(known) => drop(aliases.insert(public, String::clone(known))),
                        None => {
                            first.insert(definition.clone(), public.clone());
                            items.insert(public, definition);
                        }
                    },
                    Err(Lost::Outside) => drop(aliases.insert(public, path.join("::"))),
                    Err(Lost::Unknown) => panic!("{public}: {} leads nowhere", path.join("::")),
                }
            }
        }
        (items, aliases)
    }

    /// The block with its public items alone, without their bodies; none if nothing is left.
    fn public_block(&self, module: &[String], block: &ItemImpl, public: &BTreeSet<&Definition>) -> Option<ItemImpl> {
        let mut block = block.clone();
        if block.attrs.iter().any(is_of_tests) {
            return None;
        }
        let is_of_trait = block.trait_.is_some();
        if let Some((_, path, _)) = &block.trait_ {
            let path: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            if self.define(module, &path).is_ok_and(|definition| !public.contains(&definition)) {
                return None;
            }
        }
        keep(&mut block.attrs);
        block.items.retain_mut(|item| match item {
            ImplItem::Fn(item) => {
                keep(&mut item.attrs);
                item.block = parse_quote!({});
                is_public(&item.vis)
            }
            ImplItem::Const(item) => {
                keep(&mut item.attrs);
                item.expr = parse_quote!(_);
                is_of_trait || is_public(&item.vis)
            }
            ImplItem::Type(_) => true,
            _ => false,
        });
        (is_of_trait || !block.items.is_empty()).then_some(block)
    }
}

/// Collects the names that a `use` re-exports, each with its path.
fn leaves(tree: &UseTree, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let joined = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(tree) => leaves(&tree.tree, &joined(&tree.ident), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, before, found)),
        UseTree::Name(tree) => found.push((joined(&tree.ident), tree.ident.to_string())),
        UseTree::Rename(tree) => found.push((joined(&tree.ident), tree.rename.to_string())),
        UseTree::Glob(_) => panic!("a glob is re-exported: this listing does not read them"),
    }
}

fn path_of(ty: &Type) -> Option<Vec<String>> {
    match ty {
        Type::Path(ty) => Some(ty.path.segments.iter().map(|segment| segment.ident.to_string()).collect()),
        Type::Reference(ty) => path_of(&ty.elem),
        _ => None,
    }
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The name, visibility and attributes of the items that an API has.
macro_rules! part {
    ($item:expr, $found:ident => $part:expr) => {
        match $item {
            Item::Const($found) => Some($part),
            Item::Enum($found) => Some($part),
            Item::Static($found) => Some($part),
            Item::Struct($found) => Some($part),
            Item::Trait($found) => Some($part),
            Item::Type($found) => Some($part),
            Item::Union($found) => Some($part),
            _ => None,
        }
    };
}

fn name_of(item: &Item) -> Option<String> {
    if let Item::Fn(item) = item {
        Some(item.sig.ident.to_string())
    } else {
        part!(item, found => found.ident.to_string())
    }
}

const fn visibility(item: &Item) -> Option<&Visibility> {
    if let Item::Fn(item) = item { Some(&item.vis) } else { part!(item, found => &found.vis) }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        item => part!(item, found => &found.attrs[..]).unwrap_or_default(),
    }
}

fn has(attribute: &Attribute, word: &str) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    attribute.path().is_ident("cfg")
        && list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
}

fn is_of_tests(attribute: &Attribute) -> bool {
    has(attribute, "test")
}

/// Whether an attribute leaves its item to rustdoc, doctests or tests alone.
fn is_of_docs(attribute: &Attribute) -> bool {
    has(attribute, "doc") || has(attribute, "doctest") || is_of_tests(attribute)
}

/// Keeps the attributes that a caller sees.
fn keep(attributes: &mut Vec<Attribute>) {
    const SEEN: [&str; 5] = ["cfg", "derive", "must_use", "non_exhaustive", "repr"];
    attributes.retain(|attribute| SEEN.iter().any(|name| attribute.path().is_ident(name)));
}

/// The item without docs, bodies, values and private fields.
fn declaration(item: &Item) -> Item {
    let mut item = item.clone();
    match &mut item {
        Item::Fn(item) => {
            keep(&mut item.attrs);
            item.block = parse_quote!({});
        }
        Item::Const(item) => {
            keep(&mut item.attrs);
            item.expr = parse_quote!(_);
        }
        Item::Struct(item) => {
            keep(&mut item.attrs);
            public_fields(&mut item.fields);
        }
        Item::Enum(item) => {
            keep(&mut item.attrs);
            for variant in &mut item.variants {
                keep(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| keep(&mut field.attrs));
            }
        }
        Item::Trait(item) => {
            keep(&mut item.attrs);
            for item in &mut item.items {
                match item {
                    syn::TraitItem::Fn(item) => {
                        keep(&mut item.attrs);
                        item.default = item.default.as_ref().map(|_| parse_quote!({}));
                    }
                    syn::TraitItem::Const(item) => keep(&mut item.attrs),
                    syn::TraitItem::Type(item) => keep(&mut item.attrs),
                    _ => {}
                }
            }
        }
        Item::Type(item) => keep(&mut item.attrs),
        item => panic!("{:?}: this listing does not read such an item", name_of(item)),
    }
    item
}

fn public_fields(fields: &mut Fields) {
    fields.iter_mut().for_each(|field| keep(&mut field.attrs));
    match fields {
        Fields::Named(named) => {
            let all = named.named.len();
            named.named = std::mem::take(&mut named.named).into_iter().filter(|field| is_public(&field.vis)).collect();
            if named.named.len() < all {
                let private: syn::FieldsNamed = parse_quote!({ _: _ });
                named.named.extend(private.named);
            }
        }
        Fields::Unnamed(unnamed) => {
            for field in unnamed.unnamed.iter_mut().filter(|field| !is_public(&field.vis)) {
                field.vis = Visibility::Inherited;
                field.ty = parse_quote!(_);
            }
        }
        Fields::Unit => {}
    }
}

fn text_of(item: Item) -> String {
    prettyplease::unparse(&File { shebang: None, attrs: Vec::new(), items: vec![item] })
}

/// Macros that make nothing public.
const PRIVATE_MACROS: &[&str] = &["is_walk"];

/// The block that `constructors!` makes of its list: a function with the macro's signature for each name.
///
/// Panics at any other macro that makes items, which would be missing from the listing.
fn constructors(file: &File) -> Option<ItemImpl> {
    let macros = file.items.iter().filter_map(|item| if let Item::Macro(item) = item { Some(item) } else { None });
    let (definitions, calls): (Vec<_>, Vec<_>) = macros.partition(|item| item.ident.is_some());
    let is_private = |call: &&&syn::ItemMacro| PRIVATE_MACROS.iter().any(|name| call.mac.path.is_ident(name));
    let call = calls.iter().find(|call| !is_private(call))?;
    assert!(call.mac.path.is_ident("constructors"), "this listing does not read {}", call.mac.path.segments[0].ident);
    let definition = definitions.iter().find(|item| item.ident.as_ref().is_some_and(|name| name == "constructors"))?;
    let body = definition.mac.tokens.to_string().replace("$ ", "$");
    let signature = body.split_once("pub fn $name").expect("a function").1.split('{').next().expect("a signature");
    let names = call.mac.tokens.clone().into_iter().collect::<Vec<_>>();
    let functions = names.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Punct(colon)] if colon.as_char() == ':' => {
            Some(format!("pub fn {name}{signature} {{}}"))
        }
        _ => None,
    });
    let block = format!("impl Sampler {{ {} }}", functions.collect::<Vec<_>>().join("\n"));
    Some(syn::parse_str(&block).expect("an impl block"))
}

fn crate_sources() -> Vec<(String, String)> {
    sources::files_below(Path::new(env!("CARGO_MANIFEST_DIR")), "src")
}

#[test]
fn the_public_api_is_the_recorded_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.txt");
    let found = Crate::read(&crate_sources()).listing();
    if std::env::var_os("TWEEDIE_RENEW").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let (before, after) = (lines(&recorded), lines(&found));
    let gone = before.difference(&after).map(|[path, line]| format!("- {path}: {line}\n"));
    let new = after.difference(&before).map(|[path, line]| format!("+ {path}: {line}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(
        recorded == found,
        "docs/api.txt differs from the sources; if that is meant, TWEEDIE_RENEW=1 renews it:\n{changes}"
    );
}

/// The lines of a listing, each with the path that it belongs to.
fn lines(listing: &str) -> BTreeSet<[&str; 2]> {
    let mut path = "";
    let line = |line| match str::strip_prefix(line, "// ") {
        Some(heading) => {
            path = heading;
            [path, ""]
        }
        None => [path, line],
    };
    listing.lines().map(line).collect()
}

/// A crate with a private module, field and trait, a second name for an item, docs-only code and test code.
const SMALL: &[(&str, &str)] = &[
    ("src/lib.rs", "pub mod gpu; mod hidden; pub use gpu::Map; pub use std::fmt; #[cfg(doc)] pub mod guide;"),
    ("src/guide.rs", "pub struct Page;"),
    ("src/hidden.rs", "pub trait Sealed {} pub struct Secret;"),
    ("src/gpu/mod.rs", "mod map; pub use map::Map;"),
    (
        "src/gpu/map.rs",
        "/// A map.\n#[derive(Clone)] pub struct Map { pub table: u32, hidden: u8 }\n\
         impl Map { /// Doubles.\npub const fn twice(&self) -> u32 { 2 } fn own(&self) {} }\n\
         impl crate::hidden::Sealed for Map {} impl Default for Map { fn default() -> Self { todo!() } }\n\
         #[cfg(test)] impl Map { pub fn test() {} }",
    ),
];

#[test]
fn a_small_crate_is_listed() {
    let texts: Vec<_> = SMALL.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    let expected = "
// tweedie::Map
#[derive(Clone)]
pub struct Map {
    pub table: u32,
    _: _,
}
impl Default for Map {}
impl Map {
    pub const fn twice(&self) -> u32 {}
}

// tweedie::fmt
pub use std::fmt;

// tweedie::gpu::Map
pub use tweedie::Map;
";
    assert_eq!(Crate::read(&texts).listing(), format!("{HEAD}{expected}"));
}

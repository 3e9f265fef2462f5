//! File names in comments: each names a file that exists.
//!
//! A name is found by its path from the root of the repository, by its path from the folder of the comment, or because
//! exactly one path ends with it. Names of files that users bring, or that many folders have, are listed with the reason.

use std::collections::BTreeSet;
use std::path::Path;

/// Folders whose comments are read.
const FOLDERS: [&str; 8] = ["src", "shaders", "tests", "examples", "apps", "benches", "xtask", "integrations"];

/// Folders that hold files of others, or the output of a build.
const SKIPPED: [&str; 5] = ["target", ".git", "node_modules", "shared", "dist"];

/// Kinds of files that count as pointers.
const KINDS: [&str; 9] = ["rs", "wgsl", "sh", "md", "json", "toml", "yml", "html", "js"];

/// Names that stand for no single file of the repository, and the reason.
const FOREIGN: &[(&str, &str)] = &[
    ("scheduler_config.json", "a file of diffusers, which users bring"),
    ("guider_config.json", "a file of diffusers, which users bring"),
    ("mod.rs", "the index of any folder"),
    ("lib.rs", "the root of any crate"),
];

/// Words in names that stand for whatever a user writes there.
const PLACEHOLDERS: [&str; 3] = ["DIR", "NAME", "ENTRY_HASH"];

/// This file, whose names are made up.
const MADE_UP: &str = "tests/pointers.rs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder, by their path from the root.
fn files_below(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    for entry in entries.map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        match entry.file_type().unwrap().is_dir() {
            true if SKIPPED.contains(&name.as_str()) => {}
            true => files_below(root, &path, found),
            false => found.push(path),
        }
    }
}

/// The comment of a line, if it has one.
fn comment<'a>(file: &str, line: &'a str) -> Option<&'a str> {
    let mark = match file.rsplit('.').next() {
        Some("rs" | "wgsl" | "js") => "//",
        Some("sh" | "toml" | "yml") => "#",
        _ => return None,
    };
    let text = line.trim_start();
    let inside = format!(" {mark} ");
    text.strip_prefix(mark).or_else(|| text.split_once(&inside).map(|(_, comment)| comment))
}

/// The file names in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| c.is_whitespace() || "`\"'()[]{}<>,;|*".contains(c));
    let words = words.filter(|word| !word.contains("://") && !word.contains("..."));
    words.map(|word| word.trim_end_matches(['.', ':', '!', '?']).trim_start_matches("./")).filter(|word| {
        let kind = word.rsplit_once('.').filter(|(stem, _)| stem.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        let is_pattern = word.split(['/', '.']).any(|part| PLACEHOLDERS.contains(&part));
        kind.is_some_and(|(_, kind)| KINDS.contains(&kind)) && !is_pattern
    })
}

/// Whether a name in a comment of `file` is that of a file.
fn exists(files: &BTreeSet<String>, file: &str, name: &str) -> bool {
    let beside = match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    };
    let ends_so = files.iter().filter(|path| path.strip_suffix(name).is_some_and(|before| before.ends_with('/')));
    files.contains(name) || files.contains(&beside) || ends_so.count() == 1
}

/// The names in the comments of a text that no file has, each with its line.
fn stale(files: &BTreeSet<String>, file: &str, text: &str) -> Vec<(usize, String)> {
    let comments = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, comment(file, line)?)));
    let names = comments.flat_map(|(line, comment)| names(comment).map(move |name| (line, name)));
    names.filter(|(_, name)| !exists(files, file, name)).map(|(line, name)| (line, name.to_owned())).collect()
}

#[test]
fn comments_name_files_that_exist() {
    let mut all = Vec::new();
    files_below(root(), "", &mut all);
    let files: BTreeSet<String> = all.into_iter().collect();
    let (mut unused, mut found) = (BTreeSet::from_iter(FOREIGN.iter().map(|(name, _)| *name)), Vec::new());
    for file in files.iter().filter(|file| FOLDERS.iter().any(|folder| file.split('/').next() == Some(folder))) {
        if file == MADE_UP {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for (line, name) in stale(&files, file, &text) {
            match FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
                Some((foreign, _)) => drop(unused.remove(foreign)),
                None => found.push(format!("{file}:{line}: no file is called {name}, or more than one is")),
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    assert!(unused.is_empty(), "no comment names {unused:?}");
}

#[test]
fn a_stale_pointer_is_found() {
    let files = ["src/a.rs", "src/b/mod.rs", "src/c/mod.rs", "shaders/x.wgsl", "README.md"].map(str::to_owned);
    let files = BTreeSet::from(files);
    let stale = |text| stale(&files, "src/b/mod.rs", text).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(stale("//! See `a.rs`, shaders/x.wgsl, (mod.rs) and README.md.\nlet a = \"gone.rs\";"), [""; 0]);
    assert_eq!(
        stale("/// See `gone.rs`.\nlet b = 1; // as y.wgsl does, https://example.org/far.rs"),
        ["gone.rs", "y.wgsl"]
    );
    assert_eq!(stale("// src/d/mod.rs: x/a.rs."), ["src/d/mod.rs", "x/a.rs"]);
    assert_eq!(self::stale(&files, "src/a.rs", "// In mod.rs"), [(1, "mod.rs".to_owned())], "two files have the name");
    assert_eq!(self::stale(&files, "xtask/run.sh", "ls # a.rs\n# gone.sh"), [(2, "gone.sh".to_owned())]);
}

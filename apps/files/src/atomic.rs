//! Files that are either whole or untouched.
//!
//! Everything is written to a temporary file next to its destination, which is renamed over it at the end. A run that fails, is
//! interrupted, or fills the disk leaves no partial file, and never damages the one that was there.

use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::{Builder, NamedTempFile};

/// Writes `bytes` to `path` as one atomic step.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Pending::create(path)?;
    file.write_at(0, bytes)?;
    file.finish()
}

/// A file that is being written: it appears at its path at the end, or not at all if it is dropped before.
#[derive(Debug)]
pub struct Pending {
    /// The path as the user wrote it.
    path: PathBuf,
    target: PathBuf,
    file: NamedTempFile,
}

impl Pending {
    /// Begins a file that will appear at `path`.
    pub fn create(path: &Path) -> Result<Self> {
        check_destination(path)?;
        let target = behind_link(path);
        let file = temporary_in(folder_of(&target)).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), target, file })
    }

    /// Writes bytes at an offset; a gap before it holds zeros.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.file.as_file_mut();
        let written = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Puts the file in place, replacing one that was there.
    pub fn finish(self) -> Result<()> {
        let Self { path, target, file } = self;
        put(file, &target).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Checks that `path` can be written. Call it before the work starts, so that nobody waits only to be refused.
pub fn check_destination(path: &Path) -> Result<()> {
    let shown = path.display();
    if path.as_os_str().is_empty() {
        bail!("expected the name of an output file, found an empty one");
    }
    if path.is_dir() {
        bail!("cannot write {shown}: expected a file, found a directory");
    }
    if path.exists() && !path.is_file() {
        bail!("cannot write {shown}: expected a regular file, found something else");
    }
    if path.file_name().is_none() {
        bail!("cannot write {shown}: this is not the name of a file");
    }
    let folder = folder_of(path);
    if !folder.exists() {
        bail!("cannot write {shown}: the directory {} does not exist", folder.display());
    }
    if !folder.is_dir() {
        bail!("cannot write {shown}: {} is not a directory", folder.display());
    }
    Ok(())
}

fn put(file: NamedTempFile, target: &Path) -> Result<()> {
    if let Ok(old) = fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(target).map_err(|failed| failed.error)?; // dropping `failed` removes the temporary file
    Ok(())
}

/// A temporary file is private by default; this one becomes the user's file, so their umask decides.
fn temporary_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".tweedie-").suffix(".part");
    let open_to_all = ordinary_permissions();
    if let Some(permissions) = open_to_all {
        builder.permissions(permissions);
    }
    builder.tempfile_in(folder)
}

#[cfg(unix)]
fn ordinary_permissions() -> Option<Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(Permissions::from_mode(0o666))
}

/// Elsewhere files inherit their access rights from the directory.
#[cfg(not(unix))]
fn ordinary_permissions() -> Option<Permissions> {
    None
}

/// Renaming over a symbolic link would replace the link; the user means the file behind it.
fn behind_link(path: &Path) -> PathBuf {
    if path.is_symlink() { fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn writes_and_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn refuses_directories_and_missing_parents_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/a.json");
        for (path, word) in
            [(folder.path(), "found a directory"), (&missing, "does not exist"), (Path::new(""), "empty")]
        {
            let error = format!("{:#}", write(path, b"x").unwrap_err());
            assert!(error.contains(word) && !error.contains('\n'), "{error}");
        }
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_failed_write_keeps_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"precious").unwrap();
        assert!(write(&path.join("below"), b"x").is_err()); // the parent is a file
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn parts_may_come_in_any_order_and_nothing_is_left_of_a_file_that_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let mut file = Pending::create(&path).unwrap();
        file.write_at(3, b"de").unwrap();
        file.write_at(0, b"abc").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abcde");
        let mut given_up = Pending::create(&path).unwrap();
        given_up.write_at(0, b"x").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap(), b"abcde");
        assert_eq!(names(folder.path()), ["a.bin"]);
    }

    #[cfg(unix)]
    #[test]
    fn new_files_follow_the_umask_and_old_ones_keep_their_mode() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write(&ours, b"x").unwrap();
        fs::write(&plain, b"x").unwrap();
        assert_eq!(mode(&ours), mode(&plain));
        fs::set_permissions(&ours, Permissions::from_mode(0o640)).unwrap();
        write(&ours, b"y").unwrap();
        assert_eq!(mode(&ours), 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }
}

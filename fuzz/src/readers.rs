//! The files that the tool reads.

use files::{Picture, TensorFile};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tweedie_bench::lines;
use tweedie_cli::study::data::Data;

/// Writes the bytes into a file with this extension, one for each thread, in a folder for the process.
fn file(extension: &str, data: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for the file"));
    // Tests run in parallel.
    let path = folder.path().join(format!("{:?}.{extension}", std::thread::current().id()));
    std::fs::write(&path, data).expect("the file is written");
    path
}

/// Returns the value of a result; asserts that an error is one line, whatever the file holds.
fn said<T>(result: anyhow::Result<T>) -> Option<T> {
    result.map_err(|error| assert!(!format!("{error:#}").contains('\n'), "{error:#}")).ok()
}

pub fn tensors(data: &[u8]) {
    let path = file("safetensors", data);
    study(&path);
    let Some(file) = said(TensorFile::open(&path)) else { return };
    for name in file.names() {
        assert!(file.has(&name));
        let Some(array) = said(file.floats(&name)) else { continue };
        assert_eq!(array.data.len(), array.batch() * array.per_sample());
        assert!(array.data.len() <= data.len(), "more elements than bytes");
        said(file.finite_floats(&name));
        for other in file.names() {
            said(file.floats_like(&other, &array));
            if let Some(timesteps) = said(file.timesteps(&other, &array, 1000)) {
                assert!(timesteps.len() == array.batch() && timesteps.iter().all(|&t| t < 1000));
            }
        }
    }
}

pub fn arrays(data: &[u8]) {
    study(&file("npy", data));
}

pub fn pictures(data: &[u8]) {
    let path = file("png", data);
    if let Some(picture) = said(Picture::open(&path, 320, 200)) {
        assert!(picture.width >= 1 && picture.height >= 1 && picture.width <= 320 && picture.height <= 200);
        assert_eq!(picture.data.len(), picture.channels * picture.width * picture.height);
        assert!(picture.data.iter().all(|value| (-1.0..=1.0).contains(value)));
    }
    if let Some(square) = said(Picture::open_square(&path, 16)) {
        assert_eq!((square.width, square.height), (16, 16));
    }
}

pub fn measurements(data: &[u8]) {
    if let Some(lines) = said(lines::read(&file("jsonl", data))) {
        assert!(!lines.is_empty() && lines.iter().all(|line| line.median_ms > 0.0));
    }
}

/// Reads a file as `tweedie study` does.
fn study(path: &Path) {
    if let Some(data) = said(Data::open(Some(path), None, 1)) {
        assert!(data.deviation > 0.0 && data.mean.is_finite() && data.least < data.most);
        assert!(data.chosen.iter().all(|value| value.is_finite()));
    }
}

//! Files as others write them, and files that are broken. Small ones lie in `tests/formats/files`, made by `tests/formats/make.py`;
//! the public data sets are read from the folder `GALEN_DATA`, where it is set.
#![cfg(any(feature = "images", feature = "npy"))]

#[cfg(feature = "images")]
#[path = "formats/corpus.rs"]
mod corpus;
#[cfg(feature = "images")]
#[path = "formats/images.rs"]
mod images;
#[cfg(feature = "images")]
#[path = "formats/masks.rs"]
mod masks;
#[cfg(feature = "npy")]
#[path = "formats/npy.rs"]
mod npy;
#[cfg(feature = "npy")]
#[path = "formats/npz.rs"]
mod npz;
#[path = "common/skip.rs"]
mod skip;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use galen::Tensor;
use galen::data::{Rows, Source};

/// A committed file.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/files").join(name)
}

/// The folder with the public data sets.
fn data(test: &str) -> Option<PathBuf> {
    skip::data(test, ".")
}

/// A folder of its own for each test, gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("galen-formats-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// All samples as one tensor.
fn decode(rows: impl Rows + 'static) -> galen::Result<Tensor> {
    Source::rows(rows).to_tensor()
}

/// That `result` is refused with a message that has all of these words in it.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: galen::Result<T>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "\"{word}\" is not in: {message}");
    }
}

//! NPZ, NumPy's format for several named arrays: a ZIP archive of NPY files, stored (`numpy.savez`) or deflated
//! (`numpy.savez_compressed`).
//!
//! ```
//! use galen::data::formats::npz::{self, Npz};
//! use ndarray::array;
//!
//! let path = std::env::temp_dir().join("galen-doc-scores.npz");
//! npz::write(&path, [("score", array![0.25_f32, 0.75].into()), ("record", array![100_u32, 203].into())])?;
//! let scores = Npz::open(&path)?;
//! assert_eq!(scores.names(), ["score", "record"]);
//! assert_eq!(scores.array("record")?.to_u32()?[[1]], 203);
//! # std::fs::remove_file(path).unwrap();
//! # Ok::<(), galen::Error>(())
//! ```

use std::fmt;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::MOST_UNPACKED;
use super::npy::{self, NpyArray, NpyRows};
use super::storage::{Reader, Storage};
use crate::error::{Error, Result};
use crate::file::{self, Access};

/// An NPZ file, opened: its list of arrays has been read, and none of them. Cloning is cheap. Threads can read from it at once.
#[derive(Clone)]
pub struct Npz {
    archive: ZipArchive<Reader>,
    storage: Storage,
    names: Vec<String>,
    most_bytes: u64,
    path: PathBuf,
}

impl Npz {
    /// Opens the NPZ file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Format`] where it is no ZIP archive, or one that ends early.
    pub fn open(path: impl AsRef<Path>) -> Result<Npz> {
        let path = path.as_ref();
        Npz::new(Storage::open(path)?, path)
    }

    /// The NPZ file that consists of these bytes; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Npz::open`].
    pub fn parse(bytes: impl Into<Arc<[u8]>>, name: &Path) -> Result<Npz> {
        Npz::new(Storage::Memory(bytes.into()), name)
    }

    fn new(storage: Storage, path: &Path) -> Result<Npz> {
        let archive = ZipArchive::new(storage.reader()).map_err(|e| refuse(e, path))?;
        let name = |entry: &str| entry.strip_suffix(".npy").map(str::to_owned);
        let names = archive.file_names().filter_map(name).collect();
        Ok(Npz { archive, storage, names, most_bytes: MOST_UNPACKED, path: path.to_owned() })
    }

    /// Refuses deflated arrays that have more bytes than this, before they fill the memory; 4 GiB unless told otherwise.
    #[must_use]
    pub fn most_bytes(self, bytes: u64) -> Npz {
        Npz { most_bytes: bytes, ..self }
    }

    /// The names of the arrays, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The array of this name, decoded.
    ///
    /// # Errors
    /// [`Error::Format`] where there is none of that name (naming those that there are), or as [`npy::read`]; also where the
    /// archive's checksum is not that of the content, or a deflated array has more than [`Npz::most_bytes`].
    pub fn array(&self, name: &str) -> Result<NpyArray> {
        let (index, path) = self.find(name)?;
        // The entries' list is shared; only the position is the clone's own.
        let mut archive = self.archive.clone();
        let mut entry = archive.by_index(index).map_err(|e| refuse(e, &path))?;
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored && size > self.most_bytes {
            let expected = format!("at most {} bytes, deflated (Npz::most_bytes)", self.most_bytes);
            return Err(Error::Format { path, expected, actual: size.to_string() });
        }
        // No more than the archive's list says; the byte after it, which is not there, makes the reader compare the checksum.
        npy::decode(&mut entry.by_ref().take(size.saturating_add(1)), &path)
    }

    /// The array of this name as samples that stay on disk until they are wanted, as [`npy::rows`]. The archive's checksum is not
    /// looked at. Deflated arrays cannot be read from the middle: decode them with [`Npz::array`].
    ///
    /// # Errors
    /// As [`npy::rows`]; [`Error::Format`] where there is no array of that name, or it is deflated.
    pub fn rows(&self, name: &str) -> Result<NpyRows> {
        let (index, path) = self.find(name)?;
        let mut archive = self.archive.clone();
        let entry = archive.by_index(index).map_err(|e| refuse(e, &path))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(Error::Format {
                path,
                expected: "an array that is stored as it is (numpy.savez)".to_owned(),
                actual: "a deflated one (numpy.savez_compressed); decode it as a whole with array".to_owned(),
            });
        }
        let (start, length) = (entry.data_start(), entry.size());
        drop(entry);
        if start.checked_add(length).is_none_or(|end| end > self.storage.length()) {
            let expected = format!("{length} bytes from {start} on");
            return Err(Error::Format { path, expected, actual: format!("a file of {}", self.storage.length()) });
        }
        npy::rows_at(self.storage.clone(), start, length, &path)
    }

    /// The entry of an array, and what errors call it.
    fn find(&self, name: &str) -> Result<(usize, PathBuf)> {
        let entry = format!("{name}.npy");
        match self.archive.index_for_name(&entry) {
            Some(index) => Ok((index, self.path.join(entry))),
            None => Err(Error::Format {
                path: self.path.clone(),
                expected: format!("an array \"{name}\""),
                actual: format!("arrays {}", self.names.join(", ")),
            }),
        }
    }
}

/// Without the path: what is logged of a data set names no file.
impl fmt::Debug for Npz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arrays {}", self.names.join(", "))
    }
}

/// Writes named arrays as an NPZ file that `numpy.load` reads, deflated. The same arrays give the same bytes. A file of that name is
/// replaced only when the new one is whole and on disk.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written; [`Error::Usage`] where a name comes twice.
pub fn write<'a>(path: impl AsRef<Path>, arrays: impl IntoIterator<Item = (&'a str, NpyArray)>) -> Result<()> {
    let path = path.as_ref();
    let refused = |e: ZipError| match e {
        ZipError::Io(reason) => Error::Io { path: path.to_owned(), reason },
        other => Error::usage("npz::write", other.to_string()),
    };
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let bytes = array.to_bytes();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).map_err(refused)?;
        archive.write_all(&bytes).map_err(|reason| Error::Io { path: path.to_owned(), reason })?;
    }
    let bytes = archive.finish().map_err(refused)?.into_inner();
    file::replace(path, &bytes, Access::Shared)
}

fn refuse(e: ZipError, path: &Path) -> Error {
    let format =
        |expected: &str, actual: String| Error::Format { path: path.to_owned(), expected: expected.to_owned(), actual };
    match e {
        ZipError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            format("a whole ZIP archive", e.to_string())
        }
        ZipError::Io(reason) => Error::Io { path: path.to_owned(), reason },
        ZipError::UnsupportedArchive(what) => format("entries stored or deflated", what.to_owned()),
        other => format("a whole ZIP archive, as NPZ files are", other.to_string()),
    }
}

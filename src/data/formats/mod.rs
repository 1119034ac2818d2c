//! Readers for the files that data comes in, one module per format. Each gives host arrays in the layout of the file, or a table, and
//! treats what it reads as hostile: a header's claim allocates nothing, a broken file is an [`crate::Error::Format`].

#[cfg(feature = "tables")]
pub mod arff;
#[cfg(feature = "tables")]
pub mod csv;
pub mod idx;
#[cfg(feature = "images")]
pub mod images;
#[cfg(feature = "npy")]
pub mod npy;
#[cfg(feature = "npy")]
pub mod npz;
#[cfg(feature = "npy")]
mod storage;
#[cfg(feature = "tables")]
mod text;

/// Bytes that compressed data may have when it is unpacked, unless told otherwise: a file of a thousandth of that could be all zeros.
const MOST_UNPACKED: u64 = 4 << 30;

//! What text formats share: bytes, gzipped or not, become text; places in it become line numbers.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

pub(super) use crate::data::table::shown;
use crate::error::{Error, Result};
pub(super) use crate::file::read;
use crate::host;

/// The bytes themselves, or, where they are a gzip stream (told by its first bytes), what it holds, at most `most` bytes; `setting` is
/// what a caller can do about that.
pub(super) fn unpack<'a>(bytes: &'a [u8], name: &Path, most: u64, setting: &str) -> Result<Cow<'a, [u8]>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut content = Vec::new();
    match MultiGzDecoder::new(bytes).take(most.saturating_add(1)).read_to_end(&mut content) {
        Ok(_) if content.len() as u64 > most => {
            Err(format(name, format!("a gzip stream of at most {most} bytes, unpacked ({setting})"), "more"))
        }
        Ok(_) => Ok(Cow::Owned(content)),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Err(format(name, "a whole gzip stream", "one that ends before its checksum"))
        }
        Err(e) => Err(format(name, "a whole gzip stream", format!("a damaged one ({e})"))),
    }
}

/// Refuses a text whose table the memory could not hold: its values may all be texts, and are held once more while they are looked at.
pub(super) fn expect_table(text: &str) -> Result<()> {
    host::expect_room(text.len().saturating_mul(3), "a table")
}

/// Bytes as text, without a byte order mark (one of UTF-8 says that it is not Latin-1).
pub(super) fn decode<'a>(bytes: &'a [u8], latin1: bool, name: &Path) -> Result<Cow<'a, str>> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(format(name, "text in UTF-8 or Latin-1", "UTF-16 (save the file as UTF-8)"));
    }
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => rest,
        None if latin1 => return Ok(Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect())),
        None => bytes,
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(e) => {
            let at = e.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            Err(format(name, "text in UTF-8", format!("byte {byte:#04x} in line {}", line_at(bytes, at))))
        }
    }
}

/// The line, counted from 1, in which the byte at `at` stands; lines end with LF, CRLF or CR.
pub(super) fn line_at(bytes: &[u8], at: usize) -> usize {
    let before = &bytes[..at.min(bytes.len())];
    let ends = before.iter().enumerate().filter(|(i, b)| match b {
        b'\n' => true,
        b'\r' => bytes.get(i + 1) != Some(&b'\n'),
        _ => false,
    });
    1 + ends.count()
}

/// An [`Error::Format`].
pub(super) fn format(name: &Path, expected: impl Into<String>, actual: impl Into<String>) -> Error {
    Error::Format { path: name.to_owned(), expected: expected.into(), actual: actual.into() }
}

//! The directories of a TIFF file: tags and their values (TIFF 6.0, section 2; BigTIFF).

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::super::refuse;
use crate::error::{Error, Result};

pub(super) const SUBFILE: u16 = 254;
pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
pub(super) const BITS: u16 = 258;
pub(super) const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
pub(super) const FILL_ORDER: u16 = 266;
pub(super) const DESCRIPTION: u16 = 270;
pub(super) const STRIP_OFFSETS: u16 = 273;
pub(super) const ORIENTATION: u16 = 274;
pub(super) const SAMPLES: u16 = 277;
pub(super) const ROWS_PER_STRIP: u16 = 278;
pub(super) const STRIP_BYTES: u16 = 279;
pub(super) const PLANAR: u16 = 284;
pub(super) const PREDICTOR: u16 = 317;
pub(super) const PALETTE: u16 = 320;
pub(super) const TILE_WIDTH: u16 = 322;
pub(super) const TILE_HEIGHT: u16 = 323;
pub(super) const TILE_OFFSETS: u16 = 324;
pub(super) const TILE_BYTES: u16 = 325;
pub(super) const INKS: u16 = 332;
pub(super) const EXTRA: u16 = 338;
pub(super) const SAMPLE_FORMAT: u16 = 339;
pub(super) const JPEG_TABLES: u16 = 347;
pub(super) const DEPTH: u16 = 32997;

/// All of the above, whose values are read; others are passed over.
const READ: [u16; 25] = [
    SUBFILE,
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    FILL_ORDER,
    DESCRIPTION,
    STRIP_OFFSETS,
    ORIENTATION,
    SAMPLES,
    ROWS_PER_STRIP,
    STRIP_BYTES,
    PLANAR,
    PREDICTOR,
    PALETTE,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_BYTES,
    INKS,
    EXTRA,
    SAMPLE_FORMAT,
    JPEG_TABLES,
    DEPTH,
];

/// In which order the bytes of a number come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number in at most eight bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let join = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        match self {
            Order::Big => bytes.iter().fold(0, join),
            Order::Little => bytes.iter().rev().fold(0, join),
        }
    }
}

/// The values of one directory's tags, whole numbers all.
pub(super) struct Directory(BTreeMap<u16, Vec<u64>>);

impl Directory {
    pub(super) fn all(&self, tag: u16) -> &[u64] {
        self.0.get(&tag).map_or(&[], Vec::as_slice)
    }

    /// The first value of a tag, where it is there.
    pub(super) fn first(&self, tag: u16) -> Option<u64> {
        self.all(tag).first().copied()
    }

    /// The bytes of a tag.
    pub(super) fn bytes(&self, tag: u16) -> Vec<u8> {
        self.all(tag).iter().map(|byte| *byte as u8).collect()
    }
}

/// An open file.
pub(super) struct Tags<'p, R> {
    reader: R,
    length: u64,
    path: &'p Path,
    pub(super) order: Order,
    /// BigTIFF: counts and offsets have eight bytes.
    wide: bool,
}

impl<'p, R: Read + Seek> Tags<'p, R> {
    /// Reads the header of a file of `length` bytes; gives the offset of the first directory, too.
    pub(super) fn open(reader: R, length: u64, path: &'p Path) -> Result<(Tags<'p, R>, u64)> {
        let mut tags = Tags { reader, length, path, order: Order::Little, wide: false };
        let head = tags.at(0, 4)?;
        if head[0] == b'M' {
            tags.order = Order::Big;
        }
        tags.wide = tags.order.number(&head[2..]) == 43;
        let first = if tags.wide { tags.at(8, 8)? } else { tags.at(4, 4)? };
        let first = tags.order.number(&first);
        Ok((tags, first))
    }

    /// The directory at `offset`, and where the next one lies: 0 where there is none.
    pub(super) fn directory(&mut self, offset: u64) -> Result<(Directory, u64)> {
        let (count, entry, word) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        let entries = self.at(offset, count)?;
        let entries = self.order.number(&entries);
        // What is no count is more than the file holds.
        let size = entries.saturating_mul(entry).saturating_add(word);
        let bytes = self.at(offset.saturating_add(count), size)?;
        let (listed, next) = bytes.split_at((size - word) as usize);
        let mut tags = BTreeMap::new();
        for entry in listed.chunks_exact(entry as usize) {
            let tag = self.order.number(&entry[..2]) as u16;
            if READ.contains(&tag) && !tags.contains_key(&tag) {
                tags.insert(tag, self.values(tag, entry, word)?);
            }
        }
        Ok((Directory(tags), self.order.number(next)))
    }

    /// The values of a directory's entry: tag, type, count, and the values or where they lie.
    fn values(&mut self, tag: u16, entry: &[u8], word: u64) -> Result<Vec<u64>> {
        let each: u64 = match self.order.number(&entry[2..4]) {
            1 | 2 | 6 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            other => {
                return Err(refuse(self.path, format!("whole numbers in TIFF tag {tag}"), format!("type {other}")));
            }
        };
        let (count, value) = entry[4..].split_at(word as usize);
        let mut count = self.order.number(count);
        // One number for each strip or tile; of other tags no file needs more, a description only its beginning.
        if ![STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES].contains(&tag) {
            count = count.min(1 << 16);
        }
        let size = count.saturating_mul(each);
        let bytes =
            if size <= word { value[..size as usize].to_vec() } else { self.at(self.order.number(value), size)? };
        Ok(bytes.chunks_exact(each as usize).map(|value| self.order.number(value)).collect())
    }

    fn at(&mut self, offset: u64, size: u64) -> Result<Vec<u8>> {
        if offset.checked_add(size).is_none_or(|end| end > self.length) {
            return Err(refuse(self.path, "a whole image", "one that ends early"));
        }
        let io = |reason| Error::Io { path: self.path.to_owned(), reason };
        let mut bytes = vec![0; size as usize];
        self.reader.seek(SeekFrom::Start(offset)).map_err(io)?;
        self.reader.read_exact(&mut bytes).map_err(io)?;
        Ok(bytes)
    }
}

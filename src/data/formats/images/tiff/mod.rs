//! TIFF and BigTIFF files of one page: the container is read here, what is compressed in it by the crates for it.

mod chunks;
mod layout;
mod tags;

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use super::decode::{Elements, Head, Image};
use super::raster::Raster;
use super::refuse;
use crate::error::Result;
use layout::{Alpha, Color, Compression, Layout};
use tags::{Directory, Order, Tags};

/// What the tags of a file of `length` bytes say.
pub(super) fn head(reader: impl Read + Seek, length: u64, path: &Path, most_bytes: u64) -> Result<Head> {
    Ok(open(reader, length, path, most_bytes)?.head())
}

/// The pixels as they are seen: bright is large, palettes are looked up, CMYK is RGB, colors are not multiplied by alpha.
pub(super) fn image(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<Image> {
    let layout = open(Cursor::new(bytes), bytes.len() as u64, path, most_bytes)?;
    let head = layout.head();
    let elements = match layout.bits {
        ..=8 => Elements::Bytes(layout.seen(layout.stored(bytes, path, |v| v as u8)?, u8::MAX)),
        bits => {
            let most = u16::MAX >> 16_usize.saturating_sub(bits);
            Elements::Words(layout.seen(layout.stored(bytes, path, |v| v as u16)?, most))
        }
    };
    Ok(Image { head, elements })
}

/// The samples as they are stored, the header, and whether the compression changed them.
pub(super) fn mask(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<(Raster<u32>, Head, bool)> {
    let layout = open(Cursor::new(bytes), bytes.len() as u64, path, most_bytes)?;
    if layout.color == Color::Cmyk {
        return Err(refuse(path, "a mask with one value per pixel (grey, or a palette)", "CMYK"));
    }
    let (height, width, channels) = (layout.height, layout.width, layout.samples);
    let elements = layout.stored(bytes, path, |v| v)?;
    Ok((Raster { elements, height, width, channels }, layout.head(), layout.compression == Compression::Jpeg))
}

/// The layout of the one page that a file has. Smaller copies of it (NewSubfileType 1) are passed over.
fn open(reader: impl Read + Seek, length: u64, path: &Path, most_bytes: u64) -> Result<Layout> {
    let (mut file, first) = Tags::open(reader, length, path)?;
    let (page, mut next) = file.directory(first)?;
    let several = |actual: &str| Err(refuse(path, "a TIFF with one page (pages as files of their own)", actual));
    let copy = |page: &Directory| page.first(tags::SUBFILE).is_some_and(|kind| kind & 1 == 1);
    let mut seen = BTreeSet::from([first]);
    while next != 0 {
        if !seen.insert(next) {
            return Err(refuse(path, "pages that end", "pages in a circle"));
        }
        let (other, after) = file.directory(next)?;
        if copy(&page) || !copy(&other) {
            return several("several");
        }
        next = after;
    }
    // ImageJ writes one directory for a whole stack, where it is large.
    let description = String::from_utf8_lossy(&page.bytes(tags::DESCRIPTION)).into_owned();
    let stack = description.lines().find_map(|line| line.strip_prefix("images=")).map(str::trim);
    if description.starts_with("ImageJ=") && stack.is_some_and(|images| images != "1") {
        return several("a stack of ImageJ");
    }
    if page.first(tags::DEPTH).is_some_and(|depth| depth > 1) {
        return several("a volume (ImageDepth)");
    }
    Layout::of(&page, (length, file.order), path, most_bytes)
}

impl Layout {
    fn head(&self) -> Head {
        let alpha = usize::from(self.alpha != Alpha::No);
        let channels = match self.color {
            Color::White | Color::Black => 1 + alpha,
            Color::Rgb | Color::Palette | Color::Cmyk | Color::YCbCr => 3 + alpha,
        };
        let Layout { height, width, orientation, .. } = *self;
        Head { height, width, channels, bits: self.bits.max(8), orientation }
    }

    /// All samples, those of a pixel side by side.
    fn stored<T: Copy + Default>(&self, file: &[u8], path: &Path, cast: impl Fn(u32) -> T) -> Result<Vec<T>> {
        let [down, across] = [self.height.div_ceil(self.chunk[0]), self.width.div_ceil(self.chunk[1])];
        let mut out = vec![T::default(); self.height * self.width * self.samples];
        let samples = if self.planar { 1 } else { self.samples };
        let mut line = vec![0; self.chunk[1] * samples];
        for (i, (offset, bytes)) in self.chunks.iter().enumerate() {
            let (plane, row, column) = (i / (down * across), i / across % down, i % across);
            let (top, left) = (row * self.chunk[0], column * self.chunk[1]);
            let seen = self.chunk[0].min(self.height - top);
            let rows = if self.tiled { self.chunk[0] } else { seen };
            let end = offset.checked_add(*bytes).and_then(|end| usize::try_from(end).ok());
            let stored = end.and_then(|end| file.get(*offset as usize..end));
            let stored = stored.ok_or_else(|| refuse(path, "a whole image", "one that ends early"))?;
            let unpacked = chunks::unpack(self, stored, rows, path)?;
            let columns = self.chunk[1].min(self.width - left);
            let bytes = (line.len() * self.bits).div_ceil(8);
            for (y, stored) in unpacked.chunks_exact(bytes).take(seen).enumerate() {
                self.numbers(stored, &mut line, samples);
                let to = &mut out[((top + y) * self.width + left) * self.samples..];
                for (pixel, from) in to.chunks_exact_mut(self.samples).zip(line.chunks_exact(samples)).take(columns) {
                    pixel[plane..].iter_mut().zip(from).for_each(|(to, from)| *to = cast(*from));
                }
            }
        }
        Ok(out)
    }

    /// The samples in the bytes of a line.
    fn numbers(&self, stored: &[u8], line: &mut [u32], samples: usize) {
        // The bytes of numbers of 16 and 32 bits have an order; others are packed, the highest bit first.
        match (self.bits, self.order) {
            (8, _) => line.iter_mut().zip(stored).for_each(|(to, from)| *to = u32::from(*from)),
            (16 | 32, Order::Little) => {
                let from = stored.chunks_exact(self.bits / 8);
                line.iter_mut().zip(from).for_each(|(to, from)| *to = Order::Little.number(from) as u32);
            }
            (bits, _) => {
                for (i, to) in line.iter_mut().enumerate() {
                    let (first, last) = (i * bits, i * bits + bits - 1);
                    let whole = Order::Big.number(&stored[first / 8..=last / 8]);
                    *to = (whole >> (7 - last % 8) & (u64::MAX >> (64 - bits))) as u32;
                }
            }
        }
        if self.differences {
            for i in samples..line.len() {
                line[i] = line[i].wrapping_add(line[i - samples]) & (u32::MAX >> (32 - self.bits));
            }
        }
    }

    /// What stored samples look like, with values up to `most`.
    fn seen<T>(&self, mut stored: Vec<T>, most: T) -> Vec<T>
    where
        T: Copy + Into<u32> + TryFrom<u32> + From<u8>,
    {
        let full: u32 = most.into();
        let number = |v: u32| T::try_from(v.min(full)).unwrap_or(most);
        match self.color {
            Color::Palette => {
                let color = |index: T| self.palette[Into::<u32>::into(index) as usize];
                return stored.into_iter().flat_map(|index| color(index).map(T::from)).collect();
            }
            // Pillow's CMYK to RGB: both products rounded.
            Color::Cmyk => {
                let rgb = |pixel: &[T]| {
                    let white = full - pixel[3].into();
                    [0, 1, 2].map(|ink| {
                        let sum = Into::<u32>::into(pixel[ink]) * white + 128;
                        number(white - (((sum >> 8) + sum) >> 8))
                    })
                };
                return stored.chunks_exact(4).flat_map(rgb).collect();
            }
            Color::White | Color::Black => {
                // From bits to bytes: 255 is a multiple of 1, 3 and 15.
                let scale = if self.bits < 8 { full / (full >> (8 - self.bits)) } else { 1 };
                for pixel in stored.chunks_exact_mut(self.samples) {
                    let value = Into::<u32>::into(pixel[0]) * scale;
                    pixel[0] = number(if self.color == Color::White { full - value } else { value });
                }
            }
            Color::Rgb | Color::YCbCr => {}
        }
        if self.alpha == Alpha::Associated {
            for pixel in stored.chunks_exact_mut(self.samples) {
                let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
                let alpha: u32 = (*alpha).into();
                // As Pillow has it: where nothing is seen, the color is black.
                colors
                    .iter_mut()
                    .for_each(|v| *v = number((Into::<u32>::into(*v) * full).checked_div(alpha).unwrap_or(0)));
            }
        }
        stored
    }
}

//! Files to pixels, through the `image` crate, which is told how much it may allocate.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::refuse;
use crate::error::{Error, Result};

/// What the header of an image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Bits per channel: 8 or 16.
    pub(super) bits: usize,
    pub(super) format: ImageFormat,
}

/// No compression of these formats packs more bytes of pixels than this into one: deflate ends at 1032, each of which may be eight
/// pixels of one bit with four bytes of colour each; the shortest JPEG scan is near 1365. What a header claims beyond it, the file
/// cannot hold.
const MOST_PACKED: u64 = 1032 * 32;

/// The header of the file at `path`, without its pixels.
pub(super) fn head(path: &Path, most_bytes: u64) -> Result<Head> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    head_of(BufReader::new(file), length, path, most_bytes)
}

/// The header of an image of `length` bytes.
pub(super) fn head_of(reader: impl BufRead + Seek, length: u64, path: &Path, most_bytes: u64) -> Result<Head> {
    let reader = open(reader, path, most_bytes)?;
    let format = reader.format().unwrap_or(ImageFormat::Png);
    let decoder = reader.into_decoder().map_err(|e| refuse_image(e, path, most_bytes))?;
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    if width == 0 || height == 0 {
        return Err(refuse(path, "an image with pixels", format!("{height}x{width}")));
    }
    if bytes > most_bytes {
        let expected = format!("at most {most_bytes} bytes of pixels (ImageOptions::most_bytes)");
        return Err(refuse(path, expected, format!("{bytes} for {height}x{width}")));
    }
    if bytes / MOST_PACKED > length {
        let actual = format!("{length} bytes in all, too few for any compression");
        return Err(refuse(path, format!("an image of {height}x{width}"), actual));
    }
    let (channels, bits) = match decoder.color_type() {
        ColorType::L8 => (1, 8),
        ColorType::La8 => (2, 8),
        ColorType::Rgb8 => (3, 8),
        ColorType::Rgba8 => (4, 8),
        ColorType::L16 => (1, 16),
        ColorType::La16 => (2, 16),
        ColorType::Rgb16 => (3, 16),
        ColorType::Rgba16 => (4, 16),
        other => return Err(refuse(path, "8 or 16 bits per channel", format!("{other:?}"))),
    };
    Ok(Head { height: height as usize, width: width as usize, channels, bits, format })
}

/// The pixels in the bytes of a file, and its header.
pub(super) fn pixels(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<(DynamicImage, Head)> {
    let head = head_of(Cursor::new(bytes), bytes.len() as u64, path, most_bytes)?;
    whole(bytes, head.format, path)?;
    let image = open(Cursor::new(bytes), path, most_bytes)?.decode().map_err(|e| refuse_image(e, path, most_bytes))?;
    Ok((image, head))
}

/// Refuses files that end before their end mark: decoders make do with what came, and paint the rest grey.
pub(super) fn whole(bytes: &[u8], format: ImageFormat, path: &Path) -> Result<()> {
    let ends = match format {
        ImageFormat::Png => png_ends(bytes),
        ImageFormat::Jpeg => jpeg_ends(bytes),
        // A TIFF's parts lie anywhere; a missing one is noticed when it is wanted.
        _ => Some(()),
    };
    ends.ok_or_else(|| refuse(path, "a whole image", "one that ends before its end mark"))
}

/// Walks over the chunks of a PNG to `IEND`: length, name, content, checksum.
fn png_ends(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (name, after) = after.split_first_chunk::<4>()?;
        rest = after.get((u32::from_be_bytes(*length) as usize).checked_add(4)?..)?;
        if name == b"IEND" {
            return Some(());
        }
    }
}

/// Walks over the segments of a JPEG (ITU-T T.81, annex B) to its end mark.
fn jpeg_ends(bytes: &[u8]) -> Option<()> {
    let mut rest = bytes.get(2..)?;
    loop {
        // Between segments, and after a scan's header, everything up to the next marker is skipped: FF 00 is a byte of a scan, FF FF
        // is filling, D0 to D7 restart a scan.
        let at = rest.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xff | 0xd0..=0xd7))?;
        let marker = *rest.get(at + 1)?;
        let after = rest.get(at + 2..)?;
        match marker {
            0xd9 => return Some(()),
            // Markers without a segment.
            0x01 | 0xd8 => rest = after,
            _ => {
                let (length, _) = after.split_first_chunk::<2>()?;
                rest = after.get(usize::from(u16::from_be_bytes(*length))..)?;
            }
        }
    }
}

/// A reader that knows the format from the first bytes, whatever the file is called.
fn open<R: BufRead + Seek>(reader: R, path: &Path, most_bytes: u64) -> Result<ImageReader<R>> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    let mut reader = ImageReader::new(reader).with_guessed_format().map_err(io)?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Tiff)) {
        let actual = reader.format().map_or("none of them".to_owned(), |format| format!("{format:?}"));
        return Err(refuse(path, "a PNG, JPEG or TIFF image", actual));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(most_bytes);
    reader.limits(limits);
    Ok(reader)
}

fn refuse_image(e: ImageError, path: &Path, most_bytes: u64) -> Error {
    match e {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            refuse(path, "a whole image", "one that ends early")
        }
        ImageError::IoError(e) if e.raw_os_error().is_some() => Error::Io { path: path.to_owned(), reason: e },
        ImageError::Limits(_) => {
            refuse(path, format!("at most {most_bytes} bytes of pixels (ImageOptions::most_bytes)"), "more")
        }
        other => refuse(path, "an undamaged image with 8 or 16 bits per channel", other.to_string()),
    }
}

//! Files to pixels, through the decoder of each format, which is told how much it may allocate.

use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;

use super::options::{ImageOptions, Turn};
use super::raster::Raster;
use super::{jpeg, png, refuse, tiff};
use crate::error::{Error, Result, caught};
use crate::{file, host};

/// What the header of an image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Bits per channel: 8 to 16, and 32 in masks.
    pub(super) bits: usize,
    /// How the pixels are to be turned, by EXIF's numbers: 1 is not at all.
    pub(super) orientation: u8,
}

/// Pixels as they are seen, those of 9 to 16 bits as words.
pub(super) enum Elements {
    Bytes(Vec<u8>),
    Words(Vec<u16>),
}

/// The pixels of a file, the channels of a pixel side by side.
pub(super) struct Image {
    pub(super) head: Head,
    pub(super) elements: Elements,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Jpeg,
    Tiff,
}

/// No compression of these formats packs more bytes of pixels than this into one: deflate ends at 1032, each of which may be eight
/// pixels of one bit with four bytes of colour each; LZW at 2560, with three; the shortest JPEG scan is near 1365. What a header claims
/// beyond it, the file cannot hold. (CCITT Group 4 packs more, and says itself where it ends.)
pub(super) const MOST_PACKED: u64 = 1 << 16;

/// The header of the file at `path`, without its pixels.
pub(super) fn head(path: &Path, options: &ImageOptions) -> Result<Head> {
    let (file, length) = file::open(path)?;
    guarded(path, || head_of(BufReader::new(file), length, path, options))
}

/// The header of an image of `length` bytes, turned as the options say.
fn head_of(mut reader: impl BufRead + Seek, length: u64, path: &Path, options: &ImageOptions) -> Result<Head> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    let mut first = Vec::new();
    reader.by_ref().take(12).read_to_end(&mut first).map_err(io)?;
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    let most = options.most_bytes;
    let format = format(&first, path)?;
    let head = match format {
        Format::Png => png::head(reader, path, most)?,
        Format::Jpeg => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(io)?;
            jpeg::open(&bytes, path)?.head()
        }
        Format::Tiff => tiff::head(reader, length, path, most)?,
    };
    // A TIFF's strips say it one by one, and of blank paper CCITT Group 4 packs more.
    let length = if format == Format::Tiff { u64::MAX } else { length };
    check_size(
        [head.height as u64, head.width as u64],
        (head.channels * head.bits.div_ceil(8)) as u64,
        length,
        path,
        most,
    )?;
    turned(head, path, options)
}

/// Refuses what only a mask can be.
pub(super) fn is_image(head: &Head, path: &Path) -> Result<()> {
    if head.bits <= 16 {
        return Ok(());
    }
    Err(refuse(path, "an image with at most 16 bits per sample (as a mask 32 are read)", format!("{} bits", head.bits)))
}

/// The pixels in the bytes of a file, turned as the options say.
pub(super) fn pixels(bytes: &[u8], path: &Path, options: &ImageOptions) -> Result<Image> {
    let head = head_of(Cursor::new(bytes), bytes.len() as u64, path, options)?;
    is_image(&head, path)?;
    host::expect_room(room_for(&head), "the pixels of an image")?;
    let most = options.most_bytes;
    let image = match format(bytes, path)? {
        Format::Png => png::image(bytes, path, most)?,
        Format::Jpeg => {
            let (head, decoded) = jpeg_whole(bytes, path)?;
            Image { head, elements: Elements::Bytes(decoded.elements) }
        }
        Format::Tiff => tiff::image(bytes, path, most)?,
    };
    // Turned by what the whole file says: a PNG may say it behind its pixels.
    let (stored, head) = (image.head, turned(image.head, path, options)?);
    let elements = match image.elements {
        Elements::Bytes(elements) => Elements::Bytes(raster(elements, &stored).turned(head.orientation).elements),
        Elements::Words(elements) => Elements::Words(raster(elements, &stored).turned(head.orientation).elements),
    };
    Ok(Image { head, elements })
}

/// Bytes that an image takes while it is decoded, at most: the decoder's pixels, and twice four bytes per sample of ours.
fn room_for(head: &Head) -> usize {
    head.height.saturating_mul(head.width).saturating_mul(head.channels).saturating_mul(12)
}

fn raster<T>(elements: Vec<T>, head: &Head) -> Raster<T> {
    Raster { elements, height: head.height, width: head.width, channels: head.channels }
}

/// The samples of a mask as its file stores them, turned as the options say, and whether a lossy compression changed them.
pub(super) fn stored(bytes: &[u8], path: &Path, options: &ImageOptions) -> Result<(Raster<u32>, bool)> {
    let head = head_of(Cursor::new(bytes), bytes.len() as u64, path, options)?;
    host::expect_room(room_for(&head), "the pixels of a mask")?;
    let most = options.most_bytes;
    let (raster, head, lossy) = match format(bytes, path)? {
        Format::Png => {
            let (raster, head) = png::mask(bytes, path, most)?;
            (raster, head, false)
        }
        Format::Jpeg => {
            let (head, decoded) = jpeg_whole(bytes, path)?;
            (raster(decoded.elements.into_iter().map(u32::from).collect(), &head), head, true)
        }
        Format::Tiff => tiff::mask(bytes, path, most)?,
    };
    Ok((raster.turned(turned(head, path, options)?.orientation), lossy))
}

/// A JPEG that has its end mark: the decoder makes do with what came, and paints the rest grey.
fn jpeg_whole(bytes: &[u8], path: &Path) -> Result<(Head, jpeg::Jpeg)> {
    jpeg::ends(bytes).ok_or_else(|| refuse(path, "a whole image", "one that ends before its end mark"))?;
    let opened = jpeg::open(bytes, path)?;
    let head = opened.head();
    Ok((head, opened.decode(false, path)?))
}

/// What `decode` gives, also where a decoder panics: then the file is named.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    caught(decode).unwrap_or_else(|panic| {
        Err(refuse(path, "an image that its decoder can read", format!("one at which it panicked: {panic}")))
    })
}

/// The format, from the first bytes, whatever the file is called.
fn format(bytes: &[u8], path: &Path) -> Result<Format> {
    let other = match bytes {
        [0x89, b'P', b'N', b'G', ..] => return Ok(Format::Png),
        [0xff, 0xd8, 0xff, ..] => return Ok(Format::Jpeg),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => return Ok(Format::Tiff),
        [b'G', b'I', b'F', b'8', ..] => "a GIF image",
        [b'B', b'M', ..] => "a BMP image",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "a WebP image",
        [0, 0, 0, 12, b'j', b'P', ..] => "a JPEG 2000 image",
        _ => "none of them",
    };
    Err(refuse(path, "a PNG, JPEG or TIFF image", other))
}

/// Refuses what is no image, or too large, or larger than a file of `length` bytes can hold.
pub(super) fn check_size(size: [u64; 2], pixel: u64, length: u64, path: &Path, most_bytes: u64) -> Result<()> {
    let [height, width] = size;
    if width == 0 || height == 0 {
        return Err(refuse(path, "an image with pixels", format!("{height}x{width}")));
    }
    let bytes = height.saturating_mul(width).saturating_mul(pixel);
    if bytes > most_bytes {
        return Err(too_large(path, most_bytes, format!("{bytes} for {height}x{width}")));
    }
    if bytes / MOST_PACKED > length {
        let actual = format!("{length} bytes in all, too few for any compression");
        return Err(refuse(path, format!("an image of {height}x{width}"), actual));
    }
    Ok(())
}

pub(super) fn too_large(path: &Path, most_bytes: u64, actual: impl Into<String>) -> Error {
    refuse(path, format!("at most {most_bytes} bytes of pixels (ImageOptions::most_bytes)"), actual)
}

/// How a camera was held, by EXIF's numbers; 1 where it does not say.
pub(super) fn orientation(exif: &[u8]) -> u8 {
    Orientation::from_exif_chunk(exif).map_or(1, Orientation::to_exif)
}

/// The header of an image that is turned as the options say; its orientation is what is done.
fn turned(head: Head, path: &Path, options: &ImageOptions) -> Result<Head> {
    match (head.orientation, options.turn) {
        // Numbers that mean nothing are passed over, as Pillow does.
        (2..=8, Turn::Refuse) => {
            let expected = "pixels that stand upright (ImageOptions::upright turns them, as_stored leaves them)";
            Err(refuse(path, expected, format!("EXIF orientation {}", head.orientation)))
        }
        (5..=8, Turn::Upright) => Ok(Head { height: head.width, width: head.height, ..head }),
        (2..=4, Turn::Upright) => Ok(head),
        _ => Ok(Head { orientation: 1, ..head }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error_that_names_the_file() {
        let damaged = guarded::<()>(Path::new("scans/7.tif"), || panic!("index {} out of range", 9));
        let message = damaged.unwrap_err().to_string();
        assert!(
            message.starts_with("scans/7.tif: ") && message.ends_with("panicked: index 9 out of range"),
            "{message}"
        );
        assert_eq!(guarded(Path::new("x.png"), || Ok(3)).unwrap(), 3);
    }
}

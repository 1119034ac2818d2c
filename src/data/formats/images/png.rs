//! PNG files.

use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use png::{BitDepth, Decoder, DecodingError, Limits, Reader, Transformations};

use super::decode::{Elements, Head, Image, orientation, too_large};
use super::raster::Raster;
use super::refuse;
use crate::error::{Error, Result};

/// A reader of a whole file.
type InMemory<'b> = Reader<Cursor<&'b [u8]>>;

/// What the header says of the pixels as they are seen.
pub(super) fn head(reader: impl BufRead + Seek, path: &Path, most_bytes: u64) -> Result<Head> {
    let reader = open(reader, path, most_bytes, Transformations::EXPAND)?;
    Ok(head_of(&reader))
}

/// The pixels as they are seen: palettes are looked up, fewer than 8 bits become 8, transparency is alpha.
pub(super) fn image(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<Image> {
    let (reader, pixels) = decode(bytes, path, most_bytes, Transformations::EXPAND)?;
    let head = head_of(&reader);
    let word = |pair: &[u8; 2]| u16::from_be_bytes(*pair);
    let elements = match head.bits {
        16 => Elements::Words(pixels.as_chunks().0.iter().map(word).collect()),
        _ => Elements::Bytes(pixels),
    };
    Ok(Image { head, elements })
}

/// The samples as they are stored: palette indices, and grey of fewer than 8 bits, neither looked up nor scaled. Also the header.
pub(super) fn mask(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<(Raster<u32>, Head)> {
    let (reader, pixels) = decode(bytes, path, most_bytes, Transformations::IDENTITY)?;
    let info = reader.info();
    let (height, width, channels) = (info.height as usize, info.width as usize, info.color_type.samples());
    let bits = info.bit_depth as usize;
    let mut elements = Vec::with_capacity(height * width * channels);
    // Lines begin at whole bytes.
    for line in pixels.chunks_exact((width * channels * bits).div_ceil(8).max(1)) {
        match info.bit_depth {
            BitDepth::Sixteen => {
                elements.extend(line.as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_be_bytes(*b))));
            }
            BitDepth::Eight => elements.extend(line.iter().map(|b| u32::from(*b))),
            _ => {
                let value = |i: usize| (line[i * bits / 8] as usize >> (8 - bits - i * bits % 8)) & ((1 << bits) - 1);
                elements.extend((0..width).map(|i| value(i) as u32));
            }
        }
    }
    Ok((Raster { elements, height, width, channels }, head_of(&reader)))
}

fn open<R: BufRead + Seek>(reader: R, path: &Path, most_bytes: u64, seen: Transformations) -> Result<Reader<R>> {
    let limits = Limits { bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(reader, limits);
    decoder.set_transformations(seen);
    // Nobody reads them, so nobody has to unpack them.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let reader = decoder.read_info().map_err(|e| damaged(e, path, most_bytes))?;
    if reader.info().animation_control.is_some_and(|animation| animation.num_frames > 1) {
        return Err(refuse(path, "a PNG with one image", "an animation"));
    }
    Ok(reader)
}

fn head_of<R: BufRead + Seek>(reader: &Reader<R>) -> Head {
    let (info, (colors, depth)) = (reader.info(), reader.output_color_type());
    Head {
        height: info.height as usize,
        width: info.width as usize,
        channels: colors.samples(),
        bits: depth as usize,
        orientation: info.exif_metadata.as_ref().map_or(1, |exif| orientation(exif)),
    }
}

/// The pixels, and a reader that has seen the whole file.
fn decode<'b>(bytes: &'b [u8], path: &Path, most_bytes: u64, seen: Transformations) -> Result<(InMemory<'b>, Vec<u8>)> {
    let wrong = |e| damaged(e, path, most_bytes);
    ends(bytes).ok_or_else(|| refuse(path, "a whole image", "one that ends before its end mark"))?;
    let mut reader = open(Cursor::new(bytes), path, most_bytes, seen)?;
    let size = reader.output_buffer_size().filter(|size| *size as u64 <= most_bytes);
    let mut pixels = vec![0; size.ok_or(DecodingError::LimitsExceeded).map_err(wrong)?];
    reader.next_frame(&mut pixels).map_err(wrong)?;
    // How the camera was held may stand behind the pixels.
    reader.finish().map_err(wrong)?;
    Ok((reader, pixels))
}

fn damaged(e: DecodingError, path: &Path, most_bytes: u64) -> Error {
    match e {
        DecodingError::LimitsExceeded => too_large(path, most_bytes, "more"),
        DecodingError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            refuse(path, "a whole image", "one that ends early")
        }
        DecodingError::IoError(e) if e.raw_os_error().is_some() => Error::Io { path: path.to_owned(), reason: e },
        other => refuse(path, "an undamaged PNG", other.to_string()),
    }
}

/// Walks over the chunks of a PNG to `IEND`: length, name, content, checksum.
fn ends(bytes: &[u8]) -> Option<()> {
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

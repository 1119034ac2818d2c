//! The strips and tiles of a TIFF, unpacked.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Read;
use std::path::Path;

use fax::Color::Black;
use fax::decoder::{DecodeStatus, Group4Decoder, pels};
use weezl::{BitOrder, LzwStatus, decode::Configuration};

use super::super::decode::MOST_PACKED;
use super::super::{jpeg, refuse};
use super::layout::{Color, Compression, Layout};
use crate::error::Result;

/// The bytes of a chunk with this many rows: lines begin at whole bytes.
pub(super) fn unpack<'b>(layout: &Layout, stored: &'b [u8], rows: usize, path: &Path) -> Result<Cow<'b, [u8]>> {
    let early = || refuse(path, "a whole image", "one that ends early");
    let width = layout.chunk[1];
    let samples = if layout.planar { 1 } else { layout.samples };
    let line = (width * samples * layout.bits).div_ceil(8);
    let size = line * rows;
    if layout.compression == Compression::Jpeg {
        return jpeg_chunk(layout, stored, [rows, width, samples], path).map(Cow::Owned);
    }
    // Only Group 4 packs more: no memory is taken for what the stored bytes cannot hold.
    if layout.compression != Compression::Group4 && size as u64 / MOST_PACKED > stored.len() as u64 {
        return Err(early());
    }
    let stored = match layout.reversed {
        true => Cow::Owned(stored.iter().map(|byte| byte.reverse_bits()).collect()),
        false => Cow::Borrowed(stored),
    };
    if layout.compression == Compression::No {
        return match stored {
            Cow::Borrowed(bytes) => bytes.get(..size).map(Cow::Borrowed).ok_or_else(early),
            Cow::Owned(mut bytes) if bytes.len() >= size => {
                bytes.truncate(size);
                Ok(Cow::Owned(bytes))
            }
            Cow::Owned(_) => Err(early()),
        };
    }
    let mut out = vec![0; size];
    let unpacked = match layout.compression {
        Compression::Lzw if matches!(*stored, [0, second, ..] if second & 1 == 1) => {
            return Err(refuse(path, "LZW codes as TIFF 6.0 has them", "those of TIFF 5.0, lowest bit first"));
        }
        Compression::Lzw => lzw(&stored, &mut out),
        Compression::PackBits => pack_bits(&stored, &mut out),
        Compression::Group4 => {
            let width = u16::try_from(width)
                .map_err(|_| refuse(path, "CCITT Group 4 in lines of at most 65535 pixels", width.to_string()))?;
            group_4(&stored, width, line, &mut out)
        }
        _ => flate2::read::ZlibDecoder::new(&*stored).read_exact(&mut out).ok(),
    };
    unpacked.map(|()| Cow::Owned(out)).ok_or_else(|| {
        refuse(path, "a whole image", format!("{:?} data that ends early or is damaged", layout.compression))
    })
}

fn lzw(stored: &[u8], out: &mut [u8]) -> Option<()> {
    let mut decoder = Configuration::with_tiff_size_switch(BitOrder::Msb, 8).with_yield_on_full_buffer(true).build();
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let step = decoder.decode_bytes(&stored[from..], &mut out[to..]);
        from += step.consumed_in;
        to += step.consumed_out;
        match step.status {
            Ok(LzwStatus::Ok) if step.consumed_in + step.consumed_out > 0 => {}
            _ => break,
        }
    }
    (to == out.len()).then_some(())
}

/// TIFF 6.0, section 9: a count, then as many bytes or one for all of them.
fn pack_bits(stored: &[u8], out: &mut [u8]) -> Option<()> {
    let (mut stored, mut out) = (stored.iter(), out.iter_mut());
    while out.len() > 0 {
        let count = usize::from(*stored.next()?);
        match count {
            0..128 => {
                for to in out.by_ref().take(count + 1) {
                    *to = *stored.next()?;
                }
            }
            128 => {}
            _ => {
                let byte = stored.next()?;
                out.by_ref().take(257 - count).for_each(|to| *to = *byte);
            }
        }
    }
    Some(())
}

/// ITU-T T.6: black is 1, as libtiff has it; what 1 means says the photometric interpretation.
fn group_4(stored: &[u8], width: u16, line: usize, out: &mut [u8]) -> Option<()> {
    let bytes = stored.iter().map(|byte| Ok::<u8, Infallible>(*byte));
    let Ok(mut decoder) = Group4Decoder::new(bytes, width);
    for line in out.chunks_exact_mut(line) {
        match decoder.advance() {
            Ok(DecodeStatus::Incomplete) => {}
            _ => return None,
        }
        for (i, _) in pels(decoder.transition(), width).enumerate().filter(|(_, color)| *color == Black) {
            line[i / 8] |= 0x80 >> (i % 8);
        }
    }
    Some(())
}

/// A JPEG of its own, but for tables that all chunks share.
fn jpeg_chunk(layout: &Layout, stored: &[u8], shape: [usize; 3], path: &Path) -> Result<Vec<u8>> {
    let [rows, width, samples] = shape;
    // Tables come between two marks, FF D8 and FF D9, of which the image has its own.
    let tables = layout.jpeg_tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(&layout.jpeg_tables);
    let whole = match (tables, stored) {
        ([], _) => Cow::Borrowed(stored),
        (tables, [0xff, 0xd8, rest @ ..]) => Cow::Owned([tables, rest].concat()),
        _ => return Err(refuse(path, "JPEG data in each strip or tile", "other data")),
    };
    jpeg::ends(&whole).ok_or_else(|| refuse(path, "a whole image", "JPEG data that ends before its end mark"))?;
    let opened = jpeg::open(&whole, path)?;
    let wrong = |what: String| {
        let expected = format!("JPEG data of {rows}x{width} pixels, {samples} samples as {}", layout.color.name());
        Err(refuse(path, expected, what))
    };
    if opened.width != width || opened.height < rows {
        return wrong(format!("{}x{} pixels", opened.height, opened.width));
    }
    let image = opened.decode(layout.color != Color::YCbCr, path)?;
    if image.channels != samples || (layout.color == Color::YCbCr) != image.from_ycbcr {
        let kind = if image.from_ycbcr { " as YCbCr" } else { "" };
        return wrong(format!("{} samples{kind}", image.channels));
    }
    let mut elements = image.elements;
    elements.truncate(rows * width * samples);
    Ok(elements)
}

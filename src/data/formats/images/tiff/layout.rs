//! What the tags of a TIFF page mean, and which of it is read.

use std::path::Path;

use super::super::decode::check_size;
use super::super::refuse;
use super::tags::{self, Directory, Order};
use crate::error::Result;

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    /// Grey, 0 is white.
    White,
    /// Grey, 0 is black.
    Black,
    Rgb,
    Palette,
    Cmyk,
    /// In JPEG data only, whose decoder makes RGB of it.
    YCbCr,
}

impl Color {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Color::White => "grey (0 is white)",
            Color::Black => "grey (0 is black)",
            Color::Rgb => "RGB",
            Color::Palette => "palette",
            Color::Cmyk => "CMYK",
            Color::YCbCr => "YCbCr",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    No,
    Straight,
    /// Colors are multiplied by it.
    Associated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    No,
    Group4,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

/// Where the samples of a page lie, and what they are.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Per pixel, alpha included.
    pub(super) samples: usize,
    pub(super) bits: usize,
    pub(super) color: Color,
    pub(super) alpha: Alpha,
    pub(super) compression: Compression,
    /// FillOrder 2: the lowest bit of a byte is the leftmost pixel.
    pub(super) reversed: bool,
    /// Each sample in chunks of its own.
    pub(super) planar: bool,
    /// Samples are differences from the pixel to their left.
    pub(super) differences: bool,
    pub(super) order: Order,
    /// Height and width of a tile, or of a strip.
    pub(super) chunk: [usize; 2],
    /// Tiles reach over the edge of the image, strips end there.
    pub(super) tiled: bool,
    /// Offset and bytes of each chunk.
    pub(super) chunks: Vec<(u64, u64)>,
    pub(super) palette: Vec<[u8; 3]>,
    pub(super) jpeg_tables: Vec<u8>,
    pub(super) orientation: u8,
}

const READ: &str = "a TIFF of unsigned samples with 1, 2, 4 or 8 to 16 bits";

impl Layout {
    pub(super) fn of(page: &Directory, file: (u64, Order), path: &Path, most_bytes: u64) -> Result<Layout> {
        let lacks = |tag: u16| refuse(path, format!("TIFF tag {tag}"), "a file without it");
        let need = |tag: u16| page.first(tag).ok_or_else(|| lacks(tag));
        let or = |tag: u16, default: u64| page.first(tag).unwrap_or(default);
        let (length, order) = file;
        let (height, width) = (need(tags::HEIGHT)?, need(tags::WIDTH)?);
        let (samples, bits) = (or(tags::SAMPLES, 1), or(tags::BITS, 1));
        if page.all(tags::BITS).iter().any(|b| *b != bits) {
            let actual = format!("{:?} bits", page.all(tags::BITS));
            return Err(refuse(path, "a TIFF with the same bits in all samples", actual));
        }
        if let Some(other) = page.all(tags::SAMPLE_FORMAT).iter().find(|format| **format != 1) {
            let kind = match other {
                2 => "signed integers",
                3 => "floating-point numbers",
                5 | 6 => "complex numbers",
                _ => "samples of an unknown format",
            };
            return Err(refuse(path, READ, format!("{kind} of {bits} bits")));
        }
        let (color, alpha) = colors(page, samples, bits, path)?;
        let compression = compression(need(tags::COMPRESSION).unwrap_or(1), color, bits, samples, path)?;
        let planar = or(tags::PLANAR, 1) == 2 && samples > 1;
        let differences = predicted(or(tags::PREDICTOR, 1), compression, bits, path)?;
        let reversed = match or(tags::FILL_ORDER, 1) {
            1 => false,
            2 => true,
            other => return Err(refuse(path, "a TIFF with FillOrder 1 or 2", other.to_string())),
        };
        let tiled = page.first(tags::TILE_WIDTH).is_some();
        let [chunk_height, chunk_width] = if tiled {
            [need(tags::TILE_HEIGHT)?, need(tags::TILE_WIDTH)?]
        } else {
            [or(tags::ROWS_PER_STRIP, height).min(height), width]
        };
        if chunk_height == 0 || chunk_width == 0 {
            return Err(refuse(path, "tiles or strips with pixels", format!("{chunk_height}x{chunk_width}")));
        }
        // Tiles are as large as their header says, however small the image is.
        let (down, across) = (height.div_ceil(chunk_height), width.div_ceil(chunk_width));
        let padded = down.saturating_mul(chunk_height).saturating_mul(across.saturating_mul(chunk_width));
        // Blank paper costs Group 4 one bit a line.
        let length = if compression == Compression::Group4 { length.saturating_mul(width) } else { length };
        check_size([height, width], samples * bits.div_ceil(8), length, path, most_bytes)?;
        if padded.saturating_mul(samples * bits.div_ceil(8)) > most_bytes {
            let expected = format!("tiles of at most {most_bytes} bytes of pixels (ImageOptions::most_bytes)");
            return Err(refuse(path, expected, format!("tiles of {chunk_height}x{chunk_width} for {height}x{width}")));
        }
        let (offsets, counts) = if tiled {
            (page.all(tags::TILE_OFFSETS), page.all(tags::TILE_BYTES))
        } else {
            (page.all(tags::STRIP_OFFSETS), page.all(tags::STRIP_BYTES))
        };
        let chunks = down * across * if planar { samples } else { 1 };
        if offsets.len() as u64 != chunks || counts.len() as u64 != chunks {
            let what = if tiled { "tiles" } else { "strips" };
            let actual = format!("{} offsets and {} lengths", offsets.len(), counts.len());
            return Err(refuse(path, format!("{chunks} {what} for {height}x{width} pixels"), actual));
        }
        Ok(Layout {
            height: height as usize,
            width: width as usize,
            samples: samples as usize,
            bits: bits as usize,
            color,
            alpha,
            compression,
            reversed,
            planar,
            differences,
            order,
            chunk: [chunk_height as usize, chunk_width as usize],
            tiled,
            chunks: offsets.iter().copied().zip(counts.iter().copied()).collect(),
            palette: if color == Color::Palette { palette(page, bits, path)? } else { Vec::new() },
            jpeg_tables: page.bytes(tags::JPEG_TABLES),
            orientation: or(tags::ORIENTATION, 1).min(255) as u8,
        })
    }
}

/// What the samples are, and which of them is alpha.
fn colors(page: &Directory, samples: u64, bits: u64, path: &Path) -> Result<(Color, Alpha)> {
    let (color, of_color) = match page.first(tags::PHOTOMETRIC) {
        Some(0) => (Color::White, 1),
        Some(1) => (Color::Black, 1),
        Some(2) => (Color::Rgb, 3),
        Some(3) => (Color::Palette, 1),
        Some(5) => (Color::Cmyk, 4),
        Some(6) => (Color::YCbCr, 3),
        other => {
            let name = match other {
                None => "a file without one".to_owned(),
                Some(4) => "a transparency mask".to_owned(),
                Some(8..=10) => "CIE L*a*b*".to_owned(),
                Some(32803) => "a color filter array".to_owned(),
                Some(32844 | 32845) => "CIE Log L".to_owned(),
                Some(other) => other.to_string(),
            };
            let expected =
                "a TIFF of grey, RGB, palette or CMYK pixels (PhotometricInterpretation 0 to 3, 5; 6 in JPEG data)";
            return Err(refuse(path, expected, name));
        }
    };
    let alpha = match (samples.checked_sub(of_color), page.all(tags::EXTRA)) {
        (Some(0), _) => Alpha::No,
        (Some(1), [1]) if matches!(color, Color::White | Color::Black | Color::Rgb) => Alpha::Associated,
        (Some(1), [2]) if matches!(color, Color::White | Color::Black | Color::Rgb) => Alpha::Straight,
        (_, extra) => {
            let expected =
                format!("{of_color} samples per pixel of {}, and one more for alpha in grey and RGB", color.name());
            return Err(refuse(path, expected, format!("{samples} samples, ExtraSamples {extra:?}")));
        }
    };
    let fits = match color {
        // As a mask 32 bits are read, too.
        Color::White | Color::Black if alpha == Alpha::No => matches!(bits, 1 | 2 | 4 | 8..=16 | 32),
        Color::White | Color::Black | Color::Rgb => (8..=16).contains(&bits),
        Color::Palette => matches!(bits, 1 | 2 | 4 | 8),
        Color::Cmyk | Color::YCbCr => bits == 8,
    };
    if !fits {
        return Err(refuse(path, READ, format!("{} of {bits} bits", color.name())));
    }
    if color == Color::Cmyk && page.first(tags::INKS).is_some_and(|inks| inks != 1) {
        return Err(refuse(path, "a TIFF with the inks CMYK", "other inks (InkSet)"));
    }
    Ok((color, alpha))
}

fn compression(number: u64, color: Color, bits: u64, samples: u64, path: &Path) -> Result<Compression> {
    let known = match number {
        1 => Compression::No,
        4 => Compression::Group4,
        5 => Compression::Lzw,
        7 => Compression::Jpeg,
        8 | 32946 => Compression::Deflate,
        32773 => Compression::PackBits,
        other => {
            let name = match other {
                2 => "CCITT run lengths",
                3 => "CCITT Group 3",
                6 => "old-style JPEG",
                33003 | 33005 | 34712 => "JPEG 2000",
                34892 => "lossy DNG JPEG",
                34925 => "LZMA",
                34934 | 22610 => "JPEG XR",
                34887 => "LERC",
                50000 | 34926 => "Zstandard",
                50001 | 34927 => "WebP",
                50002 | 52546 => "JPEG XL",
                _ => "unknown",
            };
            let expected = "a TIFF without compression, or with LZW, Deflate, PackBits, JPEG or CCITT Group 4";
            return Err(refuse(path, expected, format!("compression {other} ({name})")));
        }
    };
    let wrong = match (known, color) {
        (Compression::Group4, _) if bits != 1 || samples != 1 => "CCITT Group 4 for other than one bit per pixel",
        (Compression::Jpeg, Color::Palette | Color::Cmyk) => "JPEG compression of palette indices or CMYK",
        (Compression::Jpeg, _) if bits != 8 => "JPEG compression of other than 8 bits",
        (Compression::Jpeg, Color::YCbCr) => return Ok(known),
        (_, Color::YCbCr) => "YCbCr pixels without JPEG compression",
        _ => return Ok(known),
    };
    Err(refuse(path, "a combination that is read", wrong))
}

/// Whether samples are differences.
fn predicted(predictor: u64, compression: Compression, bits: u64, path: &Path) -> Result<bool> {
    // The predictor belongs to these two; libtiff ignores it elsewhere.
    let used = matches!(compression, Compression::Lzw | Compression::Deflate);
    match predictor {
        _ if !used => Ok(false),
        1 => Ok(false),
        2 if matches!(bits, 8 | 16 | 32) => Ok(true),
        other => Err(refuse(path, "predictor 1, or 2 with 8, 16 or 32 bits", format!("{other} with {bits} bits"))),
    }
}

/// The colors of a palette: all red, then all green, then all blue, of 16 bits each.
fn palette(page: &Directory, bits: u64, path: &Path) -> Result<Vec<[u8; 3]>> {
    let (colors, all) = (1 << bits, page.all(tags::PALETTE));
    if all.len() != 3 * colors {
        return Err(refuse(path, format!("a palette of {colors} colors"), format!("{} numbers", all.len())));
    }
    if all.iter().all(|v| *v < 256) && all.iter().any(|v| *v > 0) {
        return Err(refuse(path, "a palette with colors of 16 bits", "one whose colors are all below 256"));
    }
    Ok((0..colors).map(|i| [i, colors + i, 2 * colors + i].map(|at| (all[at] >> 8) as u8)).collect())
}

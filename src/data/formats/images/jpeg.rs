//! JPEG files, and JPEG data in TIFF files.

use std::path::Path;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::decode::{Head, orientation};
use super::refuse;
use crate::error::{Error, Result};

/// Decoded data, the channels of a pixel side by side.
pub(super) struct Jpeg {
    pub(super) channels: usize,
    pub(super) elements: Vec<u8>,
    /// Whether it was stored as luma and two differences of color.
    pub(super) from_ycbcr: bool,
}

/// A decoder that has read the header.
pub(super) struct Opened<'b> {
    decoder: JpegDecoder<ZCursor<&'b [u8]>>,
    space: ColorSpace,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Reads the header.
pub(super) fn open<'b>(bytes: &'b [u8], path: &Path) -> Result<Opened<'b>> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| damaged(path, &e))?;
    match (decoder.dimensions(), decoder.input_colorspace()) {
        (Some((width, height)), Some(space)) => Ok(Opened { decoder, space, height, width }),
        _ => Err(refuse(path, "a JPEG with a header", "one without")),
    }
}

impl Opened<'_> {
    /// What the header says. Grey stays grey, everything else becomes RGB.
    pub(super) fn head(&self) -> Head {
        let channels = if self.space == ColorSpace::Luma { 1 } else { 3 };
        let orientation = self.decoder.exif().map_or(1, |exif| orientation(exif));
        Head { height: self.height, width: self.width, channels, bits: 8, orientation }
    }

    /// The pixels: colors as they are stored, or else grey and RGB.
    pub(super) fn decode(mut self, stored: bool, path: &Path) -> Result<Jpeg> {
        let space = if stored || self.space == ColorSpace::Luma { self.space } else { ColorSpace::RGB };
        let options = self.decoder.options().jpeg_set_out_colorspace(space);
        self.decoder.set_options(options);
        let elements = self.decoder.decode().map_err(|e| damaged(path, &e))?;
        let (height, width, channels) = (self.height, self.width, space.num_components());
        if elements.len() != height * width * channels {
            let expected = format!("{height}x{width} pixels, {channels} channels");
            return Err(refuse(path, expected, format!("{} bytes", elements.len())));
        }
        Ok(Jpeg { channels, elements, from_ycbcr: self.space == ColorSpace::YCbCr })
    }
}

fn damaged(path: &Path, reason: &dyn std::fmt::Debug) -> Error {
    // What the decoder says by itself is a name and a text in its own brackets.
    refuse(path, "an undamaged JPEG of 8 bits, Huffman coded", format!("{reason:?}"))
}

/// Walks over the segments of a JPEG (ITU-T T.81, annex B) to its end mark.
pub(super) fn ends(bytes: &[u8]) -> Option<()> {
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

//! Images of coloured pixels: how they get into an SVG or onto a PNG.

use super::canvas::{Colour, SCALE};

/// Red, green and blue of `width` times `height` pixels, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pixels {
    width: usize,
    height: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    /// The image whose pixel `(row, column)` is `at(row, column)`.
    pub fn from_fn(width: usize, height: usize, mut at: impl FnMut(usize, usize) -> Colour) -> Self {
        let mut bytes = Vec::with_capacity(3 * width * height);
        for row in 0..height {
            for column in 0..width {
                bytes.extend_from_slice(&at(row, column));
            }
        }
        Pixels { width, height, bytes }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, row by row.
    #[cfg(test)]
    pub fn pixels(&self) -> impl Iterator<Item = Colour> {
        self.bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]])
    }

    /// The mean of the square of `side` pixels at (row, column), as far as it lies in the image.
    pub fn mean(&self, row: usize, column: usize, side: usize) -> Colour {
        let (mut sums, mut count) = ([0_u64; 3], 0);
        for r in row..(row + side).min(self.height) {
            for c in column..(column + side).min(self.width) {
                let pixel = &self.bytes[3 * (r * self.width + c)..];
                for (sum, byte) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(*byte);
                }
                count += 1;
            }
        }
        sums.map(|sum| ((sum + count / 2) / count.max(1)) as u8)
    }

    /// The image as a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // The header's numbers are those of the bytes, and a Vec takes whatever is written: neither can fail. A side
        // beyond u32 would be an image of gigabytes.
        let mut encoder = png::Encoder::new(&mut out, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.bytes));
        debug_assert!(written.is_ok(), "{written:?}");
        out
    }

    /// The image of a PNG with 8 bits for each channel; transparency is dropped.
    #[cfg(feature = "png")]
    pub fn from_png(file: &[u8]) -> Result<Self, String> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().map_err(|e| e.to_string())?;
        let mut bytes = vec![0; reader.output_buffer_size().ok_or("a PNG beyond the memory")?];
        let info = reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
        let channels = match (info.color_type, info.bit_depth) {
            (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
            (png::ColorType::Rgba, png::BitDepth::Eight) => 4,
            other => return Err(format!("a PNG with {other:?}")),
        };
        let bytes = bytes[..info.buffer_size()].chunks_exact(channels).flat_map(|p| [p[0], p[1], p[2]]).collect();
        Ok(Pixels { width: info.width as usize, height: info.height as usize, bytes })
    }

    /// Lays `other` over this image; what would lie outside is left out.
    #[cfg(feature = "png")]
    pub fn paste(&mut self, other: &Pixels, left: usize, top: usize) {
        let width = other.width.min(self.width.saturating_sub(left));
        for row in 0..other.height.min(self.height.saturating_sub(top)) {
            let (to, from) = (3 * ((top + row) * self.width + left), 3 * row * other.width);
            self.bytes[to..to + 3 * width].copy_from_slice(&other.bytes[from..from + 3 * width]);
        }
    }

    /// Writes a text over this image in `colour`, running upwards: `text` is black on white and level, and its pixel's corner `from`
    /// (x, y) comes to lie on the corner `at`. What would lie outside is left out.
    #[cfg(feature = "png")]
    pub fn stamp_up(&mut self, text: &Pixels, from: (i64, i64), at: (i64, i64), colour: Colour) {
        for row in 0..text.height {
            for column in 0..text.width {
                let ink = 255 - u32::from(text.bytes[3 * (row * text.width + column)]);
                // To the right becomes up, and down becomes to the right.
                let (x, y) = (at.0 + row as i64 - from.1, at.1 - (column as i64 - from.0) - 1);
                let inside = (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y);
                if ink == 0 || !inside {
                    continue;
                }
                let pixel = &mut self.bytes[3 * (y as usize * self.width + x as usize)..][..3];
                for (below, over) in pixel.iter_mut().zip(colour) {
                    *below = ((u32::from(*below) * (255 - ink) + u32::from(over) * ink + 127) / 255) as u8;
                }
            }
        }
    }

    /// The image as an element of an SVG, its pixels kept apart where a viewer enlarges them.
    pub fn svg(&self, at: (f64, f64)) -> String {
        let [width, height] = [self.width, self.height].map(|side| side as f64 / f64::from(SCALE));
        format!(
            "<image x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering:pixelated\" \
             href=\"data:image/png;base64,{}\"/>",
            at.0,
            at.1,
            base64(&self.to_png())
        )
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0, |word, (i, &byte)| word | u32::from(byte) << (16 - 8 * i));
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(if digit <= chunk.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xBF]), "+/+/");
    }

    #[cfg(feature = "png")]
    #[test]
    fn an_image_comes_back_from_its_png_and_is_pasted_in_place() {
        let image = Pixels::from_fn(5, 3, |row, column| [row as u8, column as u8, 200]);
        assert_eq!(Pixels::from_png(&image.to_png()).unwrap(), image);
        let mut page = Pixels::from_fn(7, 7, |_, _| [9; 3]);
        page.paste(&image, 4, 5);
        let at = |row: usize, column: usize| page.bytes[3 * (row * 7 + column)..][..3].to_vec();
        assert_eq!(
            (at(4, 4), at(5, 3), at(5, 4), at(6, 6)),
            (vec![9; 3], vec![9; 3], vec![0, 0, 200], vec![1, 2, 200])
        );
    }
}

//! Pixels, their channels, and their fitting to one size.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

use super::options::{Channels, Fit};

/// Pixels, row by row, with the channels of a pixel side by side.
#[derive(Clone, Debug)]
pub(super) struct Raster<T> {
    pub(super) elements: Vec<T>,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

/// An element of an image.
pub(super) trait Element: image::Primitive + Send + Sync + 'static {
    /// The luma of a colour, ITU-R BT.601.
    fn luma(r: Self, g: Self, b: Self) -> Self;
    /// [`Raster::resize`].
    fn resize(raster: Raster<Self>, height: usize, width: usize) -> Raster<Self>;
}

macro_rules! element {
    ($type:ty, $luma:expr) => {
        impl Element for $type {
            fn luma(r: $type, g: $type, b: $type) -> $type {
                $luma(r, g, b)
            }

            fn resize(raster: Raster<$type>, height: usize, width: usize) -> Raster<$type> {
                let (h, w, channels) = (raster.height, raster.width, raster.channels);
                // Sizes come from headers and options; both fit the 32 bits of the image crate or there is nothing to resize.
                let size = [w, h, width, height].map(u32::try_from);
                let [Ok(w), Ok(h), Ok(new_width), Ok(new_height)] = size else { return raster };
                macro_rules! as_pixels {
                    ($pixel:ident) => {
                        ImageBuffer::<$pixel<$type>, Vec<$type>>::from_raw(w, h, raster.elements).map(|image| {
                            imageops::resize(&image, new_width, new_height, FilterType::Triangle).into_raw()
                        })
                    };
                }
                let elements = match channels {
                    1 => as_pixels!(Luma),
                    2 => as_pixels!(LumaA),
                    3 => as_pixels!(Rgb),
                    _ => as_pixels!(Rgba),
                };
                Raster { elements: elements.unwrap_or_default(), height, width, channels }
            }
        }
    };
}

element!(u8, |r, g, b| {
    // Pillow's numbers: the three weights in 1/65536, rounded.
    let sum = u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000_u32;
    (sum >> 16) as u8
});
element!(f32, |r: f32, g: f32, b: f32| 0.299 * r + 0.587 * g + 0.114 * b);

impl<T: Element> Raster<T> {
    /// With the wanted channels.
    pub(super) fn with_channels(self, wanted: Channels) -> Raster<T> {
        let has = self.channels;
        let pixels = self.elements.chunks_exact(has);
        let (elements, channels) = match (wanted, has) {
            (Channels::Stored, _) | (Channels::Grey, 1) | (Channels::Rgb, 3) => return self,
            (Channels::Grey, 2) => (pixels.map(|p| p[0]).collect(), 1),
            (Channels::Grey, _) => (pixels.map(|p| T::luma(p[0], p[1], p[2])).collect(), 1),
            (Channels::Rgb, 1 | 2) => (pixels.flat_map(|p| [p[0]; 3]).collect(), 3),
            (Channels::Rgb, _) => (pixels.flat_map(|p| [p[0], p[1], p[2]]).collect(), 3),
        };
        Raster { elements, channels, ..self }
    }

    /// In the wanted size.
    pub(super) fn fitted(self, fit: Fit) -> Raster<T> {
        match fit {
            Fit::Resize { height, width } if (height, width) != (self.height, self.width) => {
                T::resize(self, height, width)
            }
            Fit::CropPad { height, width } => self.crop_pad(height, width, T::DEFAULT_MIN_VALUE),
            _ => self,
        }
    }
}

impl<T: Copy> Raster<T> {
    /// As EXIF's number says how stored pixels become upright; 1 is not at all.
    pub(super) fn turned(self, orientation: u8) -> Raster<T> {
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let Raster { elements, height: h, width: w, channels } = self;
        let across = orientation >= 5;
        let (height, width) = if across { (w, h) } else { (h, w) };
        let mut out = Vec::with_capacity(elements.len());
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let (row, column) = if across { (x, y) } else { (y, x) };
            let row = if matches!(orientation, 3 | 4 | 6 | 7) { h - 1 - row } else { row };
            let column = if matches!(orientation, 2 | 3 | 7 | 8) { w - 1 - column } else { column };
            out.extend_from_slice(&elements[(row * w + column) * channels..][..channels]);
        }
        Raster { elements: out, height, width, channels }
    }

    /// `[channels, height, width]`.
    pub(super) fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// The elements, one channel after the other.
    pub(super) fn planes(&self) -> Vec<T> {
        (0..self.channels).flat_map(|c| self.elements.iter().skip(c).step_by(self.channels)).copied().collect()
    }

    /// Writes the elements to `row`, one channel after the other.
    pub(super) fn write(&self, row: &mut [T]) {
        let plane = self.height * self.width;
        for (channel, plane) in row.chunks_exact_mut(plane.max(1)).enumerate() {
            let from = self.elements.iter().skip(channel).step_by(self.channels);
            plane.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }

    /// The centre; where there is not enough, `fill` surrounds it.
    pub(super) fn crop_pad(self, height: usize, width: usize, fill: T) -> Raster<T> {
        let (rows, columns) = (Overlap::of(self.height, height), Overlap::of(self.width, width));
        let c = self.channels;
        let mut elements = vec![fill; height * width * c];
        let from = self.elements.chunks_exact((self.width * c).max(1)).skip(rows.from);
        let to = elements.chunks_exact_mut((width * c).max(1)).skip(rows.to);
        for (to, from) in to.zip(from).take(rows.length) {
            let from = &from[columns.from * c..][..columns.length * c];
            to[columns.to * c..][..columns.length * c].copy_from_slice(from);
        }
        Raster { elements, height, width, channels: c }
    }

    /// In another size, every pixel the nearest of before: for labels, which cannot be averaged.
    pub(super) fn nearest(self, height: usize, width: usize) -> Raster<T> {
        // The centre of pixel i lies at (i + ½) · old / new.
        let at = |i: usize, old: usize, new: usize| ((2 * i + 1) * old / (2 * new)).min(old.saturating_sub(1));
        let columns: Vec<usize> = (0..width).map(|x| at(x, self.width, width)).collect();
        let rows = (0..height).map(|y| at(y, self.height, height) * self.width);
        let elements = rows.flat_map(|row| columns.iter().map(move |x| row + x)).map(|i| self.elements[i]).collect();
        Raster { elements, height, width, channels: 1 }
    }
}

/// What two lengths, laid centre on centre, share.
struct Overlap {
    from: usize,
    to: usize,
    length: usize,
}

impl Overlap {
    fn of(old: usize, new: usize) -> Overlap {
        let length = old.min(new);
        Overlap { from: (old - length) / 2, to: (new - length) / 2, length }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raster(height: usize, width: usize, elements: &[u8]) -> Raster<u8> {
        Raster { elements: elements.to_vec(), height, width, channels: elements.len() / (height * width) }
    }

    #[test]
    fn the_centre_is_kept() {
        let image = raster(3, 4, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(image.clone().crop_pad(1, 2, 0).elements, [5, 6]);
        assert_eq!(image.clone().crop_pad(5, 2, 99).elements, [99, 99, 1, 2, 5, 6, 9, 10, 99, 99]);
        assert_eq!(image.clone().crop_pad(3, 4, 0).elements, image.elements);
        assert_eq!(raster(1, 1, &[1, 2, 3]).crop_pad(1, 2, 0).elements, [1, 2, 3, 0, 0, 0]);
    }

    #[test]
    fn labels_are_never_averaged() {
        // Pillow 12: Image.fromarray(a).resize((w, h), Image.NEAREST).
        let image = raster(2, 3, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(image.clone().nearest(4, 3).elements, [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
        assert_eq!(image.clone().nearest(1, 2).elements, [4, 6]);
        assert_eq!(image.nearest(2, 5).elements, [1, 1, 2, 3, 3, 4, 4, 5, 6, 6]);
    }

    #[test]
    fn channels_come_one_after_the_other() {
        let mut row = [0; 6];
        raster(1, 2, &[1, 2, 3, 4, 5, 6]).write(&mut row);
        assert_eq!(row, [1, 4, 2, 5, 3, 6]);
        let rgba = raster(1, 1, &[255, 0, 0, 7]);
        assert_eq!(rgba.clone().with_channels(Channels::Rgb).elements, [255, 0, 0]);
        assert_eq!(rgba.clone().with_channels(Channels::Grey).elements, [76]);
        assert_eq!(rgba.with_channels(Channels::Stored).elements, [255, 0, 0, 7]);
        assert_eq!(raster(1, 1, &[9, 7]).with_channels(Channels::Rgb).elements, [9, 9, 9]);
    }
}

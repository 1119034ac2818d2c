use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::options::{Fit, ImageOptions};
use super::raster::{Element, Raster};
use super::{decode, refuse};
use crate::error::Result;
use crate::shape::{DType, TensorSpec};

/// What the values of a mask's pixels mean.
///
/// A value is what the file stores, as tifffile gives it: a grey level (0 to 255, 0 to 65535, 32 bits in TIFF files; 0 and 1 in a mask
/// of one bit), or the index into a palette, whatever colour stands there. Where a TIFF says that 0 is white (WhiteIsZero), values are
/// not inverted. Pixels of colour must be grey, and an alpha channel the same everywhere.
///
/// [`binary`](Masks::binary), [`above`](Masks::above) and [`values`](Masks::values) give `f32` `[1, height, width]` of 0 and 1, as binary
/// cross-entropy and Dice take them; [`classes`](Masks::classes) and [`indices`](Masks::indices) give class indices `u32`
/// `[height, width]`, as categorical cross-entropy takes them.
#[derive(Clone, Debug)]
pub struct Masks {
    meaning: Meaning,
    pub(super) image_ending: Option<String>,
    pub(super) mask_ending: Option<String>,
}

#[derive(Clone, Debug)]
enum Meaning {
    /// 0 and one other value.
    Binary,
    /// Everything above this is foreground.
    Above(u32),
    Foreground(Vec<u32>),
    Classes(BTreeMap<u32, u32>),
    Indices(u32),
}

/// How far red, green and blue of a grey pixel may be apart in a JPEG.
const ROUNDING: u32 = 8;

impl Masks {
    fn new(meaning: Meaning) -> Masks {
        Masks { meaning, image_ending: None, mask_ending: None }
    }

    /// Foreground is what is not 0, in masks of two values: 0 and 1, or 0 and 255. Any third value in a mask is an error: it was blurred
    /// (by JPEG, although it is a PNG now, or by resizing), or it has more classes than two.
    pub fn binary() -> Masks {
        Masks::new(Meaning::Binary)
    }

    /// Foreground is what has a value above this: 127 for JPEG files, whose compression blurs values, and for what was made of them; 0
    /// for masks with a number for each object.
    pub fn above(threshold: u32) -> Masks {
        Masks::new(Meaning::Above(threshold))
    }

    /// Foreground is what has one of these values, background is what has any other.
    pub fn values(foreground: impl IntoIterator<Item = u32>) -> Masks {
        Masks::new(Meaning::Foreground(foreground.into_iter().collect()))
    }

    /// Each value and its class. Any other value in a mask is an error.
    pub fn classes(pairs: impl IntoIterator<Item = (u32, u32)>) -> Masks {
        Masks::new(Meaning::Classes(pairs.into_iter().collect()))
    }

    /// The values are the classes, 0 to `classes - 1`. Any other value in a mask is an error.
    pub fn indices(classes: u32) -> Masks {
        Masks::new(Meaning::Indices(classes))
    }

    /// Takes only files whose names end like this as images (`".jpg"`, `"_image.png"`); what comes before it is the name that the
    /// mask has too. Files that end like masks are none.
    #[must_use]
    pub fn image_ending(mut self, ending: impl Into<String>) -> Masks {
        self.image_ending = Some(ending.into());
        self
    }

    /// Takes only files whose names end like this as masks (`"_mask.png"`); what comes before it is the name that the image has too.
    #[must_use]
    pub fn mask_ending(mut self, ending: impl Into<String>) -> Masks {
        self.mask_ending = Some(ending.into());
        self
    }

    /// The type of the samples.
    pub(super) fn gives(&self) -> DType {
        match self.meaning {
            Meaning::Binary | Meaning::Above(_) | Meaning::Foreground(_) => DType::F32,
            Meaning::Classes(_) | Meaning::Indices(_) => DType::U32,
        }
    }

    /// Shape and type of a sample of this height and width.
    pub(super) fn sample(&self, (height, width): (usize, usize)) -> TensorSpec {
        match self.gives() {
            DType::F32 => TensorSpec::new([1, height, width], DType::F32),
            dtype => TensorSpec::new([height, width], dtype),
        }
    }

    /// The classes (or 0 and 1) in the bytes of a file, fitted.
    pub(super) fn decode(&self, bytes: &[u8], path: &Path, options: &ImageOptions) -> Result<Raster<u32>> {
        decode::guarded(path, || self.guarded(bytes, path, options))
    }

    fn guarded(&self, bytes: &[u8], path: &Path, options: &ImageOptions) -> Result<Raster<u32>> {
        let (raster, lossy) = decode::stored(bytes, path, options)?;
        if lossy && !matches!(self.meaning, Meaning::Above(_)) {
            let actual = "JPEG data, whose compression changes values; Masks::above(127) takes its bright side";
            return Err(refuse(path, "a mask with exact values (PNG, TIFF without JPEG)", actual));
        }
        let values = grey(raster, lossy, path)?;
        if matches!(self.meaning, Meaning::Binary) {
            two_values(&values.elements, path)?;
        }
        let (height, width) = (values.height, values.width);
        let class = |(i, value): (usize, u32)| {
            self.class(value).ok_or_else(|| {
                let actual = format!("{value} at row {}, column {}", i / width, i % width);
                refuse(path, self.known(), actual)
            })
        };
        let elements = values.elements.into_iter().enumerate().map(class).collect::<Result<_>>()?;
        let classes = Raster { elements, height, width, channels: 1 };
        Ok(match options.fit {
            Fit::Same => classes,
            Fit::Resize { height, width } => classes.nearest(height, width),
            Fit::CropPad { height, width } => classes.crop_pad(height, width, 0),
        })
    }

    fn class(&self, value: u32) -> Option<u32> {
        match &self.meaning {
            Meaning::Binary => Some(u32::from(value > 0)),
            Meaning::Above(threshold) => Some(u32::from(value > *threshold)),
            Meaning::Foreground(values) => Some(u32::from(values.contains(&value))),
            Meaning::Classes(classes) => classes.get(&value).copied(),
            Meaning::Indices(classes) => (value < *classes).then_some(value),
        }
    }

    /// The values that a mask may have, for a message.
    fn known(&self) -> String {
        match &self.meaning {
            Meaning::Classes(classes) => {
                let known: Vec<String> = classes.keys().map(u32::to_string).collect();
                format!("values that have a class ({})", known.join(", "))
            }
            Meaning::Indices(classes) => format!("classes below {classes}"),
            _ => "numbers".to_owned(),
        }
    }
}

/// The one value of each pixel. Colour pixels have the same in all of red, green and blue, or nearly so after a lossy compression, which
/// gives their luma; alpha is the same everywhere and tells nothing.
fn grey(raster: Raster<u32>, lossy: bool, path: &Path) -> Result<Raster<u32>> {
    let Raster { elements, height, width, channels } = raster;
    let place = |i: usize| format!("at row {}, column {}", i / width.max(1), i % width.max(1));
    let alpha = |pixel: &[u32]| if matches!(channels, 2 | 4) { pixel.last().copied() } else { None };
    let opaque = elements.chunks_exact(channels).next().and_then(alpha);
    let one = |(i, pixel): (usize, &[u32])| {
        if alpha(pixel) != opaque {
            let actual = format!("an alpha channel with the values {opaque:?} and {:?} {}", alpha(pixel), place(i));
            return Err(refuse(path, "a mask with one value per pixel, and the same alpha everywhere", actual));
        }
        match *pixel {
            [value] | [value, _] => Ok(value),
            [r, g, b, ..] if r == g && g == b => Ok(r),
            [r, g, b, ..] if lossy && r.max(g).max(b) - r.min(g).min(b) <= ROUNDING => {
                Ok(u8::luma(r as u8, g as u8, b as u8).into())
            }
            _ => {
                let actual = format!("the colour {:?} {}", pixel.get(..3).unwrap_or(pixel), place(i));
                Err(refuse(path, "a mask with one value per pixel (grey, or a palette)", actual))
            }
        }
    };
    let elements = elements.chunks_exact(channels).enumerate().map(one).collect::<Result<_>>()?;
    Ok(Raster { elements, height, width, channels: 1 })
}

/// Refuses masks of more than two values: 0 and one other.
fn two_values(values: &[u32], path: &Path) -> Result<()> {
    let most = values.iter().copied().max().unwrap_or(0);
    if values.iter().all(|value| *value == 0 || *value == most) {
        return Ok(());
    }
    let all: BTreeSet<u32> = values.iter().copied().collect();
    let some: Vec<String> = all.iter().take(5).map(u32::to_string).collect();
    let more = if all.len() > 5 { format!(", ... {most}") } else { String::new() };
    let actual = format!(
        "{} values ({}{more}); if compression or resizing blurred the mask, Masks::above({}) takes its bright side; if objects are \
         numbered, Masks::above(0) takes all of them",
        all.len(),
        some.join(", "),
        most / 2
    );
    Err(refuse(path, "a binary mask: 0 and one other value", actual))
}

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat};

use super::options::{Fit, ImageOptions};
use super::raster::Raster;
use super::{decode, refuse};
use crate::error::Result;
use crate::shape::{DType, TensorSpec};

/// What the values of a mask's pixels mean.
///
/// A value is what the file stores: a grey level (0 to 255, 0 to 65535; 0 and 1 in a mask of one bit), or the index into a palette,
/// whatever colour stands there. [`binary`](Masks::binary), [`above`](Masks::above) and [`values`](Masks::values) give `f32`
/// `[1, height, width]` of 0 and 1, as binary cross-entropy and Dice take them; [`classes`](Masks::classes) and
/// [`indices`](Masks::indices) give class indices `u32` `[height, width]`, as categorical cross-entropy takes them.
#[derive(Clone, Debug)]
pub struct Masks {
    meaning: Meaning,
    pub(super) image_ending: Option<String>,
    pub(super) mask_ending: Option<String>,
}

#[derive(Clone, Debug)]
enum Meaning {
    /// Everything above this is foreground. JPEG files only where the user named the threshold.
    Above {
        threshold: u32,
        named: bool,
    },
    Foreground(Vec<u32>),
    Classes(BTreeMap<u32, u32>),
    Indices(u32),
}

impl Masks {
    fn new(meaning: Meaning) -> Masks {
        Masks { meaning, image_ending: None, mask_ending: None }
    }

    /// Foreground is what is not 0: masks of 0 and 1, of 0 and 255, or with a number for each object.
    pub fn binary() -> Masks {
        Masks::new(Meaning::Above { threshold: 0, named: false })
    }

    /// Foreground is what has a value above this: for JPEG files, whose compression blurs values.
    pub fn above(threshold: u32) -> Masks {
        Masks::new(Meaning::Above { threshold, named: true })
    }

    /// Foreground is what has one of these values.
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
            Meaning::Above { .. } | Meaning::Foreground(_) => DType::F32,
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
        let (values, format) = stored(bytes, path, options.most_bytes)?;
        if format == ImageFormat::Jpeg && !matches!(self.meaning, Meaning::Above { named: true, .. }) {
            let actual = "a JPEG file, whose compression changes values; Masks::above(127) takes its bright side";
            return Err(refuse(path, "a mask with exact values (PNG, TIFF)", actual));
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
            Meaning::Above { threshold, .. } => Some(u32::from(value > *threshold)),
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

/// The values that a mask's pixels have in its file, and the file's format.
fn stored(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<(Raster<u32>, ImageFormat)> {
    let head = decode::head_of(Cursor::new(bytes), bytes.len() as u64, path, most_bytes)?;
    if head.format == ImageFormat::Png {
        decode::whole(bytes, head.format, path)?;
        return Ok((png_values(bytes, path, most_bytes)?, head.format));
    }
    let (image, head) = decode::pixels(bytes, path, most_bytes)?;
    let elements = match image {
        DynamicImage::ImageLuma16(x) => x.into_raw().into_iter().map(u32::from).collect(),
        DynamicImage::ImageLuma8(x) => x.into_raw().into_iter().map(u32::from).collect(),
        // A JPEG of three channels is grey all the same, but for rounding.
        other if head.format == ImageFormat::Jpeg => other.into_luma8().into_raw().into_iter().map(u32::from).collect(),
        other if head.bits == 8 => {
            let raw: Vec<u32> = other.into_rgba8().into_raw().into_iter().map(u32::from).collect();
            grey(&raw, 4, head.width, path)?
        }
        other => {
            let raw: Vec<u32> = other.into_rgba16().into_raw().into_iter().map(u32::from).collect();
            grey(&raw, 4, head.width, path)?
        }
    };
    Ok((Raster { elements, height: head.height, width: head.width, channels: 1 }, head.format))
}

/// The one value of each pixel, where colour pixels have the same in all of red, green and blue.
fn grey(elements: &[u32], channels: usize, width: usize, path: &Path) -> Result<Vec<u32>> {
    let one = |(i, pixel): (usize, &[u32])| match pixel {
        [value] | [value, _] => Ok(*value),
        [r, g, b, ..] if r == g && g == b => Ok(*r),
        other => {
            let colour = other.get(..3).unwrap_or(other);
            let actual = format!("the colour {colour:?} at row {}, column {}", i / width.max(1), i % width.max(1));
            Err(refuse(path, "a mask with one value per pixel (grey, or a palette)", actual))
        }
    };
    elements.chunks_exact(channels).enumerate().map(one).collect()
}

/// The values of a PNG as they are stored: palette indices, and grey of fewer than 8 bits, neither looked up nor scaled.
fn png_values(bytes: &[u8], path: &Path, most_bytes: u64) -> Result<Raster<u32>> {
    let wrong = |e: png::DecodingError| match e {
        png::DecodingError::LimitsExceeded => {
            refuse(path, format!("at most {most_bytes} bytes of pixels (ImageOptions::most_bytes)"), "more")
        }
        other => refuse(path, "an undamaged PNG", other.to_string()),
    };
    let limits = png::Limits { bytes: usize::try_from(most_bytes).unwrap_or(usize::MAX) };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let size = reader.output_buffer_size().filter(|size| *size as u64 <= most_bytes);
    let mut buffer = vec![0; size.ok_or(png::DecodingError::LimitsExceeded).map_err(wrong)?];
    let info = reader.next_frame(&mut buffer).map_err(wrong)?;
    let (height, width, channels) = (info.height as usize, info.width as usize, info.color_type.samples());
    let mut elements = Vec::new();
    // Lines begin at whole bytes.
    for line in buffer.chunks_exact(info.line_size.max(1)).take(height) {
        match info.bit_depth {
            png::BitDepth::Sixteen => {
                elements.extend(line.as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_be_bytes(*b))));
            }
            png::BitDepth::Eight => elements.extend(line.iter().map(|b| u32::from(*b))),
            depth => {
                let bits = depth as usize;
                let value = |i: usize| (line[i * bits / 8] as usize >> (8 - bits - i * bits % 8)) & ((1 << bits) - 1);
                elements.extend((0..width).map(|i| value(i) as u32));
            }
        }
    }
    let elements = if channels == 1 { elements } else { grey(&elements, channels, width, path)? };
    if elements.len() != height * width {
        return Err(refuse(path, format!("{height}x{width} pixels"), format!("{} of them", elements.len())));
    }
    Ok(Raster { elements, height, width, channels: 1 })
}

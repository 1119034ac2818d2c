//! Images and masks from PNG, JPEG and TIFF files, decoded when they are wanted.
//!
//! - [`image_folder`]: one sub-folder per class; [`image_folder_as`]: with the classes of the training's folder.
//! - [`image_mask_folders`]: images, and a mask for each.
//! - [`read`]: one image.
//!
//! Images become `[channels, height, width]`, with the values that Pillow and tifffile read:
//!
//! | in the file | in the sample |
//! |---|---|
//! | 8 bits per channel | bytes, as they are |
//! | 1, 2 or 4 bits of grey | bytes: 0 to 255 in equal steps |
//! | 9 to 16 bits per channel | floats: the value divided by the largest that the bits can hold, so 12 bits of 4095 are 1 |
//! | grey where 0 is white (TIFF, WhiteIsZero) | inverted: bright is large |
//! | a palette | its colors, RGB bytes |
//! | alpha; in PNG files also a transparent color | a channel behind the others, dropped by [`grey`](ImageOptions::grey) and [`rgb`](ImageOptions::rgb) |
//! | colors multiplied by alpha (TIFF, ExtraSamples 1) | divided by it again |
//! | CMYK of 8 bits | RGB, by Pillow's formula |
//!
//! Masks keep the values of the file: see [`Masks`]. Color profiles, gamma and resolution are ignored.
//!
//! TIFF: classic and BigTIFF in both byte orders, strips and tiles, chunky and planar, FillOrder 1 and 2; without compression, LZW,
//! Deflate (with predictor 2), PackBits, CCITT Group 4, and JPEG of grey, RGB and YCbCr. JPEG: 8 bits, Huffman coded, baseline and
//! progressive; two decoders round differently, by up to 4 of 255, and by up to 8 where colors of hard contrast are stored at a lower
//! resolution.
//!
//! Everything else is an error that names the file and what it has: other compressions and colors, signed and floating-point samples,
//! other numbers of channels, several pages, animations. Smaller copies of a TIFF's page (NewSubfileType 1) and what follows the first
//! image of a JPEG file are passed over. An image that its file says to turn (EXIF orientation) is refused until the options say what
//! to do: [`upright`](ImageOptions::upright) or [`as_stored`](ImageOptions::as_stored).
//!
//! ```no_run
//! use galen::data::formats::images::{ImageOptions, Masks, image_folder, image_mask_folders};
//!
//! // Folders benign/ and malignant/, images of any size.
//! let scans = image_folder("ultrasound", &ImageOptions::new().grey().resize(128, 128))?;
//! assert_eq!(scans.classes(), ["benign", "malignant"]);
//! let (train, test) = scans.dataset()?.split_at(500)?;
//!
//! // Masks in JPEG files: what is brighter than 127 belongs to the lung.
//! let lungs = image_mask_folders("xray/images", "xray/masks", &ImageOptions::new().grey(), &Masks::above(127))?;
//! let data = lungs.dataset()?;
//! # Ok::<(), galen::Error>(())
//! ```

mod decode;
mod files;
mod folder;
mod jpeg;
mod mask;
mod options;
mod pairs;
mod png;
mod raster;
mod rows;
mod tiff;

use std::path::Path;

use crate::error::{Error, Result};
use crate::file;
use crate::tensor::Tensor;

pub use folder::{ImageFolder, image_folder, image_folder_as};
pub use mask::Masks;
pub use options::ImageOptions;
pub use pairs::{ImageMasks, image_mask_folders};
pub use rows::{ImageRows, MaskRows};

/// The image in a file, `[channels, height, width]`: bytes, or floats in 0 to 1 where the file has more than 8 bits per channel.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is no PNG, JPEG or TIFF, is cut or damaged, is of a kind that
/// is not read (see [above](self)), is to be turned and the options do not say how, or is larger than they allow.
pub fn read(path: impl AsRef<Path>, options: &ImageOptions) -> Result<Tensor> {
    let path = path.as_ref();
    parse(&file::read(path)?, path, options)
}

/// The image in the bytes of a file; `name` is what errors call it.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], name: &Path, options: &ImageOptions) -> Result<Tensor> {
    rows::image(bytes, name, options)
}

/// The mask in the bytes of a file, fitted as the options say; `name` is what errors call it. Its shape and type are those of
/// [`Masks`].
///
/// # Errors
/// As [`read`]; [`Error::Format`] where the file has colours, or values that `masks` does not know.
pub fn parse_mask(bytes: &[u8], name: &Path, options: &ImageOptions, masks: &Masks) -> Result<Tensor> {
    rows::mask(bytes, name, options, masks)
}

fn refuse(path: &Path, expected: impl Into<String>, actual: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), expected: expected.into(), actual: actual.into() }
}

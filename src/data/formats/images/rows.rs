use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::decode::{self, Elements, Head, Image};
use super::mask::Masks;
use super::options::{Channels, Fit, ImageOptions};
use super::raster::{Element, Raster};
use super::refuse;
use crate::data::{RowMut, Rows};
use crate::error::{Error, Result};
use crate::file;
use crate::shape::{DType, TensorSpec};
use crate::tensor::Tensor;

/// Images in files, each decoded when it is wanted, `[channels, height, width]`. Cloning shares the list.
#[derive(Clone)]
pub struct ImageRows {
    files: Arc<[PathBuf]>,
    options: ImageOptions,
    sample: TensorSpec,
}

/// Masks in files, each decoded when it is wanted; shape and type are those of [`Masks`]. Cloning shares the list.
#[derive(Clone)]
pub struct MaskRows {
    files: Arc<[PathBuf]>,
    options: ImageOptions,
    masks: Arc<Masks>,
    sample: TensorSpec,
}

impl ImageRows {
    /// The images in these files, whose headers are read and compared.
    pub(super) fn new(files: Vec<PathBuf>, options: &ImageOptions) -> Result<(ImageRows, Vec<Head>)> {
        check(options)?;
        let heads = heads(&files, options)?;
        let Some((first, file)) = heads.first().zip(files.first()) else {
            return Err(Error::data("images", "at least one", "none"));
        };
        let sample = sample(first, options);
        for (head, path) in heads.iter().zip(&files) {
            decode::is_image(head, path)?;
            let one = self::sample(head, options);
            if one != sample {
                let expected = format!("{}, as {} has it", in_words(&sample), super::files::name(file));
                let hint = if one.shape.get(1..) != sample.shape.get(1..) {
                    "resize or crop_pad gives all one size"
                } else if one.dtype != sample.dtype {
                    "floats makes both the same"
                } else {
                    "grey or rgb gives all the same channels"
                };
                return Err(refuse(path, expected, format!("{} ({hint})", in_words(&one))));
            }
        }
        Ok((ImageRows { files: files.into(), options: options.clone(), sample }, heads))
    }
}

impl MaskRows {
    pub(super) fn new(files: Vec<PathBuf>, options: &ImageOptions, masks: &Masks, size: (usize, usize)) -> MaskRows {
        let sample = masks.sample(size);
        MaskRows { files: files.into(), options: options.clone(), masks: Arc::new(masks.clone()), sample }
    }
}

/// Refuses sizes that no image can have.
fn check(options: &ImageOptions) -> Result<()> {
    let (Fit::Resize { height, width } | Fit::CropPad { height, width }) = options.fit else { return Ok(()) };
    if (1..=1 << 16).contains(&height) && (1..=1 << 16).contains(&width) {
        return Ok(());
    }
    Err(Error::parameter("ImageOptions", "height and width", "from 1 to 65536 pixels", format!("{height}x{width}")))
}

/// The headers of these files, read by several threads; the first error in the order of the files.
pub(super) fn heads(files: &[PathBuf], options: &ImageOptions) -> Result<Vec<Head>> {
    let cores = thread::available_parallelism().map_or(1, |n| n.get());
    let some = |files: &[PathBuf]| files.iter().map(|path| decode::head(path, options)).collect::<Result<Vec<_>>>();
    let parts = thread::scope(|scope| {
        let parts = files.chunks(files.len().div_ceil(cores).max(1));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || some(part))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<Vec<Head>>>| {
            thread.join().unwrap_or_else(|_| Err(Error::usage("images", "their reader panicked")))
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    Ok(parts.concat())
}

/// What a sample becomes of an image with this header.
fn sample(head: &Head, options: &ImageOptions) -> TensorSpec {
    let channels = match options.channels {
        Channels::Stored => head.channels,
        Channels::Grey => 1,
        Channels::Rgb => 3,
    };
    let (height, width) = options.size((head.height, head.width));
    let dtype = if options.floats || head.bits > 8 { DType::F32 } else { DType::U8 };
    TensorSpec::new([channels, height, width], dtype)
}

fn in_words(sample: &TensorSpec) -> String {
    let bits = if sample.dtype == DType::U8 { "bytes" } else { "9 to 16 bits or floats" };
    match *sample.shape {
        [channels, height, width] => format!("{height}x{width} pixels, {channels} channels, {bits}"),
        _ => sample.to_string(),
    }
}

impl Rows for ImageRows {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn sample(&self) -> TensorSpec {
        self.sample.clone()
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        let path = path(&self.files, index)?;
        let decoded = Pixels::decode(&file::read(path)?, path, &self.options)?;
        match (decoded, row) {
            (Pixels::Bytes(raster), RowMut::U8(row)) => raster.write_to(row, &self.sample, path),
            (Pixels::Floats(raster), RowMut::F32(row)) => raster.write_to(row, &self.sample, path),
            (_, row) => {
                let expected = format!("an image that gives {} as when it was listed", self.sample.dtype);
                Err(refuse(path, expected, format!("another for {}", row.dtype())))
            }
        }
    }
}

impl Rows for MaskRows {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn sample(&self) -> TensorSpec {
        self.sample.clone()
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        let path = path(&self.files, index)?;
        let classes = self.masks.decode(&file::read(path)?, path, &self.options)?;
        match row {
            RowMut::U32(row) if self.sample.dtype == DType::U32 => classes.write_to(row, &self.sample, path),
            RowMut::F32(row) if self.sample.dtype == DType::F32 => to_floats(classes).write_to(row, &self.sample, path),
            row => {
                Err(Error::usage("MaskRows", format!("expected a row of {}, got {}", self.sample.dtype, row.dtype())))
            }
        }
    }
}

fn path(files: &[PathBuf], index: usize) -> Result<&Path> {
    let out = || Error::data("images", format!("numbers below {}", files.len()), index.to_string());
    files.get(index).map(PathBuf::as_path).ok_or_else(out)
}

fn to_floats(classes: Raster<u32>) -> Raster<f32> {
    let elements = classes.elements.iter().map(|class| *class as f32).collect();
    Raster { elements, height: classes.height, width: classes.width, channels: 1 }
}

/// A decoded image, fitted.
enum Pixels {
    Bytes(Raster<u8>),
    Floats(Raster<f32>),
}

impl Pixels {
    fn decode(bytes: &[u8], path: &Path, options: &ImageOptions) -> Result<Pixels> {
        decode::guarded(path, || Ok(Pixels::of(decode::pixels(bytes, path, options)?, options)))
    }

    fn of(image: Image, options: &ImageOptions) -> Pixels {
        let Head { height, width, channels, bits, .. } = image.head;
        let most = ((1_u32 << bits) - 1) as f32;
        let floats = |elements| Pixels::Floats(finished(Raster { elements, height, width, channels }, options));
        match image.elements {
            Elements::Bytes(x) if options.floats => floats(x.iter().map(|v| f32::from(*v) / most).collect()),
            Elements::Bytes(elements) => Pixels::Bytes(finished(Raster { elements, height, width, channels }, options)),
            Elements::Words(x) => floats(x.iter().map(|v| f32::from(*v) / most).collect()),
        }
    }
}

fn finished<T: Element>(raster: Raster<T>, options: &ImageOptions) -> Raster<T> {
    raster.with_channels(options.channels).fitted(options.fit)
}

impl<T: Copy> Raster<T> {
    /// Writes channel after channel to `row`, where it is a sample as was said when the file was listed.
    fn write_to(&self, row: &mut [T], sample: &TensorSpec, path: &Path) -> Result<()> {
        let size = format!("{}x{} pixels, {} channels", self.height, self.width, self.channels);
        if self.elements.len() != row.len() || self.elements.len() != sample.shape.elements() {
            return Err(refuse(path, format!("{} as when it was listed", sample.shape), size));
        }
        self.write(row);
        Ok(())
    }
}

/// [`super::parse`].
pub(super) fn image(bytes: &[u8], name: &Path, options: &ImageOptions) -> Result<Tensor> {
    check(options)?;
    match Pixels::decode(bytes, name, options)? {
        Pixels::Bytes(raster) => Tensor::u8(raster.shape(), raster.planes()),
        Pixels::Floats(raster) => Tensor::f32(raster.shape(), raster.planes()),
    }
}

/// [`super::parse_mask`].
pub(super) fn mask(bytes: &[u8], name: &Path, options: &ImageOptions, masks: &Masks) -> Result<Tensor> {
    check(options)?;
    let classes = masks.decode(bytes, name, options)?;
    let shape = masks.sample((classes.height, classes.width)).shape;
    if masks.gives() == DType::F32 {
        return Tensor::f32(shape, to_floats(classes).elements);
    }
    Tensor::u32(shape, classes.elements)
}

/// Without paths: what is logged of a data set names no file.
impl fmt::Debug for ImageRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images {}", self.files.len(), self.sample)
    }
}

impl fmt::Debug for MaskRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} masks {}", self.files.len(), self.sample)
    }
}

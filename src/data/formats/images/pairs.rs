use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::{entries, images, name, stem};
use super::mask::Masks;
use super::options::{Fit, ImageOptions};
use super::refuse;
use super::rows::{ImageRows, MaskRows, heads};
use crate::data::{Dataset, Rows, Source};
use crate::error::Result;

/// Images and their masks, in the order of their names.
#[derive(Clone, Debug)]
pub struct ImageMasks {
    names: Vec<String>,
    images: ImageRows,
    masks: MaskRows,
}

/// The images in the folder `image_folder` with the masks of the same name in `mask_folder` (or of the same beginning, where
/// [`Masks::mask_ending`] says how they end; then both may lie in one folder), sorted by name. Hidden files are passed over.
///
/// Only headers are read now: no pixel is decoded before it is wanted.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) where a folder or a file cannot be read; [`Error::Format`](crate::Error::Format) where there are no
/// images, an image has no mask, a mask has no image, two have one name, a mask has another size than its image, a file is no image,
/// or images differ in size, channels or bits and the options leave that so. Each names the file.
pub fn image_mask_folders(
    image_folder: impl AsRef<Path>,
    mask_folder: impl AsRef<Path>,
    options: &ImageOptions,
    masks: &Masks,
) -> Result<ImageMasks> {
    let (image_folder, mask_folder) = (image_folder.as_ref(), mask_folder.as_ref());
    let no_image = masks.mask_ending.as_deref().filter(|_| image_folder == mask_folder);
    let image_files = named(image_folder, masks.image_ending.as_deref(), no_image)?;
    let mut mask_files = named(mask_folder, masks.mask_ending.as_deref(), None)?;
    let (mut names, mut files, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for (key, path) in image_files {
        let Some(mask) = mask_files.remove(&key) else {
            let expected = format!("a mask \"{key}\" in {}", mask_folder.display());
            return Err(refuse(&path, expected, "an image without one"));
        };
        names.push(key);
        files.push(path);
        found.push(mask);
    }
    if let Some((key, path)) = mask_files.first_key_value() {
        let expected = format!("an image \"{key}\" in {}", image_folder.display());
        return Err(refuse(path, expected, "a mask without one"));
    }
    let sizes = same_sizes(&files, &found, options)?;
    let (images, _) = ImageRows::new(files, options)?;
    let size = match options.fit {
        Fit::Same => sizes.first().copied().unwrap_or_default(),
        Fit::Resize { height, width } | Fit::CropPad { height, width } => (height, width),
    };
    Ok(ImageMasks { names, images, masks: MaskRows::new(found, options, masks, size) })
}

/// Files by their names without ending, sorted.
fn named(folder: &Path, ending: Option<&str>, except: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    let keyed: Vec<(String, PathBuf)> = if ending.is_none() && except.is_none() {
        images(folder)?.into_iter().map(|path| (stem(&path), path)).collect()
    } else {
        let of = |path: PathBuf| {
            let name = name(&path);
            if path.is_dir() || except.is_some_and(|except| name.ends_with(except)) {
                return None;
            }
            let key =
                ending.map_or_else(|| Some(stem(&path)), |ending| name.strip_suffix(ending).map(str::to_owned))?;
            Some((key, path))
        };
        entries(folder)?.into_iter().filter_map(of).collect()
    };
    let mut files = BTreeMap::new();
    for (key, path) in keyed {
        if let Some(other) = files.insert(key.clone(), path) {
            return Err(refuse(&other, format!("one file of the name \"{key}\""), "two"));
        }
    }
    if files.is_empty() {
        let expected =
            ending.map_or("at least one image".to_owned(), |e| format!("at least one file that ends in {e}"));
        return Err(refuse(folder, expected, "none"));
    }
    Ok(files)
}

/// Height and width of all images, where their masks have the same.
fn same_sizes(images: &[PathBuf], masks: &[PathBuf], options: &ImageOptions) -> Result<Vec<(usize, usize)>> {
    let of = |files: &[PathBuf]| -> Result<Vec<(usize, usize)>> {
        Ok(heads(files, options.most_bytes)?.iter().map(|head| (head.height, head.width)).collect())
    };
    let (sizes, mask_sizes) = (of(images)?, of(masks)?);
    for ((size, mask_size), (image, mask)) in sizes.iter().zip(&mask_sizes).zip(images.iter().zip(masks)) {
        if size != mask_size {
            let expected = format!("{}x{} pixels, as its image {} has", size.0, size.1, image.display());
            return Err(refuse(mask, expected, format!("{}x{}", mask_size.0, mask_size.1)));
        }
    }
    Ok(sizes)
}

impl ImageMasks {
    /// The name of each pair, without folder and ending: what a patient's number can be taken from.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The images, `[channels, height, width]` each.
    pub fn images(&self) -> &ImageRows {
        &self.images
    }

    /// The masks, `[1, height, width]` or `[height, width]` each, as [`Masks`] says.
    pub fn masks(&self) -> &MaskRows {
        &self.masks
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Never true: there is at least one pair.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Images with their masks as targets, to train on. Bytes become `x / 255`.
    ///
    /// # Errors
    /// Those of [`Dataset::new`].
    pub fn dataset(&self) -> Result<Dataset> {
        Dataset::new(Source::rows(self.images.clone()), Source::rows(self.masks.clone()))
    }
}

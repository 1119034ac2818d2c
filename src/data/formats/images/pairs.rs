use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::decode::Head;
use super::files::{entries, images, name, stem};
use super::mask::Masks;
use super::options::ImageOptions;
use super::refuse;
use super::rows::{self, ImageRows, MaskRows};
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
    let (images, heads) = ImageRows::new(files, options)?;
    check_sizes(&found, &names, &heads, options)?;
    let size = heads.first().map(|head| options.size((head.height, head.width))).unwrap_or_default();
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

/// Refuses masks of another size than their images, which have these headers.
fn check_sizes(masks: &[PathBuf], names: &[String], images: &[Head], options: &ImageOptions) -> Result<()> {
    let size = |head: &Head| (head.height, head.width);
    let mask_heads = rows::heads(masks, options)?;
    for ((head, mask_head), (mask, name)) in images.iter().zip(&mask_heads).zip(masks.iter().zip(names)) {
        let ((height, width), (mask_height, mask_width)) = (size(head), size(mask_head));
        if (height, width) != (mask_height, mask_width) {
            let expected = format!("{height}x{width} pixels, as its image \"{name}\" has");
            return Err(refuse(mask, expected, format!("{mask_height}x{mask_width}")));
        }
    }
    Ok(())
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

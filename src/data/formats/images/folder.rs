use std::path::{Path, PathBuf};

use super::files::{entries, images, name};
use super::options::ImageOptions;
use super::refuse;
use super::rows::ImageRows;
use crate::data::{Dataset, Source};
use crate::error::{Error, Result};

/// Images, sorted into classes by the folders that they lie in.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    classes: Vec<String>,
    labels: Vec<u32>,
    names: Vec<String>,
    images: ImageRows,
}

/// The images in the sub-folders of `folder`, one for each class, as Keras' `image_dataset_from_directory` takes them. Classes are the
/// sub-folders' names in sorted order; images come class by class, sorted by name. Hidden files and files next to the sub-folders are
/// passed over.
///
/// Only headers are read now: no pixel is decoded before it is wanted.
///
/// # Errors
/// [`Error::Io`] where a folder or a file cannot be read; [`Error::Format`] where there is no sub-folder, one has no images or a folder
/// in it, a file is no image (naming it), or images differ in size, channels or bits and the options leave that so (naming the first
/// that differs).
pub fn image_folder(folder: impl AsRef<Path>, options: &ImageOptions) -> Result<ImageFolder> {
    let folder = folder.as_ref();
    let classes: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if classes.is_empty() {
        return Err(refuse(folder, "a sub-folder of images for each class", "no sub-folder"));
    }
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (label, class) in classes.iter().enumerate() {
        let label = u32::try_from(label).map_err(|_| Error::data("classes", "fewer than 2³²", "more"))?;
        let images = images(class)?;
        labels.extend(images.iter().map(|_| label));
        files.extend(images);
    }
    let names = files.iter().map(|path| name(path)).collect();
    let (images, _) = ImageRows::new(files, options)?;
    Ok(ImageFolder { classes: classes.iter().map(|path| name(path)).collect(), labels, names, images })
}

impl ImageFolder {
    /// The names of the classes, in the order of their labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class of each image.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The name of each image's file, without its folder: what a patient's number can be taken from.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The images, `[channels, height, width]` each.
    pub fn images(&self) -> &ImageRows {
        &self.images
    }

    /// Images and their classes, to train on. Bytes become `x / 255`.
    ///
    /// # Errors
    /// Those of [`Dataset::new`].
    pub fn dataset(&self) -> Result<Dataset> {
        Dataset::new(Source::rows(self.images.clone()), ndarray::Array1::from(self.labels.clone()))
    }
}

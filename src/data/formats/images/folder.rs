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
/// sub-folders' names in sorted order, of this folder only: images to test on are read with [`image_folder_as`]. Images come class by
/// class, sorted by name. Hidden files and files next to the sub-folders are passed over.
///
/// Only headers are read now: no pixel is decoded before it is wanted.
///
/// # Errors
/// [`Error::Io`] where a folder or a file cannot be read; [`Error::Format`] where there is no sub-folder, one has no images or a folder
/// in it, a file is no image or one that is not read (naming it), or images differ in size, channels or bits and the options leave that so (naming the first
/// that differs).
pub fn image_folder(folder: impl AsRef<Path>, options: &ImageOptions) -> Result<ImageFolder> {
    let folders = sub_folders(folder.as_ref())?;
    let classes = folders.iter().map(|path| name(path)).collect();
    labelled(folders.into_iter().enumerate(), classes, options)
}

/// Like [`image_folder`], with the classes of another folder: images to test on get the labels that they had in training, also where
/// a class has none of them. Images come in the order of `classes`.
///
/// ```no_run
/// use galen::data::formats::images::{ImageOptions, image_folder, image_folder_as};
///
/// let options = ImageOptions::new().grey().resize(128, 128);
/// let train = image_folder("train", &options)?;
/// let test = image_folder_as("test", train.classes(), &options)?;
/// # Ok::<(), galen::Error>(())
/// ```
///
/// # Errors
/// As [`image_folder`]; [`Error::Format`] where a sub-folder is of none of the classes (naming it); [`Error::Data`] where a class is
/// named twice.
pub fn image_folder_as<S: AsRef<str>>(
    folder: impl AsRef<Path>,
    classes: &[S],
    options: &ImageOptions,
) -> Result<ImageFolder> {
    let classes: Vec<String> = classes.iter().map(|class| class.as_ref().to_owned()).collect();
    if let Some((_, twice)) = classes.iter().enumerate().find(|(i, class)| classes[..*i].contains(class)) {
        return Err(Error::data("classes", "each of them once", format!("\"{twice}\" twice")));
    }
    let mut folders = Vec::new();
    for path in sub_folders(folder.as_ref())? {
        match classes.iter().position(|class| *class == name(&path)) {
            Some(label) => folders.push((label, path)),
            None => return Err(refuse(&path, format!("a folder of one of the classes {classes:?}"), "another name")),
        }
    }
    folders.sort_by_key(|(label, _)| *label);
    labelled(folders, classes, options)
}

fn sub_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let folders: Vec<PathBuf> = entries(folder)?.into_iter().filter(|path| path.is_dir()).collect();
    if folders.is_empty() {
        return Err(refuse(folder, "a sub-folder of images for each class", "no sub-folder"));
    }
    Ok(folders)
}

/// The images of folders, each with the number of its class.
fn labelled(
    folders: impl IntoIterator<Item = (usize, PathBuf)>,
    classes: Vec<String>,
    options: &ImageOptions,
) -> Result<ImageFolder> {
    let (mut files, mut labels) = (Vec::new(), Vec::new());
    for (label, folder) in folders {
        let label = u32::try_from(label).map_err(|_| Error::data("classes", "fewer than 2³²", "more"))?;
        let images = images(&folder)?;
        labels.extend(images.iter().map(|_| label));
        files.extend(images);
    }
    let names = files.iter().map(|path| name(path)).collect();
    let (images, _) = ImageRows::new(files, options)?;
    Ok(ImageFolder { classes, labels, names, images })
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

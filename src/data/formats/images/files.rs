//! The files of a folder, in an order that no file system changes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::refuse;
use crate::error::{Error, Result};

/// Endings of the files that are read.
const IMAGES: [&str; 5] = ["png", "jpg", "jpeg", "tif", "tiff"];

/// Endings of images that are not read: to pass over them in silence would lose data.
const OTHER_IMAGES: [&str; 10] = ["bmp", "gif", "webp", "dcm", "nii", "tga", "jp2", "heic", "avif", "svs"];

/// What lies in a folder, sorted by name, without what is hidden (a name that begins with a dot). Names that are not Unicode are refused:
/// as text two of them would be one, and the image of a patient would find the mask of another.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |reason| Error::Io { path: folder.to_owned(), reason };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.retain(|path| !name(path).starts_with('.'));
    if let Some(path) = paths.iter().find(|path| path.file_name().and_then(OsStr::to_str).is_none()) {
        let actual = format!("{:?}: rename it", path.file_name().unwrap_or_default());
        return Err(refuse(folder, "names in Unicode (UTF-8)", actual));
    }
    paths.sort();
    Ok(paths)
}

/// The images of a folder, sorted by name. Other files are passed over, except images of formats that are not read.
pub(super) fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for path in entries(folder)? {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        if path.is_dir() {
            return Err(refuse(&path, format!("images right in {}", folder.display()), "a folder"));
        } else if IMAGES.contains(&ending.as_str()) {
            images.push(path);
        } else if OTHER_IMAGES.contains(&ending.as_str()) {
            return Err(refuse(&path, "PNG, JPEG or TIFF images", format!("a .{ending} file")));
        }
    }
    if images.is_empty() {
        return Err(refuse(folder, "at least one PNG, JPEG or TIFF image", "none"));
    }
    Ok(images)
}

/// A file's name, without its folder.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file's name without folder and ending.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

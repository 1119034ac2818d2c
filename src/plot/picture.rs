use std::path::Path;

use super::canvas::Canvas;
use crate::error::{Error, Result};
use crate::file::{self, Access};

/// A picture: SVG text, or a PNG file with twice as many pixels along each side.
///
/// The same picture has the same bytes each time. A PNG needs no fonts, it is drawn with DejaVu Sans; the letters of an SVG
/// are drawn by whoever shows it.
#[derive(Clone, Debug)]
pub struct Picture(Canvas);

impl Picture {
    pub(super) fn new(canvas: Canvas) -> Self {
        Picture(canvas)
    }

    /// Width and height in pixels. A PNG has twice as many.
    pub fn size(&self) -> (usize, usize) {
        let (width, height) = self.0.size();
        (width as usize, height as usize)
    }

    /// The picture as SVG.
    pub fn svg(&self) -> String {
        self.0.svg()
    }

    /// The bytes of the picture as a PNG file.
    ///
    /// # Errors
    /// [`Error::Usage`] where Galen was built without the feature `png`.
    pub fn png(&self) -> Result<Vec<u8>> {
        #[cfg(feature = "png")]
        return self.0.png();
        #[cfg(not(feature = "png"))]
        return Err(no_png());
    }

    /// Writes the picture as SVG or PNG, as the extension of `path` says. A reader of `path` sees the old file or the new
    /// one, never a part: it is written under another name and renamed.
    ///
    /// # Errors
    /// [`Error::Usage`] for another extension, or for `.png` where Galen was built without the feature `png`;
    /// [`Error::Io`] where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("svg") => file::replace(path, self.svg().as_bytes(), Access::Shared),
            Some("png") => file::replace(path, &self.png()?, Access::Shared),
            _ => Err(Error::usage(path.display().to_string(), "a picture's file must end in .svg or .png")),
        }
    }
}

#[cfg(not(feature = "png"))]
fn no_png() -> Error {
    Error::usage("a PNG picture", "Galen was built without the feature \"png\"; SVG needs none")
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Anchor, BLACK};
    use super::*;

    fn picture() -> Picture {
        let mut canvas = Canvas::new(40.0, 30.0);
        canvas.text((20.0, 20.0), "<$5>", 12, Anchor::Middle, BLACK);
        Picture::new(canvas)
    }

    #[test]
    fn a_file_is_replaced_or_left() {
        let folder = std::env::temp_dir().join(format!("galen-picture-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("picture.SVG");
        std::fs::write(&path, "old").unwrap();
        picture().save(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        assert!(svg.contains(">&lt;$5&gt;<") && svg.ends_with("</svg>"), "{svg}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
        let wrong = folder.join("nowhere/picture.svg");
        assert!(matches!(picture().save(&wrong), Err(Error::Io { path, .. }) if path == wrong));
        for wrong in ["picture", "picture.jpg"] {
            assert!(matches!(picture().save(folder.join(wrong)), Err(Error::Usage { .. })));
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[cfg(feature = "png")]
    #[test]
    fn a_png_has_twice_the_size() {
        let bytes = picture().png().unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (80, 60));
        assert!(bytes == picture().png().unwrap(), "the same picture, the same bytes");
    }

    #[cfg(not(feature = "png"))]
    #[test]
    fn a_png_without_its_feature_is_an_error_that_names_it() {
        assert!(picture().png().unwrap_err().to_string().contains("feature \"png\""));
    }
}

use ndarray::{ArrayView2, ArrayView3};

use super::Picture;
use super::canvas::{Anchor, BLACK, Canvas, Colour, SCALE};
use super::page::{Legend, Mark, Title};
use super::pixels::Pixels;
use super::text;
use crate::error::{Error, Result};

/// The border of the true mask: light blue, seen on grey and on stained tissue.
const TRUE: Colour = [0x00, 0xE5, 0xFF];
/// The border of the predicted mask.
const PREDICTED: Colour = [0xFF, 0x7A, 0x00];
/// About the longer side of an image, in pixels of a PNG: smaller images are enlarged, larger ones reduced.
const SIDE: usize = 480;
/// What a caption is given.
const CAPTION: f64 = 20.0;
const GAP: f64 = 12.0;
/// Most images of one picture: each takes most of a megabyte.
const MOST: usize = 100;

/// An image with its true and predicted mask, for [`examples`].
#[derive(Clone, Debug)]
pub struct Example {
    image: Pixels,
    truth: Option<Mask>,
    predicted: Option<Mask>,
    caption: String,
}

#[derive(Clone, Debug)]
struct Mask {
    width: usize,
    height: usize,
    inside: Vec<bool>,
}

impl Mask {
    fn new(mask: ArrayView2<bool>, image: &Pixels) -> Result<Self> {
        let (height, width) = mask.dim();
        if (height, width) != (image.height(), image.width()) {
            let expected = format!("{} rows of {}, as the image", image.height(), image.width());
            return Err(Error::data("mask", expected, format!("{height} rows of {width}")));
        }
        Ok(Mask { width, height, inside: mask.iter().copied().collect() })
    }

    fn at(&self, row: usize, column: usize) -> bool {
        row < self.height && column < self.width && self.inside[row * self.width + column]
    }
}

impl Example {
    /// An image `[1 or 3, height, width]`: grey, or red, green and blue. Its smallest value becomes black and its largest white, as
    /// normalised images have no other scale; [`Example::between`] says which values do.
    ///
    /// # Errors
    /// [`Error::Data`] where the image has another number of channels or no pixels, or a value is not finite.
    pub fn new(image: ArrayView3<f32>) -> Result<Self> {
        let (low, high) = image.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        Self::between(image, low, high)
    }

    /// An image of values between `low`, which becomes black, and `high`, which becomes white; what lies beyond becomes the
    /// nearer of both.
    ///
    /// # Errors
    /// As [`Example::new`].
    pub fn between(image: ArrayView3<f32>, low: f32, high: f32) -> Result<Self> {
        if let Some((at, value)) = image.indexed_iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::data("image", "finite values", format!("{value} at {at:?}")));
        }
        let (low, range) = (f64::from(low), f64::from(high) - f64::from(low));
        let byte = |value: f32| {
            let share = if range > 0.0 { (f64::from(value) - low) / range } else { 0.5 };
            (255.0 * share).round().clamp(0.0, 255.0) as u8
        };
        Self::coloured(image.dim(), |c, row, column| byte(image[[c, row, column]]))
    }

    /// An image of bytes `[1 or 3, height, width]`, 0 black and 255 white.
    ///
    /// # Errors
    /// [`Error::Data`] where the image has another number of channels or no pixels.
    pub fn of_bytes(image: ArrayView3<u8>) -> Result<Self> {
        Self::coloured(image.dim(), |c, row, column| image[[c, row, column]])
    }

    fn coloured(
        (channels, height, width): (usize, usize, usize),
        byte: impl Fn(usize, usize, usize) -> u8,
    ) -> Result<Self> {
        if !matches!(channels, 1 | 3) || height == 0 || width == 0 {
            let actual = format!("{channels}, {height}, {width}");
            return Err(Error::data("image", "1 or 3 channels, then rows and columns", actual));
        }
        let at = |row, column| [0, channels / 2, channels - 1].map(|c| byte(c, row, column));
        let image = Pixels::from_fn(width, height, at);
        Ok(Example { image, truth: None, predicted: None, caption: String::new() })
    }

    /// Where the true mask is, in `[height, width]`.
    ///
    /// # Errors
    /// [`Error::Data`] where the mask has another size than the image.
    pub fn truth(mut self, mask: ArrayView2<bool>) -> Result<Self> {
        self.truth = Some(Mask::new(mask, &self.image)?);
        Ok(self)
    }

    /// Where the predicted mask is, in `[height, width]`.
    ///
    /// # Errors
    /// [`Error::Data`] where the mask has another size than the image.
    pub fn predicted(mut self, mask: ArrayView2<bool>) -> Result<Self> {
        self.predicted = Some(Mask::new(mask, &self.image)?);
        Ok(self)
    }

    /// What stands below the image: `"Dice 0.91"`. Whoever sees the picture reads it: no patient's name, no path.
    #[must_use]
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// The image as it is drawn, borders included.
    fn rendered(&self) -> Pixels {
        let longer = self.image.width().max(self.image.height());
        // Whole factors keep pixels square and of one size.
        let (up, down) = (((SIDE + longer / 2) / longer).max(1), longer.div_ceil(SIDE + SIDE / 2));
        let (width, height) = (self.image.width().div_ceil(down) * up, self.image.height().div_ceil(down) * up);
        let border = |mask: &Option<Mask>, row: usize, column: usize| {
            mask.as_ref().is_some_and(|mask| on_border(mask, (row, column), (up, down)))
        };
        Pixels::from_fn(width, height, |row, column| {
            match (border(&self.truth, row, column), border(&self.predicted, row, column)) {
                // Where both run together, they take turns.
                (true, true) if (row + column) / 8 % 2 == 0 => TRUE,
                (_, true) => PREDICTED,
                (true, false) => TRUE,
                (false, false) => self.image.mean(row / up * down, column / up * down, down),
            }
        })
    }
}

/// Whether a pixel of the drawn image lies in `mask`, within two pixels of where it ends. A mask that reaches the image's edge has no
/// border there.
fn on_border(mask: &Mask, (row, column): (usize, usize), (up, down): (usize, usize)) -> bool {
    let inside = |row: usize, column: usize| mask.at(row / up * down, column / up * down);
    let (height, width) = (mask.height.div_ceil(down) * up, mask.width.div_ceil(down) * up);
    if !inside(row, column) {
        return false;
    }
    let rows = row.saturating_sub(2)..(row + 3).min(height);
    rows.into_iter().any(|r| (column.saturating_sub(2)..(column + 3).min(width)).any(|c| !inside(r, c)))
}

/// Draws images with the borders of their true and predicted masks, `columns` beside each other. Images are enlarged or reduced by
/// whole factors to about 240 pixels; borders lie just inside their masks.
///
/// # Errors
/// [`Error::Data`] where there are no examples or more than 100; [`Error::Parameter`] where `columns` is 0.
pub fn examples(title: &str, examples: &[Example], columns: usize) -> Result<Picture> {
    if examples.is_empty() || examples.len() > MOST {
        return Err(Error::data("example images", format!("1 to {MOST}"), examples.len().to_string()));
    }
    if columns == 0 {
        return Err(Error::parameter("example images", "columns", "at least 1", columns));
    }
    let columns = columns.min(examples.len());
    let images: Vec<Pixels> = examples.iter().map(Example::rendered).collect();
    let side = |pixels: usize| (pixels as f64 / f64::from(SCALE)).ceil();
    let cell = images.iter().map(|image| side(image.width())).fold(0.0, f64::max) + GAP;
    let caption = if examples.iter().all(|e| e.caption.is_empty()) { 0.0 } else { CAPTION };
    let width = (cell * columns as f64 + GAP).max(260.0);
    let left = (width - cell * columns as f64 + GAP) / 2.0;

    let mut entries = Vec::new();
    for (any, colour, label) in [
        (examples.iter().any(|e| e.truth.is_some()), TRUE, "true border"),
        (examples.iter().any(|e| e.predicted.is_some()), PREDICTED, "predicted border"),
    ] {
        if any {
            entries.push((Mark::Square(colour), label.to_owned()));
        }
    }
    let (title, legend) = (Title::new(title, "", width), Legend::new(entries, width));
    let rows: Vec<f64> = images
        .chunks(columns)
        .map(|row| row.iter().map(|i| side(i.height())).fold(0.0, f64::max) + caption + GAP)
        .collect();
    let below = title.height() + rows.iter().sum::<f64>();
    let mut canvas = Canvas::new(width, below + legend.height());
    title.draw(&mut canvas);
    let mut top = title.height();
    for ((images, examples), height) in images.chunks(columns).zip(examples.chunks(columns)).zip(&rows) {
        for (index, (image, example)) in images.iter().zip(examples).enumerate() {
            let (x, middle) = (left + cell * index as f64, (cell - GAP) / 2.0);
            let at = ((x + middle - side(image.width()) / 2.0).floor(), top.floor());
            canvas.image(at, image.clone());
            let caption = text::fit(&example.caption, 12.0, cell - GAP);
            canvas.text((x + middle, top + side(image.height()) + 15.0), &caption, 12, Anchor::Middle, BLACK);
        }
        top += height;
    }
    legend.draw(&mut canvas, below);
    Ok(Picture::new(canvas))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3};

    use super::*;

    fn disc(radius: f64) -> Array2<bool> {
        Array2::from_shape_fn((24, 32), |(row, column)| (row as f64 - 12.0).hypot(column as f64 - 16.0) < radius)
    }

    fn example() -> Example {
        let image = Array3::from_shape_fn((1, 24, 32), |(_, row, column)| (row + column) as f32 / 10.0);
        Example::new(image.view()).unwrap()
    }

    #[test]
    fn both_borders_are_drawn_in_their_colours() {
        let drawn = |example: &Example| {
            let image = example.rendered();
            assert_eq!((image.width(), image.height()), (32 * 15, 24 * 15));
            [TRUE, PREDICTED].map(|colour| image.pixels().filter(|p| *p == colour).count())
        };
        let (small, large) = (disc(5.0), disc(9.0));
        assert_eq!(drawn(&example()), [0, 0]);
        let [only, none] = drawn(&example().truth(large.view()).unwrap());
        assert!(only > 1000 && none == 0, "{only} {none}");
        let apart = example().truth(large.view()).unwrap().predicted(small.view()).unwrap();
        let [truth, predicted] = drawn(&apart);
        assert!(truth == only && predicted > 300, "{truth} {predicted}");
        let same = example().truth(large.view()).unwrap().predicted(large.view()).unwrap();
        let [truth, predicted] = drawn(&same);
        assert!(truth + predicted == only && truth.abs_diff(predicted) < only / 5, "{truth} {predicted}");
    }

    #[test]
    fn a_mask_of_everything_has_no_border() {
        let all = Array2::from_elem((24, 32), true);
        assert!(example().truth(all.view()).unwrap().rendered().pixels().all(|p| p != TRUE));
    }

    #[test]
    fn large_images_are_reduced_and_colours_kept() {
        let image = Array3::from_shape_fn((3, 1000, 1500), |(c, _, _)| [10, 20, 30][c]);
        let drawn = Example::of_bytes(image.view()).unwrap().rendered();
        assert_eq!((drawn.width(), drawn.height()), (500, 334));
        assert!(drawn.pixels().all(|p| p == [10, 20, 30]));
    }

    #[test]
    fn values_become_shades() {
        let image = Array3::from_shape_vec((1, 1, 4), vec![-1.0, 0.0, 1.0, 3.0]).unwrap();
        let shades = |e: Example| e.image.pixels().map(|p| p[0]).collect::<Vec<u8>>();
        assert_eq!(shades(Example::new(image.view()).unwrap()), [0, 64, 128, 255]);
        assert_eq!(shades(Example::between(image.view(), 0.0, 1.0).unwrap()), [0, 0, 255, 255]);
        let flat = Array3::from_elem((1, 2, 1), 7.0);
        assert_eq!(shades(Example::new(flat.view()).unwrap()), [128, 128]);
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let made = example().truth(disc(5.0).view()).unwrap().caption("Dice 0.91");
        let draw = || examples("t", &[made.clone(), example(), example()], 2).unwrap();
        let svg = draw().svg();
        assert_eq!(svg.matches("<image ").count(), 3);
        assert!(svg.contains(">Dice 0.91<") && svg.contains(">true border<") && !svg.contains("predicted"), "{svg}");
        assert!(svg.ends_with("</svg>") && svg == draw().svg());
    }

    #[cfg(feature = "png")]
    #[test]
    fn a_png_shows_the_images() {
        let made = example().truth(disc(9.0).view()).unwrap();
        let picture = examples("t", std::slice::from_ref(&made), 1).unwrap();
        let page = Pixels::from_png(&picture.png().unwrap()).unwrap();
        assert_eq!((page.width(), page.height()), (2 * picture.size().0, 2 * picture.size().1));
        let blue = |pixels: &Pixels| pixels.pixels().filter(|p| *p == TRUE).count();
        assert!(blue(&page) > blue(&made.rendered()), "its border, and the legend's square");
    }

    #[test]
    fn what_is_no_image_is_an_error() {
        assert!(Example::of_bytes(Array3::zeros((2, 4, 4)).view()).is_err());
        assert!(Example::of_bytes(Array3::zeros((1, 0, 4)).view()).is_err());
        let error = Example::new(Array3::from_elem((1, 2, 2), f32::NAN).view()).unwrap_err();
        assert!(matches!(error, Error::Data { .. }));
        assert!(example().truth(Array2::from_elem((24, 31), true).view()).is_err());
        assert!(examples("t", &[], 2).is_err());
        assert!(examples("t", &[example()], 0).is_err());
    }
}

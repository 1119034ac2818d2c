//! A surface to draw on, and what it becomes: SVG text or a PNG file. The only file that names kuva.
//!
//! Charts are laid out here in the library and not by kuva, whose layouts let legends cover curves, number their clipping
//! regions from one call to the next and know neither images nor wrapped titles. What kuva does is what is hard: it writes
//! SVG, and it draws PNG with anti-aliasing and a font of its own.

use kuva::backend::svg::SvgBackend;
use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use super::pixels::Pixels;
use super::text;

/// Red, green and blue.
pub(super) type Colour = [u8; 3];
/// A place, in pixels from the left and upper border.
pub(super) type Point = (f64, f64);

pub(super) const BLACK: Colour = [0x22, 0x22, 0x22];
pub(super) const GREY: Colour = [0x66, 0x66, 0x66];
pub(super) const PALE: Colour = [0xDD, 0xDD, 0xDD];
pub(super) const WHITE: Colour = [0xFF, 0xFF, 0xFF];

/// How many pixels of a PNG a picture's pixel has along each side; images have as many in an SVG.
pub(super) const SCALE: u32 = 2;

/// What stands at the place that a text is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// What was drawn, first things lowest; images lie above everything else.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    shapes: Vec<Primitive>,
    images: Vec<(Point, Pixels)>,
}

impl Canvas {
    /// An empty canvas, of whole pixels.
    pub fn new(width: f64, height: f64) -> Self {
        Canvas { width: width.ceil(), height: height.ceil(), shapes: Vec::new(), images: Vec::new() }
    }

    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    pub fn rect(&mut self, at: Point, size: (f64, f64), fill: Colour) {
        let (x, y, width, height) = (at.0, at.1, size.0, size.1);
        self.shapes.push(Primitive::Rect {
            x,
            y,
            width,
            height,
            fill: colour(fill),
            stroke: None,
            stroke_width: None,
            opacity: None,
        });
    }

    pub fn frame(&mut self, at: Point, size: (f64, f64), stroke: Colour) {
        let (right, low) = (at.0 + size.0, at.1 + size.1);
        for (from, to) in
            [(at, (right, at.1)), ((right, at.1), (right, low)), ((right, low), (at.0, low)), ((at.0, low), at)]
        {
            self.line(from, to, stroke, 1.0);
        }
    }

    pub fn line(&mut self, from: Point, to: Point, stroke: Colour, width: f64) {
        self.shapes.push(Primitive::Line {
            x1: from.0,
            y1: from.1,
            x2: to.0,
            y2: to.1,
            stroke: colour(stroke),
            stroke_width: width,
            stroke_dasharray: None,
        });
    }

    /// A line through `points`; one point alone draws nothing.
    pub fn polyline(&mut self, points: &[Point], stroke: Colour, width: f64) {
        let points = thinned(points);
        if points.len() > 1 {
            self.shapes.push(Primitive::PolyLine {
                points,
                stroke: colour(stroke),
                stroke_width: width,
                stroke_dasharray: None,
            });
        }
    }

    /// A line of dashes through `points`. kuva's own begin anew at every point.
    pub fn dashes(&mut self, points: &[Point], stroke: Colour, width: f64) {
        const LENGTHS: [f64; 2] = [6.0, 4.0];
        let (mut index, mut left) = (0, LENGTHS[0]);
        let mut dash: Vec<Point> = points.first().copied().into_iter().collect();
        for pair in thinned(points).windows(2) {
            let (mut from, to) = (pair[0], pair[1]);
            loop {
                let length = (to.0 - from.0).hypot(to.1 - from.1);
                if length < left {
                    left -= length;
                    dash.push(to);
                    break;
                }
                let share = left / length;
                from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
                if index % 2 == 0 {
                    dash.push(from);
                    self.polyline(&dash, stroke, width);
                }
                dash = vec![from];
                index += 1;
                left = LENGTHS[index % 2];
            }
        }
        if index % 2 == 0 {
            self.polyline(&dash, stroke, width);
        }
    }

    /// The area inside `points`.
    pub fn area(&mut self, points: &[Point], fill: Colour, opacity: f64) {
        use std::fmt::Write;
        let mut d = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(d, "{}{x:.2} {y:.2} ", if index == 0 { 'M' } else { 'L' });
        }
        d.push('Z');
        self.shapes.push(Primitive::Path(Box::new(PathData {
            d,
            fill: Some(colour(fill)),
            stroke: Color::None,
            stroke_width: 0.0,
            opacity: Some(opacity),
            stroke_dasharray: None,
        })));
    }

    pub fn dots(&mut self, points: &[Point], radius: f64, fill: Colour, opacity: f64) {
        self.shapes.push(Primitive::CircleBatch {
            cx: points.iter().map(|p| p.0).collect(),
            cy: points.iter().map(|p| p.1).collect(),
            r: radius,
            fill: colour(fill),
            fill_opacity: (opacity < 1.0).then_some(opacity),
            stroke: None,
            stroke_width: None,
        });
    }

    /// One dot with a white rim, which stands out from the lines below it.
    pub fn mark(&mut self, at: Point, radius: f64, fill: Colour) {
        self.dots(&[at], radius + 1.5, WHITE, 1.0);
        self.dots(&[at], radius, fill, 1.0);
    }

    /// A text whose baseline is at `at`.
    pub fn text(&mut self, at: Point, text: &str, size: u32, anchor: Anchor, fill: Colour) {
        self.turned(at, text, size, anchor, fill, None);
    }

    /// A text that runs upwards.
    pub fn text_up(&mut self, at: Point, text: &str, size: u32, anchor: Anchor, fill: Colour) {
        self.turned(at, text, size, anchor, fill, Some(-90.0));
    }

    fn turned(&mut self, at: Point, text: &str, size: u32, anchor: Anchor, fill: Colour, rotate: Option<f64>) {
        let anchor = match anchor {
            Anchor::Start => TextAnchor::Start,
            Anchor::Middle => TextAnchor::Middle,
            Anchor::End => TextAnchor::End,
        };
        // A dollar sign would start a formula.
        let content = text::clean(text).replace('$', "\\$");
        let (x, y, color) = (at.0, at.1, Some(colour(fill)));
        self.shapes.push(Primitive::Text { x, y, content, size, anchor, rotate, bold: false, color });
    }

    /// An image; one of its pixels is a [`SCALE`]th of the canvas's.
    pub fn image(&mut self, at: Point, pixels: Pixels) {
        self.images.push((at, pixels));
    }

    fn scene(&self, shapes: Vec<Primitive>) -> Scene {
        let mut scene = Scene::with_capacity(self.width, self.height, shapes.len());
        scene.font_family = Some("DejaVu Sans, Verdana, Helvetica, Arial, sans-serif".to_owned());
        scene.elements = shapes;
        scene
    }

    pub fn svg(&self) -> String {
        let mut svg = SvgBackend::new().render_scene(&self.scene(self.shapes.clone()));
        if self.images.is_empty() {
            return svg;
        }
        let end = svg.rfind("</svg>").unwrap_or(svg.len());
        let images: String = self.images.iter().map(|(at, pixels)| pixels.svg(*at)).collect();
        svg.insert_str(end, &images);
        svg
    }

    #[cfg(feature = "png")]
    pub fn png(&self) -> crate::Result<Vec<u8>> {
        let is_turned = |shape: &&Primitive| matches!(shape, Primitive::Text { rotate: Some(_), .. });
        let (turned, level): (Vec<&Primitive>, Vec<&Primitive>) = self.shapes.iter().partition(is_turned);
        let drawn = self.raster(level.into_iter().cloned().collect())?;
        if self.images.is_empty() && turned.is_empty() {
            return Ok(drawn);
        }
        let failed = |reason| crate::Error::usage("drawing a PNG", reason);
        let mut page = Pixels::from_png(&drawn).map_err(failed)?;
        let pixel = |x: f64| (x * f64::from(SCALE)).round() as i64;
        for (at, pixels) in &self.images {
            let [left, top] = [at.0, at.1].map(|x| pixel(x).max(0) as usize);
            page.paste(pixels, left, top);
        }
        // kuva turns the pixels of a text by interpolation, which doubles and smears its strokes. A quarter turn needs none.
        for shape in turned {
            let Primitive::Text { x, y, content, size, anchor, color: Some(Color::Rgb(red, green, blue)), .. } = shape
            else {
                continue;
            };
            let line = f64::from(*size);
            let (width, baseline) = (text::width(content, line) + 2.0 * line, (1.5 * line).round());
            let strip = Canvas::new(width, 2.0 * line);
            let from = match anchor {
                TextAnchor::Start => line,
                TextAnchor::Middle => (strip.width / 2.0).round(),
                TextAnchor::End => strip.width - line,
            };
            let shape = Primitive::Text {
                x: from,
                y: baseline,
                content: content.clone(),
                size: *size,
                anchor: *anchor,
                rotate: None,
                bold: false,
                color: Some(colour([0; 3])),
            };
            let strip = Pixels::from_png(&strip.raster(vec![shape])?).map_err(failed)?;
            page.stamp_up(&strip, (pixel(from), pixel(baseline)), (pixel(*x), pixel(*y)), [*red, *green, *blue]);
        }
        Ok(page.to_png())
    }

    /// `shapes` on a page of this size, as kuva draws them.
    #[cfg(feature = "png")]
    fn raster(&self, shapes: Vec<Primitive>) -> crate::Result<Vec<u8>> {
        let backend = kuva::RasterBackend::new().with_scale(SCALE as f32);
        backend.render_scene(&self.scene(shapes)).map_err(|reason| crate::Error::usage("drawing a PNG", reason))
    }
}

fn colour([red, green, blue]: Colour) -> Color {
    Color::Rgb(red, green, blue)
}

/// The points of a line without those that lie so near to the one before that nobody could see them.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::with_capacity(points.len().min(4096));
    for (index, &point) in points.iter().enumerate() {
        let far = |last: &Point| (point.0 - last.0).abs().max((point.1 - last.1).abs()) >= 0.25;
        if out.last().is_none_or(far) || index + 1 == points.len() {
            out.push(point);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_three_fifths_of_a_line() {
        let mut canvas = Canvas::new(300.0, 300.0);
        canvas.dashes(&[(0.0, 0.0), (100.0, 0.0), (100.0, 103.0)], BLACK, 1.0);
        let mut length = 0.0;
        for shape in &canvas.shapes {
            let Primitive::PolyLine { points, .. } = shape else { panic!("{shape:?}") };
            length += points.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum::<f64>();
        }
        assert_eq!(canvas.shapes.len(), 21);
        assert!((length - 123.0).abs() < 1e-9, "{length}");
    }

    /// To the pixel, a text that runs upwards is the level one, turned.
    #[cfg(feature = "png")]
    #[test]
    fn a_turned_text_of_a_png_is_as_sharp_as_a_level_one() {
        const SIDE: usize = 120;
        let draw = |up: bool, anchor| {
            let mut canvas = Canvas::new(SIDE as f64, SIDE as f64);
            let at = (60.0, 60.0);
            match up {
                true => canvas.text_up(at, "share $5", 13, anchor, GREY),
                false => canvas.text(at, "share $5", 13, anchor, GREY),
            }
            Pixels::from_png(&canvas.png().unwrap()).unwrap()
        };
        let n = SIDE * SCALE as usize;
        for anchor in [Anchor::Start, Anchor::Middle, Anchor::End] {
            let (level, up) = (draw(false, anchor), draw(true, anchor));
            let dark = |page: &Pixels, row, column| page.mean(row, column, 1)[1] < 250;
            assert!((0..n * n).filter(|i| dark(&level, i / n, i % n)).count() > 300);
            // Whole pixels by which the anchor's own rounding may move the text along its line.
            let differ = |shift: i64| {
                let place = |i: usize| (i / n, (i % n) as i64);
                (0..n * n)
                    .map(place)
                    .filter(|(row, column)| {
                        let to = n as i64 - 1 - column - shift;
                        let turned = if (0..n as i64).contains(&to) { up.mean(to as usize, *row, 1) } else { WHITE };
                        let level = level.mean(*row, *column as usize, 1);
                        level.iter().zip(turned).any(|(a, b)| a.abs_diff(b) > 2)
                    })
                    .count()
            };
            let fewest = (-2..=2).map(differ).min();
            assert_eq!(fewest, Some(0), "{anchor:?}");
        }
    }

    #[test]
    fn a_line_keeps_its_ends_and_what_can_be_seen() {
        let points: Vec<Point> = (0..=10_000).map(|i| (f64::from(i) / 100.0, 1.0)).collect();
        let thin = thinned(&points);
        assert!(thin.len() < 405 && thin.len() > 300, "{}", thin.len());
        assert_eq!((thin[0], thin[thin.len() - 1]), ((0.0, 1.0), (100.0, 1.0)));
    }
}

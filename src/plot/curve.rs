//! Training curves: what loss and metrics did from epoch to epoch.

use super::Picture;
use super::axes::{Axis, Frame};
use super::canvas::{Canvas, Point};
use super::page::{Legend, Mark, Style, Title};
use crate::error::{Error, Result};

/// Width and height of one panel, in pixels.
const PANEL: (f64, f64) = (460.0, 320.0);
/// Up to this many epochs each value gets a dot of its own; beyond, dots would hide the line.
const DOTS: usize = 40;

/// One quantity over the epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What the legend calls it: `"training"`, `"validation"`. The same label has the same colour in every panel.
    pub label: String,
    /// One value per epoch, the first is epoch 1. An epoch whose value is not finite (or beyond the range of `f32`) is
    /// left out, and the line goes straight from the value before it to the one after it.
    pub values: Vec<f64>,
}

/// Curves that share axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What the vertical axis shows: `"loss"`, `"accuracy"`.
    pub axis: String,
    /// The curves, in the order in which they take colours and places in the legend.
    pub curves: Vec<Curve>,
}

/// Draws `panels`, two beside each other in a row, over a common axis of epochs and with one legend.
///
/// # Errors
/// [`Error::Data`] where there is no panel, a panel without curves, or no epoch.
pub fn training_curves(title: &str, panels: &[Panel]) -> Result<Picture> {
    if panels.is_empty() || panels.iter().any(|panel| panel.curves.is_empty()) {
        return Err(Error::data("training curve", "panels with at least one curve each", "none"));
    }
    let curves = || panels.iter().flat_map(|panel| &panel.curves);
    let epochs = curves().map(|curve| curve.values.len()).max().unwrap_or(0);
    if epochs == 0 {
        return Err(Error::data("training curve", "at least one epoch", "none"));
    }
    let mut labels: Vec<&str> = Vec::new();
    for curve in curves() {
        if !labels.contains(&curve.label.as_str()) {
            labels.push(&curve.label);
        }
    }
    let style = |label: &str| Style::of(labels.iter().position(|other| *other == label).unwrap_or(0));

    let columns = panels.len().min(2);
    let width = PANEL.0 * columns as f64;
    let title = Title::new(title, "", width);
    let legend = Legend::new(labels.iter().map(|l| (Mark::Line(style(l)), (*l).to_owned())).collect(), width);
    let charts = title.height() + PANEL.1 * panels.len().div_ceil(columns) as f64;
    let mut canvas = Canvas::new(width, charts + legend.height());
    title.draw(&mut canvas);
    for (index, panel) in panels.iter().enumerate() {
        let at = (PANEL.0 * (index % columns) as f64, title.height() + PANEL.1 * (index / columns) as f64);
        draw(&mut canvas, panel, epochs, at, style);
    }
    legend.draw(&mut canvas, charts);
    Ok(Picture::new(canvas))
}

/// Draws a panel whose upper left corner is `at`: a line for each curve, and dots where there is room for them.
fn draw(canvas: &mut Canvas, panel: &Panel, epochs: usize, at: Point, style: impl Fn(&str) -> Style) {
    let y = Axis::of(panel.curves.iter().flat_map(drawn).map(|(_, value)| value));
    let beside = Frame::beside(y) + 8.0;
    let size = (PANEL.0 - beside - 16.0, PANEL.1 - Frame::BELOW - 14.0);
    let frame = Frame { at: (at.0 + beside, at.1 + 4.0), size, x: Axis::whole(1, epochs), y };
    frame.draw(canvas, "epoch", &panel.axis);
    for curve in &panel.curves {
        let points: Vec<Point> = drawn(curve).map(|(epoch, value)| frame.map(epoch, value)).collect();
        let style = style(&curve.label);
        style.line(canvas, &points);
        // The only point of a curve needs its dot: it has no line.
        if epochs <= DOTS || points.len() == 1 {
            canvas.dots(&points, 3.0, style.colour, 1.0);
        }
    }
}

/// The points `(epoch, value)` of a curve that can be drawn.
fn drawn(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    let points = curve.values.iter().enumerate().map(|(index, &value)| ((index + 1) as f64, value));
    points.filter(|(_, value)| value.abs() <= f64::from(f32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(label: &str, values: &[f64]) -> Curve {
        Curve { label: label.to_owned(), values: values.to_vec() }
    }

    fn panel(axis: &str, curves: Vec<Curve>) -> Panel {
        Panel { axis: axis.to_owned(), curves }
    }

    fn loss_and_accuracy() -> [Panel; 2] {
        [
            panel("loss", vec![curve("training", &[0.9, 0.4, 0.2]), curve("validation", &[0.8, 0.5, 0.4])]),
            panel("accuracy", vec![curve("training", &[0.7, 0.9, 1.0]), curve("validation", &[0.7, 0.8, 0.9])]),
        ]
    }

    /// How many curves are drawn as lines: each is a path, and so are the two marks of the legend.
    fn lines(svg: &str) -> usize {
        svg.matches("<path").count()
    }

    #[test]
    fn a_figure_says_what_it_shows() {
        let draw = || training_curves("digits <&> $5 or $6", &loss_and_accuracy()).unwrap().svg();
        let svg = draw();
        for text in [">loss<", ">accuracy<", ">epoch<", ">training<", ">validation<", "digits &lt;&amp;&gt; $5 or $6<"]
        {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert_eq!(svg.matches(">training<").count(), 1, "one legend for both panels");
        assert_eq!(lines(&svg), 4 + 2, "a line for each curve and each entry of the legend");
        assert!(svg == draw(), "the same curves, the same bytes");
    }

    #[test]
    fn odd_curves_are_drawn() {
        let nan = f64::NAN;
        let all =
            |values: &[f64]| training_curves("t", &[panel("loss", vec![curve("training", values)])]).unwrap().svg();
        // One epoch is a dot, a gap is bridged, nothing finite leaves empty axes; none of them puts NaN into the file.
        for (values, count) in [(&[0.5][..], 0), (&[0.5, nan, 0.3], 1), (&[nan, nan], 0), (&[1.0, f64::INFINITY], 0)] {
            let svg = all(values);
            assert_eq!(lines(&svg), count + 1, "{values:?}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}: {svg}");
        }
        let dots = |n| all(&vec![0.5; n]).matches("<circle").count();
        assert_eq!((dots(1), dots(DOTS), dots(DOTS + 1)), (1, DOTS, 0));
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        for panels in [vec![], vec![panel("loss", vec![])], vec![panel("loss", vec![curve("training", &[])])]] {
            assert!(matches!(training_curves("t", &panels), Err(Error::Data { .. })));
        }
    }
}

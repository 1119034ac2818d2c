use super::Picture;
use super::axes::{Axis, Frame};
use super::canvas::{BLACK, Canvas, GREY, Point};
use super::page::{COLOURS, Legend, Mark, Style, Title};
use crate::error::{Error, Result};

/// Width and height of each of the two charts.
const PANEL: (f64, f64) = (430.0, 400.0);
const WHAT: &str = "scatter plot";

/// Draws predicted against true values beside their Bland–Altman plot: differences against means, with the mean difference and
/// the limits between which 95 % of normally distributed differences lie (mean ± 1.96 standard deviations). `unit` stands at
/// the axes: `"mmHg"`; it may be empty. Source: J. Bland, D. Altman, Lancet 327, 307, 1986.
///
/// # Errors
/// [`Error::Data`] where there are no values, not as many of both, or one that is not finite (which sample, counted from 0).
pub fn agreement(title: &str, truth: &[f64], predicted: &[f64], unit: &str) -> Result<Picture> {
    check(truth, predicted)?;
    let width = 2.0 * PANEL.0;
    let title = Title::new(title, "", width);
    let solid = |colour| Mark::Line(Style { colour, dashed: false });
    let mut entries = vec![
        (Mark::Dot(COLOURS[0]), format!("samples, n = {}", truth.len())),
        (Mark::Guide, "no difference".to_owned()),
        (solid(COLOURS[1]), "mean difference".to_owned()),
    ];
    if truth.len() > 1 {
        entries.push((solid(BLACK), "95 % limits of agreement".to_owned()));
    }
    let legend = Legend::new(entries, width);
    let below = title.height() + PANEL.1;
    let mut canvas = Canvas::new(width, below + legend.height());
    title.draw(&mut canvas);
    let named = |what: &str| if unit.is_empty() { what.to_owned() } else { format!("{what} ({unit})") };

    let pairs: Vec<(f64, f64)> = truth.iter().copied().zip(predicted.iter().copied()).collect();
    let axis = Axis::of(truth.iter().chain(predicted).copied());
    let frame = frame((0.0, title.height()), axis, axis);
    frame.draw(&mut canvas, &named("true"), &named("predicted"));
    canvas.dashes(&[frame.map(axis.low, axis.low), frame.map(axis.high, axis.high)], GREY, 1.0);
    dots(&mut canvas, &frame, &pairs);

    bland_altman(&mut canvas, (PANEL.0, title.height()), &pairs, &named);
    legend.draw(&mut canvas, below);
    Ok(Picture::new(canvas))
}

fn check(truth: &[f64], predicted: &[f64]) -> Result<()> {
    if truth.is_empty() || truth.len() != predicted.len() {
        let actual = format!("{} and {}", truth.len(), predicted.len());
        return Err(Error::data(WHAT, "as many true as predicted values, and at least one", actual));
    }
    // Beyond the range of f32 differences and means could leave that of f64.
    let bad = |values: &[f64]| values.iter().position(|v| v.is_nan() || v.abs() > f64::from(f32::MAX));
    match bad(truth).or_else(|| bad(predicted)) {
        Some(sample) => Err(Error::data(
            WHAT,
            "finite values within the range of f32",
            format!("{} and {} in sample {sample}", truth[sample], predicted[sample]),
        )),
        None => Ok(()),
    }
}

fn frame(at: Point, x: Axis, y: Axis) -> Frame {
    let beside = Frame::beside(y) + 8.0;
    let size = (PANEL.0 - beside - 20.0, PANEL.1 - Frame::BELOW - 10.0);
    Frame { at: (at.0 + beside, at.1 + 4.0), size, x, y }
}

/// The more samples, the fainter each of them, so that where they crowd can still be seen.
fn dots(canvas: &mut Canvas, frame: &Frame, pairs: &[(f64, f64)]) {
    let points: Vec<Point> = pairs.iter().map(|&(x, y)| frame.map(x, y)).collect();
    let (radius, opacity) = match points.len() {
        0..=100 => (3.5, 0.7),
        101..=1000 => (2.5, 0.5),
        _ => (2.0, 0.25),
    };
    canvas.dots(&points, radius, COLOURS[0], opacity);
}

fn bland_altman(canvas: &mut Canvas, at: Point, pairs: &[(f64, f64)], named: &impl Fn(&str) -> String) {
    let points: Vec<(f64, f64)> = pairs.iter().map(|(t, p)| ((t + p) / 2.0, p - t)).collect();
    let n = points.len() as f64;
    let mean = points.iter().map(|(_, d)| d).sum::<f64>() / n;
    // One sample has no spread.
    let spread = (n > 1.0).then(|| (points.iter().map(|(_, d)| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt());
    let limits = spread.map(|spread| [mean - 1.96 * spread, mean + 1.96 * spread]);
    let y = Axis::of(points.iter().map(|(_, d)| *d).chain(limits.into_iter().flatten()).chain([0.0]));
    let frame = frame(at, Axis::of(points.iter().map(|(m, _)| *m)), y);
    frame.draw(canvas, &named("mean of both"), &named("predicted − true"));
    let across = |value: f64| [frame.map(frame.x.low, value), frame.map(frame.x.high, value)];
    canvas.dashes(&across(0.0), GREY, 1.0);
    dots(canvas, &frame, &points);
    for (value, width) in limits.into_iter().flatten().map(|limit| (limit, 1.5)).chain([(mean, 2.5)]) {
        let [from, to] = across(value);
        canvas.line(from, to, if width > 2.0 { COLOURS[1] } else { BLACK }, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_it_shows() {
        let draw = || agreement("t", &[1.0, 2.0, 4.0], &[1.5, 1.5, 4.5], "mmHg").unwrap().svg();
        let svg = draw();
        for text in [
            ">95 % limits of agreement<",
            ">mean difference<",
            ">true (mmHg)<",
            ">predicted (mmHg)<",
            ">mean of both (mmHg)<",
            ">samples, n = 3<",
        ] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 3 + 3 + 1, "each sample twice, and the legend");
        assert!(!svg.contains("NaN") && svg == draw());
        let one = agreement("t", &[1.0], &[1.0], "").unwrap().svg();
        assert!(one.contains(">true<") && !one.contains("NaN"), "{one}");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        for (truth, predicted) in [(&[][..], &[][..]), (&[1.0], &[1.0, 2.0]), (&[1.0, 2.0], &[1.0, f64::NAN])] {
            assert!(matches!(agreement("t", truth, predicted, ""), Err(Error::Data { .. })));
        }
        assert!(agreement("t", &[1e300], &[-1e300], "").is_err());
    }
}

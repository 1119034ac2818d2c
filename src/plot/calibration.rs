use super::Picture;
use super::axes::{Axis, Frame};
use super::canvas::{Canvas, GREY, Point};
use super::page::{Legend, Mark, Style, Title};
use crate::error::{Error, Result};
use crate::metrics::{Interval, ReliabilityCurve};

const WIDTH: f64 = 480.0;
/// The side of the square in which the curves lie.
const SIDE: f64 = 380.0;
/// The height of the bars that count samples.
const BARS: f64 = 90.0;
const WHAT: &str = "reliability diagram";

/// Draws a reliability diagram: of the samples that were given a probability, the share that came true, against the diagonal of
/// perfect calibration; and how many samples each point stands for. `curves` are labels for the legend, such as
/// `"malignant, expected error 0.021"`, and their curves.
///
/// `intervals` are drawn as bars, one for each point of a single curve, as [`ReliabilityCurve::wilson`] gives them of independent
/// samples and [`ReliabilityCurve::intervals`] of patients with several; none of several curves, whose bars would hide one another.
///
/// # Errors
/// [`Error::Data`] where there is no curve, one whose three lists differ in length, a point or an interval beyond 0..1, or intervals
/// that are not as many as the points of a single curve.
pub fn calibration(
    title: &str,
    curves: &[(&str, &ReliabilityCurve)],
    intervals: &[Option<Interval>],
) -> Result<Picture> {
    if curves.is_empty() {
        return Err(Error::data(WHAT, "at least one curve", "none"));
    }
    for (_, curve) in curves {
        check(curve)?;
    }
    check_intervals(curves, intervals)?;
    let below = intervals.iter().flatten().next().map_or(String::new(), |interval| {
        format!("bars: {} % interval of the observed share", (1e6 * interval.level).round() / 1e4)
    });
    let title = Title::new(title, &below, WIDTH);
    let marks =
        curves.iter().enumerate().map(|(index, (label, _))| (Mark::Line(Style::of(index)), (*label).to_owned()));
    let legend = Legend::new(marks.chain([(Mark::Guide, "perfect calibration".to_owned())]).collect(), WIDTH);

    let left = (WIDTH - SIDE) / 2.0 + 16.0;
    let most = curves.iter().flat_map(|(_, curve)| &curve.counts).max().copied().unwrap_or(0);
    let counts = Axis { low: 0.0, ..Axis::of([0.0, most.max(1) as f64].into_iter()) };
    // As many ticks as the low frame has room for.
    let counts = Axis { step: (2.0 * counts.step).max(1.0), ..counts };
    let square = Frame { at: (left, title.height() + 4.0), size: (SIDE, SIDE), x: Axis::unit(), y: Axis::unit() };
    let at = (left, square.at.1 + SIDE + 14.0);
    let bars = Frame { at, size: (SIDE, BARS), x: Axis::unit(), y: counts };
    let end = at.1 + BARS + Frame::BELOW;

    let mut canvas = Canvas::new(WIDTH, end + legend.height());
    title.draw(&mut canvas);
    square.draw(&mut canvas, "", "observed share");
    bars.draw(&mut canvas, "predicted probability", "samples");
    canvas.dashes(&[square.map(0.0, 0.0), square.map(1.0, 1.0)], GREY, 1.0);
    for (index, (_, curve)) in curves.iter().enumerate() {
        let style = Style::of(index);
        bars_of(&mut canvas, &square, curve, intervals, style);
        let points: Vec<Point> = curve.predicted.iter().zip(&curve.observed).map(|(&x, &y)| square.map(x, y)).collect();
        style.line(&mut canvas, &points);
        canvas.dots(&points, 4.0, style.colour, 1.0);
        count(&mut canvas, &bars, curve, style, (index, curves.len()));
    }
    legend.draw(&mut canvas, end);
    Ok(Picture::new(canvas))
}

fn check(curve: &ReliabilityCurve) -> Result<()> {
    let lengths = [curve.predicted.len(), curve.observed.len(), curve.counts.len()];
    if lengths.iter().any(|length| *length != lengths[0]) {
        return Err(Error::data(WHAT, "as many predicted, observed and counts", format!("{lengths:?}")));
    }
    match curve.predicted.iter().chain(&curve.observed).find(|v| !(0.0..=1.0).contains(*v)) {
        Some(v) => Err(Error::data(WHAT, "points between 0 and 1", v.to_string())),
        None => Ok(()),
    }
}

fn check_intervals(curves: &[(&str, &ReliabilityCurve)], intervals: &[Option<Interval>]) -> Result<()> {
    let points = match curves {
        [(_, curve)] => curve.observed.len(),
        _ => 0,
    };
    if !intervals.is_empty() && intervals.len() != points {
        let expected = format!("none, or one for each of the {points} points of a single curve");
        return Err(Error::data(format!("{WHAT}, intervals"), expected, intervals.len().to_string()));
    }
    match intervals.iter().flatten().find(|i| !(0.0 <= i.low && i.low <= i.high && i.high <= 1.0)) {
        Some(wrong) => Err(Error::data(format!("{WHAT}, intervals"), "bounds between 0 and 1", wrong.to_string())),
        None => Ok(()),
    }
}

/// The interval of each observed share, as an upright bar with caps.
fn bars_of(canvas: &mut Canvas, frame: &Frame, curve: &ReliabilityCurve, intervals: &[Option<Interval>], style: Style) {
    for (&predicted, interval) in curve.predicted.iter().zip(intervals) {
        let Some(interval) = interval else { continue };
        let (low, high) = (frame.map(predicted, interval.low), frame.map(predicted, interval.high));
        canvas.line(low, high, style.colour, 1.0);
        for (x, y) in [low, high] {
            canvas.line((x - 3.0, y), (x + 3.0, y), style.colour, 1.0);
        }
    }
}

/// A bar for the count of each point; those of several curves stand beside each other.
fn count(canvas: &mut Canvas, frame: &Frame, curve: &ReliabilityCurve, style: Style, (index, of): (usize, usize)) {
    let width = (14.0 / of as f64).max(1.5);
    let shift = width * (index as f64 - (of as f64 - 1.0) / 2.0);
    for (&predicted, &count) in curve.predicted.iter().zip(&curve.counts) {
        let (x, top) = frame.map(predicted, count as f64);
        let low = frame.map(predicted, 0.0).1;
        // One sample among thousands is still seen.
        let height = if count == 0 { 0.0 } else { (low - top).max(1.0) };
        let left = (x + shift - width / 2.0).clamp(frame.at.0, frame.at.0 + frame.size.0 - width);
        canvas.rect((left, low - height), (width, height), style.colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> ReliabilityCurve {
        ReliabilityCurve {
            predicted: vec![0.0, 0.3, 0.72, 1.0],
            observed: vec![0.0, 0.2, 0.8, 1.0],
            counts: vec![40, 10, 5, 60],
        }
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let draw = || calibration("t", &[("malignant", &curve())], &[]).unwrap().svg();
        let svg = draw();
        for text in [">malignant<", ">perfect calibration<", ">observed share<", ">predicted probability<", ">samples<"]
        {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(!svg.contains("NaN") && svg == draw());
    }

    #[test]
    fn empty_and_single_points_are_drawn() {
        let empty = ReliabilityCurve { predicted: vec![], observed: vec![], counts: vec![] };
        let one = ReliabilityCurve { predicted: vec![0.5], observed: vec![1.0], counts: vec![1] };
        let svg = calibration("t", &[("a", &empty), ("b", &one)], &[]).unwrap().svg();
        assert!(!svg.contains("NaN") && svg.matches("<circle").count() == 1, "{svg}");
    }

    #[test]
    fn intervals_are_drawn_where_they_are_given() {
        let curve = curve();
        let lines = |intervals: &[Option<Interval>]| {
            let svg = calibration("t", &[("a", &curve)], intervals).unwrap().svg();
            (svg.matches("<line").count(), svg.contains("bars: 90 % interval"))
        };
        let mut intervals: Vec<_> = curve.wilson(0.9).unwrap().into_iter().map(Some).collect();
        let none = lines(&[]);
        assert_eq!(lines(&intervals), (none.0 + 12, true));
        intervals[1] = None;
        assert_eq!((lines(&intervals), none.1), ((none.0 + 9, true), false));
        assert!(calibration("t", &[("a", &curve)], &intervals[1..]).is_err(), "not one for each point");
        assert!(calibration("t", &[("a", &curve), ("b", &curve)], &intervals).is_err(), "whose?");
        intervals[0] = Some(Interval { value: 0.0, low: f64::NAN, high: 1.0, level: 0.9 });
        assert!(calibration("t", &[("a", &curve)], &intervals).is_err(), "no number");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(calibration("t", &[], &[]).is_err());
        let mut short = curve();
        short.counts.pop();
        let mut beyond = curve();
        beyond.observed[1] = f64::NAN;
        for wrong in [short, beyond] {
            assert!(matches!(calibration("t", &[("a", &wrong)], &[]), Err(Error::Data { .. })));
        }
    }
}

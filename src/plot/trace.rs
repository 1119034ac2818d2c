//! What ROC and precision-recall curves have in common: lines in the unit square, each with its area and band.

use super::Picture;
use super::axes::{Axis, Frame};
use super::canvas::{Canvas, Point};
use super::page::{Legend, Mark, Style, Title};
use crate::error::{Error, Result};
use crate::metrics::{Band, Interval};

/// Width of the picture.
const WIDTH: f64 = 480.0;
/// The side of the square.
const SIDE: f64 = 400.0;

/// One curve of a picture.
#[derive(Clone, Debug)]
pub struct Trace<'a, C> {
    pub(super) label: &'a str,
    pub(super) curve: &'a C,
    area: Option<Interval>,
    band: Option<&'a Band>,
    point: Option<(f64, f64)>,
}

impl<'a, C> Trace<'a, C> {
    /// A curve, and what the legend calls it: the class, or the model.
    pub fn new(label: &'a str, curve: &'a C) -> Self {
        Trace { label, curve, area: None, band: None, point: None }
    }

    /// The area under the curve, for the legend. Where its bounds are not numbers, only its value is shown.
    #[must_use]
    pub fn area(mut self, area: Interval) -> Self {
        self.area = Some(area);
        self
    }

    /// The band in which the curve lies with confidence.
    #[must_use]
    pub fn band(mut self, band: &'a Band) -> Self {
        self.band = Some(band);
        self
    }

    /// The place of the chosen threshold on the curve, as (horizontal, vertical): a dot.
    #[must_use]
    pub fn operating_point(mut self, x: f64, y: f64) -> Self {
        self.point = Some((x, y));
        self
    }

    /// What the legend says: label, area and its interval.
    fn entry(&self) -> String {
        match self.area {
            None => self.label.to_owned(),
            Some(area) => format!("{} {}", self.label, shown(&area)),
        }
    }
}

/// A value between 0 and 1 and its interval, with three digits.
pub(super) fn shown(interval: &Interval) -> String {
    let Interval { value, low, high, .. } = interval;
    if low.is_finite() && high.is_finite() {
        format!("{value:.3} ({low:.3}–{high:.3})")
    } else {
        format!("{value:.3}")
    }
}

/// What a kind of curve has of its own.
pub(super) struct Square<'a> {
    /// What is drawn, for errors.
    pub what: &'a str,
    pub title: &'a str,
    /// What the numbers of the legend are: `"AUC"`.
    pub area: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Lines of what a model without skill would do, and how the legend calls them.
    pub guides: Vec<[(f64, f64); 2]>,
    pub guide: &'a str,
}

impl Square<'_> {
    /// Draws `traces` whose points `points` gives, in the order in which they are joined.
    pub fn draw<C>(&self, traces: &[Trace<C>], points: impl Fn(&C) -> Result<Vec<(f64, f64)>>) -> Result<Picture> {
        if traces.is_empty() {
            return Err(Error::data(self.what, "at least one curve", "none"));
        }
        let legend = Legend::new(self.entries(traces), WIDTH);
        let title = Title::new(self.title, &self.subtitle(traces), WIDTH);
        let frame = Frame {
            at: ((WIDTH - SIDE) / 2.0 + 16.0, title.height() + 4.0),
            size: (SIDE, SIDE),
            x: Axis::unit(),
            y: Axis::unit(),
        };
        let below = title.height() + SIDE + 4.0 + Frame::BELOW;
        let mut canvas = Canvas::new(WIDTH, below + legend.height());
        title.draw(&mut canvas);
        frame.draw(&mut canvas, self.x, self.y);
        let map = |points: &[(f64, f64)]| points.iter().map(|&(x, y)| frame.map(x, y)).collect::<Vec<Point>>();
        for guide in &self.guides {
            canvas.dashes(&map(guide), super::canvas::GREY, 1.0);
        }
        for (index, trace) in traces.iter().enumerate() {
            if let Some(band) = trace.band {
                canvas.area(&map(&outline(self.what, band)?), Style::of(index).colour, 0.2);
            }
        }
        for (index, trace) in traces.iter().enumerate() {
            let points = points(trace.curve)?;
            in_square(self.what, &points)?;
            Style::of(index).line(&mut canvas, &map(&points));
        }
        for (index, trace) in traces.iter().enumerate() {
            if let Some((x, y)) = trace.point {
                in_square(self.what, &[(x, y)])?;
                canvas.mark(frame.map(x, y), 4.5, Style::of(index).colour);
            }
        }
        legend.draw(&mut canvas, below);
        Ok(Picture::new(canvas))
    }

    /// What the numbers of the legend are, and what bands and dots.
    fn subtitle<C>(&self, traces: &[Trace<C>]) -> String {
        let mut parts = Vec::new();
        if let Some(area) = traces.iter().find_map(|trace| trace.area) {
            let bounds = area.low.is_finite() && area.high.is_finite();
            let interval = if bounds { format!(" ({} % interval)", 100.0 * area.level) } else { String::new() };
            parts.push(format!("{}{interval}", self.area));
        }
        if traces.iter().any(|trace| trace.band.is_some()) {
            parts.push("band: the same, point by point".to_owned());
        }
        if traces.iter().any(|trace| trace.point.is_some()) {
            parts.push("dot: chosen threshold".to_owned());
        }
        parts.join(" · ")
    }

    fn entries<C>(&self, traces: &[Trace<C>]) -> Vec<(Mark, String)> {
        let lines = traces.iter().enumerate().map(|(index, trace)| (Mark::Line(Style::of(index)), trace.entry()));
        lines.chain([(Mark::Guide, self.guide.to_owned())]).collect()
    }
}

/// The outline of a band: along its lower side and back along the upper one.
fn outline(what: &str, band: &Band) -> Result<Vec<(f64, f64)>> {
    let Band { x, low, high } = band;
    if low.len() != x.len() || high.len() != x.len() {
        let actual = format!("{}, {} and {}", x.len(), low.len(), high.len());
        return Err(Error::data(format!("{what}, band"), "as many x, low and high", actual));
    }
    let lower = x.iter().copied().zip(low.iter().copied());
    let upper = x.iter().copied().zip(high.iter().copied());
    let points: Vec<(f64, f64)> = lower.chain(upper.rev()).filter(|(_, y)| y.is_finite()).collect();
    in_square(what, &points)?;
    Ok(points)
}

/// Refuses what would lie outside the frame.
fn in_square(what: &str, points: &[(f64, f64)]) -> Result<()> {
    let inside = |v: f64| (-1e-9..=1.0 + 1e-9).contains(&v);
    match points.iter().find(|(x, y)| !inside(*x) || !inside(*y)) {
        Some((x, y)) => Err(Error::data(what, "points between 0 and 1", format!("({x}, {y})"))),
        None => Ok(()),
    }
}

/// The points of a curve that is kept as two lists.
pub(super) fn pairs(what: &str, x: &[f64], y: &[f64]) -> Result<Vec<(f64, f64)>> {
    if x.len() != y.len() {
        return Err(Error::data(what, "as many x as y", format!("{} and {}", x.len(), y.len())));
    }
    Ok(x.iter().copied().zip(y.iter().copied()).collect())
}

//! Axes: their ranges and ticks, and the frame of a chart that they make.

use super::canvas::{Anchor, BLACK, Canvas, GREY, PALE, Point};
use super::text;

/// About how many steps an axis is divided into.
const STEPS: f64 = 6.0;
/// The size of what stands beside ticks.
const TICK: u32 = 11;
/// The size of what an axis is called.
const LABEL: u32 = 13;
/// Room between the frame and the first and last value, or lines and dots there would lie on the frame.
const ROOM: f64 = 6.0;

/// The part of a canvas in which values are drawn, between its axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The upper left corner.
    pub at: Point,
    /// Width and height.
    pub size: (f64, f64),
    pub x: Axis,
    pub y: Axis,
}

impl Frame {
    /// How much room below the frame its ticks and label take.
    pub const BELOW: f64 = 44.0;

    /// How much room to the left of a frame the ticks and the label of `y` take.
    pub fn beside(y: Axis) -> f64 {
        let widest = y.ticks().map(|tick| text::width(&y.label(tick), f64::from(TICK))).fold(0.0, f64::max);
        (widest + 36.0).ceil()
    }

    /// Where a pair of values lies.
    pub fn map(&self, x: f64, y: f64) -> Point {
        let share = |value: f64, axis: Axis| (value - axis.low) / (axis.high - axis.low);
        let inner = (self.size.0 - 2.0 * ROOM, self.size.1 - 2.0 * ROOM);
        (self.at.0 + ROOM + share(x, self.x) * inner.0, self.at.1 + self.size.1 - ROOM - share(y, self.y) * inner.1)
    }

    /// Draws grid, frame, ticks and labels. An empty `x_label` leaves the horizontal axis without ticks' labels: another frame
    /// below has them.
    pub fn draw(&self, canvas: &mut Canvas, x_label: &str, y_label: &str) {
        let (left, top, right, low) = (self.at.0, self.at.1, self.at.0 + self.size.0, self.at.1 + self.size.1);
        for tick in self.x.ticks() {
            let x = self.map(tick, 0.0).0;
            canvas.line((x, top), (x, low), PALE, 1.0);
            canvas.line((x, low), (x, low + 4.0), GREY, 1.0);
            if !x_label.is_empty() {
                canvas.text((x, low + 17.0), &self.x.label(tick), TICK, Anchor::Middle, BLACK);
            }
        }
        for tick in self.y.ticks() {
            let y = self.map(0.0, tick).1;
            canvas.line((left, y), (right, y), PALE, 1.0);
            canvas.line((left - 4.0, y), (left, y), GREY, 1.0);
            canvas.text((left - 7.0, y + 4.0), &self.y.label(tick), TICK, Anchor::End, BLACK);
        }
        canvas.frame(self.at, self.size, GREY);
        let size = f64::from(LABEL);
        if !x_label.is_empty() {
            let label = text::fit(x_label, size, self.size.0 + 40.0);
            canvas.text((left + self.size.0 / 2.0, low + 37.0), &label, LABEL, Anchor::Middle, BLACK);
        }
        let label = text::fit(y_label, size, self.size.1 + 20.0);
        let beside = left - Frame::beside(self.y) + 16.0;
        canvas.text_up((beside, top + self.size.1 / 2.0), &label, LABEL, Anchor::Middle, BLACK);
    }
}

/// The range of an axis and the distance of its ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub step: f64,
}

impl Axis {
    /// The axis that shows all `values`, from tick to tick.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // Values that differ by nothing but rounding make a flat line in the middle, not an axis of sixteen digits.
        let size = low.abs().max(high.abs());
        if high - low <= 1e-9 * size {
            let margin = if size == 0.0 { 1.0 } else { 0.1 * size };
            (low, high) = (low - margin, high + margin);
        }
        let step = step((high - low) / STEPS);
        // The small excess keeps a value that is a tick but for rounding from taking another tick beside it.
        Axis { low: (low / step + 1e-9).floor() * step, high: (high / step - 1e-9).ceil() * step, step }
    }

    /// The axis of shares and probabilities.
    pub fn unit() -> Self {
        Axis { low: 0.0, high: 1.0, step: 0.2 }
    }

    /// The axis of whole numbers from `first` to `last`.
    pub fn whole(first: usize, last: usize) -> Self {
        let (low, high) = (first as f64 - 0.5, last.max(first) as f64 + 0.5);
        Axis { low, high, step: step((high - low) / STEPS).max(1.0) }
    }

    /// Where the ticks are: at multiples of the step.
    pub fn ticks(self) -> impl Iterator<Item = f64> {
        let (first, last) = ((self.low / self.step - 1e-6).ceil(), (self.high / self.step + 1e-6).floor());
        // No range has more: a step is at least a tenth of it.
        (0..64).map(move |index| first + f64::from(index)).take_while(move |i| *i <= last).map(move |i| i * self.step)
    }

    /// A tick's label, with as many digits as tell it from its neighbours, the same number on the whole axis.
    pub fn label(self, tick: f64) -> String {
        // What rounding leaves of zero is no number to show.
        let tick = if tick.abs() < self.step / 2.0 { 0.0 } else { tick };
        let size = self.low.abs().max(self.high.abs());
        let digit = exponent(self.step);
        if size >= 1e5 || digit < -5 && size < 1e-2 {
            let digits = (exponent(size) - digit).max(0) as usize;
            return if tick == 0.0 { "0".to_owned() } else { format!("{tick:.digits$e}") };
        }
        let digits = (-digit).max(0) as usize;
        format!("{tick:.digits$}")
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `least`, but for rounding.
pub(super) fn step(least: f64) -> f64 {
    let power = 10_f64.powi(exponent(least));
    let enough = |step: &f64| *step >= least * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(enough).unwrap_or(10.0 * power)
}

/// The power of ten of a positive number's first digit. The small excess is for powers of ten that rounding left just
/// below themselves.
fn exponent(x: f64) -> i32 {
    (x.log10() + 1e-9).floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::of(values.iter().copied());
        axis.ticks().map(|tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_differ() {
        assert_eq!(labels(&[0.91, 0.998]), ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]);
        assert_eq!(labels(&[0.03, 2.3]), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(labels(&[0.0, 3e7]), ["0", "5.0e6", "1.0e7", "1.5e7", "2.0e7", "2.5e7", "3.0e7"]);
        assert_eq!(labels(&[0.3, 0.9]), ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"]);
        assert_eq!(labels(&[]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        for values in
            [[1.0, 1.0 + 1e-7], [-3e38, 3e38], [0.0, 1e-40], [1e-9, 2e-9], [0.3, 0.3], [0.0, 0.0], [-7e5, -6.99e5]]
        {
            let labels = labels(&values);
            assert!((3..=9).contains(&labels.len()), "{values:?}: {labels:?}");
            assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{values:?}: {labels:?}");
            assert!(labels.iter().all(|label| label.len() <= 12), "{values:?}: {labels:?}");
        }
    }

    #[test]
    fn whole_numbers_have_no_ticks_between_them() {
        let ticks = |last| Axis::whole(1, last).ticks().collect::<Vec<f64>>();
        assert_eq!(ticks(1), [1.0]);
        assert_eq!(ticks(4), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ticks(30), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(Axis::unit().ticks().count(), 6);
    }

    #[test]
    fn values_lie_inside_their_frame() {
        let frame = Frame { at: (50.0, 20.0), size: (112.0, 212.0), x: Axis::unit(), y: Axis::unit() };
        assert_eq!(frame.map(0.0, 0.0), (56.0, 226.0));
        assert_eq!(frame.map(1.0, 1.0), (156.0, 26.0));
        assert_eq!(frame.map(0.5, 0.25), (106.0, 176.0));
    }
}

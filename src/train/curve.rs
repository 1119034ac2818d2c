//! Training curves as SVG: what loss and metrics did from epoch to epoch. The only file that names kuva.

use std::path::Path;
use std::sync::Arc;

use kuva::backend::svg::SvgBackend;
use kuva::plot::{LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::theme::Theme;

use crate::error::{Error, Result};

/// Colours that stay apart for colour-blind eyes and in grey (Wong, Nature Methods 8, 441, 2011), strongest first.
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
/// Width and height of one panel, in pixels.
const PANEL: (f64, f64) = (480.0, 340.0);
/// Up to this many epochs each value gets a dot of its own; beyond, dots would hide the line.
const DOTS: usize = 40;
/// About how many steps an axis is divided into.
const STEPS: f64 = 6.0;

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

/// Writes `panels` as one SVG at `path`, two beside each other in a row, over a common axis of epochs and with one legend.
/// A reader of `path` sees the old file or the new one, never a part: it is written under another name and renamed.
///
/// # Errors
/// [`Error::Data`] where there is no panel, a panel without curves, or no epoch; [`Error::Io`] where `path` cannot be
/// written.
pub fn write(path: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    let svg = draw(title, panels)?;
    crate::file::replace(path, svg.as_bytes())
}

fn draw(title: &str, panels: &[Panel]) -> Result<String> {
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
    let colour = |label: &str| {
        let index = labels.iter().position(|other| *other == label).unwrap_or(0);
        COLOURS[index % COLOURS.len()]
    };

    let columns = panels.len().min(2);
    let width = PANEL.0 * columns as f64;
    let figure = Figure::new(panels.len().div_ceil(columns), columns)
        .with_cell_size(PANEL.0, PANEL.1)
        .with_title(text(title, (width / 10.0) as usize))
        .with_title_size(18)
        .with_layouts(panels.iter().map(|panel| layout(panel, epochs)).collect())
        .with_plots(panels.iter().map(|panel| plots(panel, epochs, colour)).collect())
        .with_shared_legend_bottom()
        .render();
    Ok(name_clips(&SvgBackend::new().render_scene(&figure)))
}

/// The same figure with its clipping regions numbered from 0. kuva numbers them on from figure to figure, so that the same
/// curves would make another file each time. No text can be mistaken for them: in texts `<` and `"` are escaped.
fn name_clips(svg: &str) -> String {
    let ids = svg.split("<clipPath id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.enumerate().fold(svg.to_owned(), |named, (index, id)| {
        named
            .replace(&format!("\"{id}\""), &format!("\"panel-{index}\""))
            .replace(&format!("\"url(#{id})\""), &format!("\"url(#panel-{index})\""))
    })
}

/// What kuva draws for a panel: a line for each curve, and dots where there is room for them.
fn plots(panel: &Panel, epochs: usize, colour: impl Fn(&str) -> &'static str) -> Vec<Plot> {
    let mut plots = Vec::new();
    for curve in &panel.curves {
        let points: Vec<(f64, f64)> = drawn(curve).collect();
        // The only point of a curve needs its dot: it has no line.
        if epochs <= DOTS || points.len() == 1 {
            let dots = ScatterPlot::new().with_data(points.iter().copied()).with_color(colour(&curve.label));
            plots.push(dots.with_size(3.0).into());
        }
        let line = LinePlot::new().with_data(points).with_color(colour(&curve.label)).with_stroke_width(2.0);
        plots.push(line.with_legend(text(&curve.label, 40)).into());
    }
    plots
}

/// The points `(epoch, value)` of a curve that can be drawn.
fn drawn(curve: &Curve) -> impl Iterator<Item = (f64, f64)> {
    let points = curve.values.iter().enumerate().map(|(index, &value)| ((index + 1) as f64, value));
    points.filter(|(_, value)| value.abs() <= f64::from(f32::MAX))
}

/// The axes of a panel. Ranges and ticks are set here and not left to kuva, whose own ticks fall between epochs and are
/// labelled alike where they differ by less than a thousandth.
fn layout(panel: &Panel, epochs: usize) -> Layout {
    // Room beyond the first and last tick, or kuva would cut dots and lines in half where they lie on the border.
    let (left, right) = (0.5, epochs as f64 + 0.5);
    let value = Axis::of(panel.curves.iter().flat_map(drawn).map(|(_, value)| value));
    let room = 0.02 * (value.high - value.low);
    let (bottom, top) = (value.low - room, value.high + room);
    let theme = Theme { legend_border: "none".to_owned(), grid_color: "#dddddd".to_owned(), ..Theme::light() };
    Layout::new((left, right), (bottom, top))
        .with_theme(theme)
        .with_x_label("epoch")
        .with_x_axis_min(left)
        .with_x_axis_max(right)
        .with_x_tick_step(step((right - left) / STEPS).max(1.0))
        .with_x_tick_format(TickFormat::Integer)
        .with_y_label(text(&panel.axis, 40))
        .with_y_axis_min(bottom)
        .with_y_axis_max(top)
        .with_y_tick_step(value.step)
        .with_y_tick_format(TickFormat::Custom(Arc::new(move |tick| value.label(tick))))
}

/// The range of a vertical axis and the distance of its ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// The axis that shows all `values`, from tick to tick.
    fn of(values: impl Iterator<Item = f64>) -> Self {
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

    /// A tick's label, with as many digits as tell it from its neighbours, the same number on the whole axis.
    fn label(self, tick: f64) -> String {
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
fn step(least: f64) -> f64 {
    let power = 10_f64.powi(exponent(least));
    let enough = |step: &f64| *step >= least * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(enough).unwrap_or(10.0 * power)
}

/// The power of ten of a positive number's first digit. The small excess is for powers of ten that rounding left just
/// below themselves.
fn exponent(x: f64) -> i32 {
    (x.log10() + 1e-9).floor() as i32
}

/// `text` as kuva should be given it: of at most `most` characters, in one line, with no dollar sign that would start a
/// formula, and with nothing that XML forbids.
fn text(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c };
    let mut short: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        short.pop();
        short.push('…');
    }
    short.replace('$', "\\$")
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

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::of(values.iter().copied());
        let ticks = ((axis.high - axis.low) / axis.step).round() as i32;
        (0..=ticks).map(|i| axis.label(axis.low + f64::from(i) * axis.step)).collect()
    }

    /// How many curves are drawn as lines: kuva makes each of them a path.
    fn lines(svg: &str) -> usize {
        svg.matches("<path").count()
    }

    #[test]
    fn a_figure_says_what_it_shows() {
        let svg = draw("digits <&> $5 or $6", &loss_and_accuracy()).unwrap();
        for text in [">loss<", ">accuracy<", ">epoch<", ">training<", ">validation<", "digits &lt;&amp;&gt; $5 or $6<"]
        {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert_eq!(svg.matches(">training<").count(), 1, "one legend for both panels");
        assert_eq!(lines(&svg), 4, "a line for each curve");
        assert!(svg == draw("digits <&> $5 or $6", &loss_and_accuracy()).unwrap(), "the same curves, the same bytes");
        assert_eq!((svg.matches("\"panel-1\"").count(), svg.matches("url(#panel-1)").count()), (1, 1));
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
    fn odd_curves_are_drawn() {
        let nan = f64::NAN;
        let all = |values: &[f64]| draw("t", &[panel("loss", vec![curve("training", values)])]).unwrap();
        // One epoch is a dot, a gap is bridged, nothing finite leaves empty axes; none of them puts NaN into the file.
        for (values, count) in [(&[0.5][..], 0), (&[0.5, nan, 0.3], 1), (&[nan, nan], 0), (&[1.0, f64::INFINITY], 0)] {
            let svg = all(values);
            assert_eq!(lines(&svg), count, "{values:?}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}: {svg}");
        }
        let dots = |n| all(&vec![0.5; n]).matches("<circle").count();
        assert_eq!((dots(1), dots(DOTS), dots(DOTS + 1)), (1, DOTS, 0));
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        for panels in [vec![], vec![panel("loss", vec![])], vec![panel("loss", vec![curve("training", &[])])]] {
            assert!(matches!(draw("t", &panels), Err(Error::Data { .. })));
        }
    }

    #[test]
    fn texts_are_kept_in_bounds() {
        assert_eq!(text("a\nb\u{0}", 10), "a b ");
        assert_eq!(text("costs $5", 10), "costs \\$5");
        assert_eq!(text("1234567890", 10), "1234567890");
        assert_eq!(text("12345678901", 10), "123456789…");
    }

    #[test]
    fn a_file_is_replaced_or_left() {
        let folder = std::env::temp_dir().join(format!("galen-curve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("curve.svg");
        std::fs::write(&path, "old").unwrap();
        write(&path, "title", &loss_and_accuracy()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("</svg>"));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "no draft is left behind");
        for wrong in [folder.join("nowhere/curve.svg"), folder.clone(), folder.join("..")] {
            let error = write(&wrong, "title", &loss_and_accuracy()).unwrap_err();
            assert!(matches!(&error, Error::Io { path, .. } if *path == wrong), "{error}");
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

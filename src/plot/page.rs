//! What stands around the charts of a picture: its title above, its legend below, and the colours that tell lines apart.

use super::canvas::{Anchor, BLACK, Canvas, Colour, GREY, Point};
use super::text;

/// Colours that stay apart for colour-blind eyes and in grey (Wong, Nature Methods 8, 441, 2011), strongest first.
pub(super) const COLOURS: [Colour; 7] = [
    [0x00, 0x72, 0xB2],
    [0xD5, 0x5E, 0x00],
    [0x00, 0x9E, 0x73],
    [0xCC, 0x79, 0xA7],
    [0xE6, 0x9F, 0x00],
    [0x56, 0xB4, 0xE9],
    [0x22, 0x22, 0x22],
];

/// How the line at an index is drawn: there are more lines than colours, so the second seven are dashed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Style {
    pub colour: Colour,
    pub dashed: bool,
}

impl Style {
    pub fn of(index: usize) -> Self {
        Style { colour: COLOURS[index % COLOURS.len()], dashed: index / COLOURS.len() % 2 == 1 }
    }

    pub fn line(self, canvas: &mut Canvas, points: &[Point]) {
        if self.dashed {
            canvas.dashes(points, self.colour, 2.0);
        } else {
            canvas.polyline(points, self.colour, 2.0);
        }
    }
}

const TITLE: f64 = 16.0;
const TITLE_LINE: f64 = 21.0;

/// A title of up to two lines, with a smaller line below it where there is more to say.
pub(super) struct Title {
    lines: Vec<String>,
    below: Vec<String>,
    width: f64,
}

impl Title {
    pub fn new(title: &str, below: &str, width: f64) -> Self {
        let room = width - 24.0;
        Title { lines: text::wrap(title, TITLE, room, 2), below: text::wrap(below, 12.0, room, 2), width }
    }

    pub fn height(&self) -> f64 {
        14.0 + TITLE_LINE * self.lines.len() as f64 + 16.0 * self.below.len() as f64
    }

    pub fn draw(&self, canvas: &mut Canvas) {
        let mut y = 5.0;
        for line in &self.lines {
            y += TITLE_LINE;
            canvas.text((self.width / 2.0, y), line, TITLE as u32, Anchor::Middle, BLACK);
        }
        for line in &self.below {
            y += 16.0;
            canvas.text((self.width / 2.0, y), line, 12, Anchor::Middle, GREY);
        }
    }
}

/// What stands before an entry of a legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Line(Style),
    Dot(Colour),
    Square(Colour),
    Guide,
}

const ENTRY: f64 = 12.0;
const ENTRY_LINE: f64 = 19.0;
const MARK: f64 = 30.0;
const GAP: f64 = 18.0;

/// The legend below the charts, where it covers nothing.
pub(super) struct Legend {
    entries: Vec<(Mark, String)>,
    columns: usize,
    column: f64,
    width: f64,
}

impl Legend {
    pub fn new(entries: Vec<(Mark, String)>, width: f64) -> Self {
        let most = width - 24.0;
        let fit = |(mark, label): (Mark, String)| (mark, text::fit(&label, ENTRY, most - MARK));
        let entries: Vec<(Mark, String)> = entries.into_iter().map(fit).collect();
        let widest = entries.iter().map(|(_, label)| text::width(label, ENTRY)).fold(0.0, f64::max);
        let column = MARK + widest + GAP;
        let columns = (((most + GAP) / column) as usize).clamp(1, entries.len().max(1));
        Legend { entries, columns, column, width }
    }

    pub fn height(&self) -> f64 {
        if self.entries.is_empty() { 8.0 } else { 14.0 + ENTRY_LINE * self.entries.len().div_ceil(self.columns) as f64 }
    }

    /// Draws the legend below `top`.
    pub fn draw(&self, canvas: &mut Canvas, top: f64) {
        let left = ((self.width - self.column * self.columns as f64 + GAP) / 2.0).max(12.0);
        for (index, (mark, label)) in self.entries.iter().enumerate() {
            let x = left + self.column * (index % self.columns) as f64;
            let y = top + 4.0 + ENTRY_LINE * (index / self.columns) as f64 + ENTRY_LINE / 2.0;
            match mark {
                Mark::Line(style) => style.line(canvas, &[(x, y), (x + 22.0, y)]),
                Mark::Guide => canvas.dashes(&[(x, y), (x + 22.0, y)], GREY, 1.0),
                Mark::Dot(colour) => canvas.dots(&[(x + 11.0, y)], 5.0, *colour, 1.0),
                Mark::Square(colour) => {
                    canvas.rect((x + 5.0, y - 6.0), (12.0, 12.0), *colour);
                    canvas.frame((x + 5.0, y - 6.0), (12.0, 12.0), GREY);
                }
            }
            canvas.text((x + MARK, y + 4.0), label, ENTRY as u32, Anchor::Start, BLACK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fourteen_lines_look_different() {
        let styles: Vec<Style> = (0..14).map(Style::of).collect();
        for (index, style) in styles.iter().enumerate() {
            assert!(!styles[..index].contains(style), "{index}");
        }
    }

    #[test]
    fn a_legend_takes_as_many_rows_as_it_needs() {
        let legend = |n: usize, label: &str| {
            Legend::new((0..n).map(|i| (Mark::Line(Style::of(i)), label.to_owned())).collect(), 400.0)
        };
        assert_eq!((legend(2, "training").columns, legend(1, "x").columns), (2, 1));
        assert_eq!(legend(12, "class").columns, 4);
        let long = legend(3, &"long ".repeat(40));
        assert_eq!((long.columns, long.height()), (1, 14.0 + 3.0 * ENTRY_LINE));
        assert!(long.entries[0].1.ends_with('…'));
        assert_eq!(legend(0, "").height(), 8.0);
    }
}

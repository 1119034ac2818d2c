use super::Picture;
use super::canvas::{Anchor, BLACK, Canvas, Colour, GREY, WHITE};
use super::page::{COLOURS, Title};
use super::text;
use crate::error::{Error, Result};
use crate::metrics::ConfusionTable;

/// Most classes whose table can be read: one row takes a few pixels.
const MOST: usize = 200;
/// The size of classes' names.
const NAME: u32 = 12;
/// What names may take of the width or height.
const NAME_ROOM: f64 = 150.0;

/// Draws a confusion table: rows are true classes, columns predicted ones; a cell's colour is its share of the row. Cells
/// show counts, and below them the shares of the row, as long as there is room for them.
///
/// # Errors
/// [`Error::Data`] where the table is empty, not square, of more than 200 classes, or has another number of classes than `classes`
/// has names.
pub fn confusion(title: &str, table: &ConfusionTable, classes: &[&str]) -> Result<Picture> {
    let n = table.counts.len();
    if n == 0 || n > MOST {
        return Err(Error::data("confusion table", format!("1 to {MOST} classes"), n.to_string()));
    }
    if let Some(row) = table.counts.iter().find(|row| row.len() != n) {
        return Err(Error::data("confusion table", format!("rows of {n} counts"), row.len().to_string()));
    }
    if classes.len() != n {
        return Err(Error::data("confusion table", format!("{n} names of classes"), classes.len().to_string()));
    }
    let sheet = Sheet::new(title, table, classes);
    let mut canvas = Canvas::new(sheet.size().0, sheet.size().1);
    sheet.title.draw(&mut canvas);
    sheet.draw_names(&mut canvas);
    for row in 0..n {
        sheet.draw_row(&mut canvas, row);
    }
    canvas.frame((sheet.left, sheet.top), (sheet.side(), sheet.side()), GREY);
    Ok(Picture::new(canvas))
}

/// Where everything lies.
struct Sheet<'a> {
    table: &'a ConfusionTable,
    title: Title,
    names: Vec<String>,
    /// Whether the names of columns run upwards: they are wider than a column.
    upright: bool,
    cell: f64,
    left: f64,
    top: f64,
    width: f64,
    below: f64,
}

impl<'a> Sheet<'a> {
    fn new(title: &str, table: &'a ConfusionTable, classes: &[&str]) -> Self {
        let n = classes.len();
        let cell = match n {
            1..=3 => 110.0,
            4..=6 => 80.0,
            7..=16 => 50.0,
            17..=40 => 26.0,
            _ => 13.0,
        };
        let size = f64::from(name_size(cell));
        let names: Vec<String> = classes.iter().map(|name| text::fit(name, size, NAME_ROOM)).collect();
        let widest = names.iter().map(|name| text::width(name, size)).fold(0.0, f64::max);
        let totals = table.counts.iter().map(|row| text::width(&total(row), size)).fold(0.0, f64::max);
        let upright = widest > cell - 6.0;
        let (left, right) = (widest + 46.0, totals + 22.0);
        // A title needs room that a small table does not have.
        let width = (left + cell * n as f64 + right).max(320.0);
        let left = left + (width - left - cell * n as f64 - right) / 2.0;
        let title = Title::new(title, subtitle(cell), width);
        let top = title.height() + 6.0;
        let below = if upright { widest + 44.0 } else { 54.0 };
        Sheet { table, title, names, upright, cell, left, top, width, below }
    }

    fn side(&self) -> f64 {
        self.cell * self.names.len() as f64
    }

    fn size(&self) -> (f64, f64) {
        (self.width, self.top + self.side() + self.below)
    }

    fn draw_names(&self, canvas: &mut Canvas) {
        let (size, low) = (name_size(self.cell), self.top + self.side());
        let lift = f64::from(size) * 0.35;
        for (index, name) in self.names.iter().enumerate() {
            let middle = self.cell * (index as f64 + 0.5);
            canvas.text((self.left - 7.0, self.top + middle + lift), name, size, Anchor::End, BLACK);
            if self.upright {
                canvas.text_up((self.left + middle + lift, low + 7.0), name, size, Anchor::End, BLACK);
            } else {
                canvas.text((self.left + middle, low + 18.0), name, size, Anchor::Middle, BLACK);
            }
            let total = total(&self.table.counts[index]);
            canvas.text((self.left + self.side() + 7.0, self.top + middle + lift), &total, size, Anchor::Start, GREY);
        }
        let middle = self.side() / 2.0;
        canvas.text_up((18.0, self.top + middle), "true class", 13, Anchor::Middle, BLACK);
        canvas.text((self.left + middle, low + self.below - 13.0), "predicted class", 13, Anchor::Middle, BLACK);
    }

    fn draw_row(&self, canvas: &mut Canvas, row: usize) {
        let counts = &self.table.counts[row];
        let total: usize = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            let share = if total == 0 { 0.0 } else { count as f64 / total as f64 };
            let at = (self.left + self.cell * column as f64, self.top + self.cell * row as f64);
            canvas.rect(at, (self.cell, self.cell), shade(share));
            // The diagonal is where a perfect model has everything.
            if row == column {
                canvas.frame((at.0 + 0.5, at.1 + 0.5), (self.cell - 1.0, self.cell - 1.0), GREY);
            }
            let ink = if share > 0.8 { WHITE } else { BLACK };
            let x = at.0 + self.cell / 2.0;
            if self.cell >= 50.0 {
                let size = if self.cell >= 80.0 { 18.0 } else { 13.0 };
                let size = (0..4).map(|i| size - 2.0 * f64::from(i)).find(|s| self.fits(count, *s)).unwrap_or(6.0);
                canvas.text((x, at.1 + self.cell / 2.0), &count.to_string(), size as u32, Anchor::Middle, ink);
                let (size, drop) = if self.cell >= 80.0 { (12, 20.0) } else { (10, 15.0) };
                let share = if total == 0 { "–".to_owned() } else { percent(share) };
                canvas.text((x, at.1 + self.cell / 2.0 + drop), &share, size, Anchor::Middle, ink);
            } else if self.cell >= 26.0 && count > 0 && self.fits(count, 9.0) {
                canvas.text((x, at.1 + self.cell / 2.0 + 3.0), &count.to_string(), 9, Anchor::Middle, ink);
            }
        }
    }

    fn fits(&self, count: usize, size: f64) -> bool {
        text::width(&count.to_string(), size) <= self.cell - 4.0
    }
}

fn name_size(cell: f64) -> u32 {
    if cell < 26.0 { 9 } else { NAME }
}

fn subtitle(cell: f64) -> &'static str {
    match cell {
        50.0.. => "count and share of the true class",
        26.0.. => "count; colour is the share of the true class",
        _ => "colour is the share of the true class",
    }
}

/// What stands at the end of a row.
fn total(row: &[usize]) -> String {
    format!("n = {}", row.iter().sum::<usize>())
}

/// A share as a percentage that says 0 or 100 only where it is.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 1.0 {
        "< 1 %".to_owned()
    } else if percent < 100.0 && percent > 99.0 {
        "> 99 %".to_owned()
    } else {
        format!("{percent:.0} %")
    }
}

/// From white to the first colour.
fn shade(share: f64) -> Colour {
    let mix = |from: u8, to: u8| (f64::from(from) + share.clamp(0.0, 1.0) * (f64::from(to) - f64::from(from))) as u8;
    let full = COLOURS[0];
    [mix(WHITE[0], full[0]), mix(WHITE[1], full[1]), mix(WHITE[2], full[2])]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[&[usize]]) -> ConfusionTable {
        ConfusionTable { counts: counts.iter().map(|row| row.to_vec()).collect() }
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let table = table(&[&[30, 12], &[1, 113]]);
        let svg = confusion("t", &table, &["malignant", "<benign>"]).unwrap().svg();
        for text in [">30<", ">12<", ">1<", ">113<", ">71 %<", ">29 %<", "&lt; 1 %<", "&gt; 99 %<", ">n = 42<"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        for text in [">true class<", ">predicted class<"] {
            assert_eq!(svg.matches(text).count(), 1);
        }
        for name in [">malignant<", ">&lt;benign&gt;<"] {
            assert_eq!(svg.matches(name).count(), 2, "beside its row and below its column");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn a_share_is_rounded_to_all_or_nothing_only_where_it_is() {
        let shown: Vec<String> = [0.0, 1e-6, 0.011, 0.994, 0.9999, 1.0].map(percent).into();
        assert_eq!(shown, ["0 %", "< 1 %", "1 %", "> 99 %", "> 99 %", "100 %"]);
        assert_eq!((shade(0.0), shade(1.0)), (WHITE, COLOURS[0]));
    }

    #[test]
    fn a_class_without_samples_has_no_share() {
        let svg = confusion("t", &table(&[&[3, 0], &[0, 0]]), &["a", "b"]).unwrap().svg();
        assert!(svg.contains(">–<") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn what_is_no_table_is_an_error() {
        assert!(confusion("t", &table(&[]), &[]).is_err());
        assert!(confusion("t", &table(&[&[1, 2], &[3]]), &["a", "b"]).is_err());
        assert!(confusion("t", &table(&[&[1, 2], &[3, 4]]), &["a"]).is_err());
        let large = ConfusionTable { counts: vec![vec![1; 201]; 201] };
        assert!(confusion("t", &large, &vec!["x"; 201]).is_err());
    }
}

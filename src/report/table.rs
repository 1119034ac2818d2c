//! A report as text.

use std::fmt;

use super::{Report, Row};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}", one_line(&self.name), self.task, counted(self.samples, self.unit()))?;
        if let Some(groups) = self.groups {
            write!(f, " in {}", counted(groups, "group"))?;
        }
        self.write_left_out(f)?;
        self.write_classes(f)?;
        self.write_rule(f)?;
        let all: Vec<&Row> = self.rows.iter().filter(|row| row.class.is_none()).collect();
        let columns = Columns::of(&self.rows);
        if !self.rows.is_empty() {
            write!(f, "\n\n{}", columns.head(self.level))?;
        }
        for row in all {
            write!(f, "\n{}", columns.line(row, 0))?;
        }
        for class in &self.classes {
            let rows = || self.rows.iter().filter(|row| row.class.as_deref() == Some(&class.name));
            if rows().next().is_some() {
                write!(f, "\n{}", one_line(&class.name))?;
            }
            for row in rows() {
                write!(f, "\n{}", columns.line(row, 2))?;
            }
        }
        self.write_training(f)?;
        if !self.missing.is_empty() {
            write!(f, "\n\nnot computed")?;
        }
        for missing in &self.missing {
            let class = missing.class.as_ref().map_or(String::new(), |class| format!(" of {}", one_line(class)));
            write!(f, "\n  {}{class}: {}", label(&missing.key), one_line(&missing.reason))?;
        }
        Ok(())
    }
}

impl Report {
    fn unit(&self) -> &'static str {
        if self.task == "segmentation" { "image" } else { "sample" }
    }

    fn write_left_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.task {
            "segmentation" => "pixel",
            "multi-label classification" => "label",
            _ => "sample",
        };
        match (self.left_out, what) {
            (0, _) => Ok(()),
            (1, "label") => write!(f, "\n1 label is missing and was left out"),
            (n, "label") => write!(f, "\n{n} labels are missing and were left out"),
            (1, what) => write!(f, "\n1 {what} without a label was left out"),
            (n, what) => write!(f, "\n{n} {what}s without a label were left out"),
        }
    }

    fn write_classes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, class) in self.classes.iter().enumerate() {
            let percent = 100.0 * class.samples as f64 / self.samples.max(1) as f64;
            let before = if index == 0 { "\n" } else { ", " };
            write!(f, "{before}{} {} ({percent:.1} %)", one_line(&class.name), class.samples)?;
        }
        Ok(())
    }

    fn write_rule(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(point) = &self.operating_point else { return Ok(()) };
        match (&point.positive, point.threshold) {
            (Some(class), Some(threshold)) => {
                write!(f, "\npositive: {0}, called from a score of {threshold} on", one_line(class))
            }
            (Some(class), None) => {
                write!(f, "\npositive: {}; the class with the larger score is called", one_line(class))
            }
            (None, Some(threshold)) => write!(f, "\na label is given from a score of {threshold} on"),
            (None, None) => write!(f, "\nthe class with the largest score is called"),
        }
    }

    fn write_training(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(training) = &self.training else { return Ok(()) };
        write!(f, "\n\ntrained for {}", counted(training.loss.len(), "epoch"))?;
        if training.interrupted {
            write!(f, ", then stopped")?;
        }
        if let Some(loss) = training.loss.last() {
            write!(f, "; loss {}", number(*loss, *loss))?;
        }
        match training.validation_loss.last() {
            Some(loss) if loss.is_finite() => write!(f, ", validation loss {}", number(*loss, *loss)),
            _ => Ok(()),
        }
    }
}

/// How wide the columns are.
struct Columns {
    name: usize,
    value: usize,
    interval: usize,
    n: usize,
}

impl Columns {
    fn of(rows: &[Row]) -> Self {
        let widest = |of: fn(&Row) -> String, least: usize| {
            rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(least)
        };
        Columns {
            name: widest(|row| label(row.key), 6) + 2,
            value: widest(|row| number(row.value, row.value), 5),
            interval: widest(interval, 15),
            n: widest(|row| row.n.to_string(), 1),
        }
    }

    fn head(&self, level: f64) -> String {
        let level = format!("{} % interval", (1e6 * level).round() / 1e4);
        let Columns { name, value, interval, n } = self;
        format!("{:<name$}  {:>value$}  {level:<interval$}  {:>n$}  by", "metric", "value", "n")
    }

    fn line(&self, row: &Row, indent: usize) -> String {
        let Columns { name, value, interval: wide, n } = self;
        let metric = format!("{:indent$}{}", "", label(row.key));
        let (shown, bounds) = (number(row.value, row.value), interval(row));
        let line = format!("{metric:<name$}  {shown:>value$}  {bounds:<wide$}  {:>n$}  {}", row.n, row.method);
        line.trim_end().to_owned()
    }
}

fn interval(row: &Row) -> String {
    match row.interval {
        Some(interval) => format!("{} to {}", number(interval.low, row.value), number(interval.high, row.value)),
        None => String::new(),
    }
}

/// A number with as many digits as `like` needs to show four, or three behind the point.
fn number(value: f64, like: f64) -> String {
    let size = like.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = match size {
        ..10.0 => 3,
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let shown = format!("{value:.digits$}");
    // What rounds to zero has no sign.
    if shown.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
        return shown.trim_start_matches('-').to_owned();
    }
    shown
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What a key is called.
fn label(key: &str) -> String {
    let (metric, rest) =
        key.split_once(' ').map_or((key, String::new()), |(metric, rest)| (metric, format!(" {rest}")));
    let name = match metric {
        "auc" => "AUC",
        "auc_macro" => "AUC, mean of classes",
        "average_precision_macro" => "average precision, mean of classes",
        "f1" => "F1",
        "f1_macro" => "F1, mean of classes",
        "matthews" => "Matthews correlation",
        "kappa" => "Cohen's kappa",
        "brier" => "Brier score",
        "r_squared" => "R²",
        "pearson" => "Pearson correlation",
        "spearman" => "Spearman correlation",
        "difference_spread" => "standard deviation of differences",
        "dice" => "Dice",
        "dice_median" => "Dice, median",
        "iou" => "IoU",
        "hausdorff_95" => "Hausdorff 95",
        "roc" => "ROC",
        other => return other.replace('_', " ") + &rest,
    };
    name.to_owned() + &rest
}

/// Names come from outside: a line break would break the table.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_need() {
        let shown: Vec<String> =
            [0.5, -0.0001, 12.3456, 123.456, 12_345.6, 3e-9, 0.0, 2.5e9].map(|v| number(v, v)).into();
        assert_eq!(shown, ["0.500", "-1.000e-4", "12.35", "123.5", "12346", "3.000e-9", "0.000", "2.500e9"]);
        assert_eq!((number(0.03, 250.0), number(-0.0004, 0.9)), ("0.0".to_owned(), "0.000".to_owned()));
    }

    #[test]
    fn keys_have_names() {
        assert_eq!(label("auc interval"), "AUC interval");
        assert_eq!(label("positive_predictive_value"), "positive predictive value");
        assert_eq!(label("precision_recall picture"), "precision recall picture");
    }
}

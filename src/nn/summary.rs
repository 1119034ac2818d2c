use std::fmt;

use crate::shape::Shape;

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSummary {
    /// Its name in the model.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// The shape of its output for one sample.
    pub output: Shape,
    /// How many numbers it trains.
    pub parameters: usize,
}

/// A model as a table; `Display` prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The shape of one sample.
    pub input: Shape,
    /// The layers, in order.
    pub layers: Vec<LayerSummary>,
}

impl Summary {
    /// How many numbers the model trains.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|l| l.parameters).sum()
    }
}

/// 25450 → `25,450`
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batch = |shape: &Shape| {
            let dims: Vec<String> =
                std::iter::once("batch".to_owned()).chain(shape.iter().map(usize::to_string)).collect();
            format!("[{}]", dims.join(", "))
        };
        let mut rows = vec![("input".to_owned(), batch(&self.input), String::new())];
        rows.extend(self.layers.iter().map(|l| (l.name.clone(), batch(&l.output), thousands(l.parameters))));
        let width = |title: &str, cell: fn(&(String, String, String)) -> &String| {
            rows.iter().map(|r| cell(r).chars().count()).max().unwrap_or(0).max(title.len())
        };
        let (a, b, c) = (width("Layer", |r| &r.0), width("Output shape", |r| &r.1), width("Parameters", |r| &r.2));
        writeln!(f, "{:a$}  {:b$}  {:>c$}", "Layer", "Output shape", "Parameters")?;
        writeln!(f, "{}", "─".repeat(a + b + c + 4))?;
        for (name, shape, parameters) in &rows {
            writeln!(f, "{name:a$}  {shape:b$}  {parameters:>c$}")?;
        }
        writeln!(f, "{}", "─".repeat(a + b + c + 4))?;
        write!(f, "{} parameters", thousands(self.parameters()))
    }
}

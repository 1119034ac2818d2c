use std::borrow::Cow;
use std::fmt;

use super::Input;
use crate::shape::Shape;

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSummary {
    /// Its name in the model: `encoder/conv2d_1`.
    pub name: String,
    /// Its kind.
    pub kind: Cow<'static, str>,
    /// How many blocks it lies in.
    pub depth: usize,
    /// The shape of its output, the batch of 1 included; none where it gives no single tensor.
    pub output: Option<Shape>,
    /// How many numbers it trains, those of the layers inside it included. A shared layer's count where they were built first.
    pub parameters: usize,
    /// How many numbers it keeps without training them: running statistics.
    pub statistics: usize,
}

/// A model as a table; `Display` prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What it takes.
    pub inputs: Vec<Input>,
    /// The layers, in the order in which they are built, blocks before what is in them.
    pub layers: Vec<LayerSummary>,
    /// The shapes of its outputs for one sample.
    pub outputs: Vec<Shape>,
    /// What the losses of a [model](crate::train::Model::summary) take its outputs for, logits or probabilities, and why.
    pub losses: Vec<String>,
    pub(super) trained: usize,
    pub(super) kept: usize,
}

impl Summary {
    /// How many numbers the model trains.
    pub fn parameters(&self) -> usize {
        self.trained
    }

    /// How many numbers the model keeps without training them.
    pub fn statistics(&self) -> usize {
        self.kept
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

/// `[batch, 3, 28, 28]`, of the shape of one sample.
fn with_batch(sample: &[usize]) -> String {
    let dims: Vec<String> = std::iter::once("batch".to_owned()).chain(sample.iter().map(usize::to_string)).collect();
    format!("[{}]", dims.join(", "))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let name = if self.inputs.len() == 1 { "input".to_owned() } else { format!("input {}", input.label(i)) };
            rows.push((name, with_batch(&input.shape), String::new()));
        }
        for layer in &self.layers {
            let own = layer.name.rsplit('/').next().unwrap_or_default();
            let shape = layer.output.as_ref().map_or(String::new(), |s| with_batch(s.get(1..).unwrap_or_default()));
            let count = thousands(layer.parameters + layer.statistics);
            rows.push((format!("{}{own}", "  ".repeat(layer.depth)), shape, count));
        }
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
        write!(f, "{} parameters", thousands(self.parameters()))?;
        match self.statistics() {
            0 => {}
            n => write!(f, ", {} running statistics", thousands(n))?,
        }
        self.losses.iter().try_for_each(|loss| write!(f, "\n{loss}"))
    }
}

use ndarray::{Array2, ArrayView2, Axis};

use super::classification::check_names;
use super::draft::{Draft, Findings, finish};
use super::label::Label;
use super::rows::Rows;
use super::{Class, Operating, Report};
use crate::error::{Error, Result};
use crate::metrics::{Average, average_precision_multilabel, roc_auc_multilabel};

/// True labels and scores: see [`Report::multilabel`].
#[derive(Clone, Debug)]
pub struct Multilabel {
    truth: Array2<f32>,
    scores: Array2<f64>,
    names: Option<Vec<String>>,
    threshold: Option<f64>,
    missing: f32,
}

impl Report {
    /// A report of samples that have several labels each, or none: `truth` and `scores` `[samples, labels]`. A label is 1 or 0; where it
    /// is NaN it is missing, and every metric leaves it out ([`Draft::missing`] names another marker).
    pub fn multilabel(name: impl Into<String>, truth: ArrayView2<f32>, scores: ArrayView2<f32>) -> Draft<Multilabel> {
        let (truth, scores) = (truth.to_owned(), scores.mapv(f64::from));
        Draft::new(name, Multilabel { truth, scores, names: None, threshold: None, missing: f32::NAN })
    }
}

impl Draft<Multilabel> {
    /// The names of the labels, in the order of columns.
    pub fn labels<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.kind.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// From which score on a label is given, on the scale of the scores, chosen on other samples than these. Unless told it is 0.5, and
    /// the scores must be probabilities.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.kind.threshold = Some(threshold);
        self
    }

    /// What marks a label that is missing; NaN unless told.
    pub fn missing(mut self, marker: f32) -> Self {
        self.kind.missing = marker;
        self
    }

    /// Computes everything.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples or labels, a label is neither 0 nor 1 nor missing, truth and scores differ in shape, a score is not finite, or there are not
    /// as many names as labels, or two the same, or a score is outside of 0..1 and there is no threshold; [`Error::Parameter`] where a setting makes no sense. What is not defined for these
    /// samples is no error but among [`Report::missing`].
    pub fn build(self) -> Result<Report> {
        let Draft { name, mut settings, kind: Multilabel { truth, scores, names, threshold, missing } } = self;
        let (samples, n) = truth.dim();
        settings.check(samples)?;
        if scores.dim() != (samples, n) || n == 0 {
            let expected = format!("[{samples}, labels] as the truth, and at least one label");
            return Err(Error::data("report, scores", expected, format!("{:?}", scores.shape())));
        }
        let is_missing = |label: f32| label == missing || (label.is_nan() && missing.is_nan());
        let fits = |label: f32| label == 0.0 || label == 1.0 || is_missing(label);
        if let Some(((row, _), label)) = truth.indexed_iter().find(|(_, label)| !fits(**label)) {
            let expected = format!("labels that are 0 or 1, or {missing} where one is missing");
            return Err(Error::data("report, truth", expected, format!("{label} in sample {row}")));
        }
        let truth = truth.mapv(|label| if is_missing(label) { None } else { Some(label == 1.0) });
        settings.left_out = truth.iter().filter(|label| label.is_none()).count();
        if let Some(((row, _), score)) = scores.indexed_iter().find(|(_, score)| !score.is_finite()) {
            return Err(Error::data("report, scores", "finite numbers", format!("{score} in sample {row}")));
        }
        let threshold = match threshold {
            Some(threshold) => threshold,
            None => match scores.indexed_iter().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
                Some(((row, _), score)) => {
                    let expected = "probabilities in 0..1 (apply the sigmoid to logits first, or give a threshold)";
                    return Err(Error::data("report, scores", expected, format!("{score} in sample {row}")));
                }
                None => 0.5,
            },
        };
        if threshold.is_nan() {
            return Err(Error::parameter("report", "threshold", "a number", threshold));
        }
        let names = names.unwrap_or_else(|| (0..n).map(|label| format!("label {label}")).collect());
        check_names("report, labels", &names, n)?;
        let label = |(column, name): (usize, &String)| Label {
            name: name.clone(),
            truth: truth.column(column).iter().map(|label| *label == Some(true)).collect(),
            there: (settings.left_out > 0).then(|| truth.column(column).iter().map(Option::is_some).collect()),
            scores: scores.column(column).to_vec(),
            called: scores.column(column).iter().map(|score| *score >= threshold).collect(),
        };
        let labels: Vec<Label> = names.iter().enumerate().map(label).collect();

        let mut rows = Rows::new(&settings, samples);
        let pick = |rows: &[usize]| (truth.select(Axis(0), rows), scores.select(Axis(0), rows));
        rows.resampled("auc_macro", samples, |rows| {
            let (truth, scores) = pick(rows);
            roc_auc_multilabel(truth.view(), scores.view(), Average::Macro)
        });
        rows.resampled("average_precision_macro", samples, |rows| {
            let (truth, scores) = pick(rows);
            average_precision_multilabel(truth.view(), scores.view(), Average::Macro)
        });
        let exact = |row: usize| {
            let mut given = labels.iter().filter(|label| label.is_there(row));
            given.all(|label| label.truth[row] == label.called[row])
        };
        let labelled = |row: usize| labels.iter().any(|label| label.is_there(row));
        rows.share("exact_match", ("labelled sample", labelled), exact);
        for label in &labels {
            rows.of(Some(&label.name));
            label.add_ranking(&mut rows);
            label.add_calls(&mut rows);
        }
        rows.of(None);
        #[cfg(feature = "plot")]
        let pictures = {
            let mut album = super::pictures::Album::new(&name, &settings, &mut rows);
            album.curves(&labels, false);
            album.pictures
        };
        let findings = Findings {
            classes: labels.iter().map(|l| Class { name: l.name.clone(), samples: l.positives() }).collect(),
            operating_point: Some(Operating { positive: None, threshold: Some(threshold) }),
            #[cfg(feature = "plot")]
            pictures,
            ..Findings::default()
        };
        Ok(finish(&name, "multi-label classification", samples, &settings, rows, findings))
    }
}

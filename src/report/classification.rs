use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::draft::{Draft, Findings, finish};
use super::label::Label;
use super::rows::{Rows, pick};
use super::{Class, Operating, Report};
use crate::error::{Error, Result};
use crate::metrics::{
    Average, ConfusionTable, KappaWeights, average_precision_one_vs_rest, brier, brier_multiclass,
    expected_calibration_error, log_loss_multiclass_within, log_loss_within, roc_auc_one_vs_rest, top_class,
};

/// How many bins a calibration curve has.
pub(super) const BINS: usize = 10;
/// By how much a row of probabilities may miss a sum of 1.
const SUM: f64 = 1e-4;
/// How near probabilities may come to 0 and 1 where their logarithm is taken: the scores are `f32`.
const NEAREST: f64 = f32::EPSILON as f64;

/// True classes and scores: see [`Report::classification`].
#[derive(Clone, Debug)]
pub struct Classification {
    truth: Vec<u32>,
    scores: Array2<f64>,
    names: Option<Vec<String>>,
    positive: Option<String>,
    threshold: Option<f64>,
    ignored: Option<u32>,
}

impl Report {
    /// A report of a classification: the number of each sample's true class, and `scores` `[samples, classes]`, of which the largest
    /// is the model's choice. A single column is the probability of class 1 of two; of logits take the sigmoid first.
    ///
    /// Calibration, log loss and Brier score need rows that are probabilities; of other scores they are reported as missing. Log loss
    /// keeps probabilities `f32::EPSILON` (1.2e-7) from 0 and 1, as scikit-learn's `log_loss` does with `float32`: a sure mistake costs
    /// 15.9.
    pub fn classification(name: impl Into<String>, truth: &[u32], scores: ArrayView2<f32>) -> Draft<Classification> {
        let scores = scores.mapv(f64::from);
        let truth = truth.to_vec();
        Draft::new(name, Classification { truth, scores, names: None, positive: None, threshold: None, ignored: None })
    }
}

impl Draft<Classification> {
    /// The names of the classes, in the order of their numbers.
    pub fn classes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.kind.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Which of two classes is the positive one, by its name; class 1 unless told.
    pub fn positive(mut self, name: impl Into<String>) -> Self {
        self.kind.positive = Some(name.into());
        self
    }

    /// From which probability of the positive class on a sample is called positive, for two classes: chosen on other samples than
    /// these, as by [`OperatingPoint`](crate::metrics::OperatingPoint) on the same probability in the validation part. It means the
    /// same for one column and for two; scores that are no probabilities are refused with it. Unless told, the class with the larger
    /// score is called.
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.kind.threshold = Some(threshold);
        self
    }

    /// Samples whose true class is this have no label and are left out; the report says how many.
    pub fn ignore_index(mut self, label: u32) -> Self {
        self.kind.ignored = Some(label);
        self
    }

    /// Computes everything.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, not as many rows of scores or groups as samples, a score is not finite, a true class
    /// has no column, fewer than two classes, not as many names as classes, two with the same name, or the positive one is not among
    /// them, a single column is outside of 0..1, or there is a threshold and the scores are no probabilities; [`Error::Parameter`]
    /// where a setting makes no sense, such as a threshold for three classes. What is not defined for these samples is no error but
    /// among [`Report::missing`].
    pub fn build(self) -> Result<Report> {
        let Draft { name, mut settings, mut kind } = self;
        let n = kind.truth.len();
        settings.check(n)?;
        if kind.scores.nrows() == n && kind.ignored.is_some() {
            let keep: Vec<usize> = (0..n).filter(|row| Some(kind.truth[*row]) != kind.ignored).collect();
            settings.keep(&keep, n);
            (kind.truth, kind.scores) = (pick(&kind.truth, &keep), kind.scores.select(Axis(0), &keep));
            settings.check(keep.len())?;
        }
        let task = Task::new(kind)?;
        let mut rows = Rows::new(&settings, task.truth.len());
        let table = ConfusionTable::with_classes(&task.truth, &task.called, task.names.len())?;
        let labels = task.labels();
        let kind = match (&task.positive, labels.as_slice()) {
            (Some(_), [label]) => {
                label.add_ranking(&mut rows);
                label.add_calls(&mut rows);
                label.add_agreement(&mut rows);
                task.add_kappa(&mut rows);
                task.add_probabilities(&mut rows);
                "binary classification"
            }
            _ => {
                task.add_overall(&mut rows);
                task.add_probabilities(&mut rows);
                for label in &labels {
                    rows.of(Some(&label.name));
                    label.add_ranking(&mut rows);
                    label.add_calls(&mut rows);
                }
                rows.of(None);
                "classification"
            }
        };
        #[cfg(feature = "plot")]
        let pictures = {
            let mut album = super::pictures::Album::new(&name, &settings, &mut rows);
            album.curves(&labels, task.positive.is_some());
            album.confusion(&table, &task.names);
            album.calibration(&task.confidence());
            album.pictures
        };
        let counts = table.counts.iter().map(|row| row.iter().sum());
        let classes = task.names.iter().zip(counts).map(|(name, samples)| Class { name: name.clone(), samples });
        let findings = Findings {
            classes: classes.collect(),
            operating_point: Some(Operating {
                positive: task.positive.map(|class| task.names[class].clone()),
                threshold: task.threshold,
            }),
            confusion: Some(table),
            #[cfg(feature = "plot")]
            pictures,
        };
        Ok(finish(&name, kind, task.truth.len(), &settings, rows, findings))
    }
}

/// A yes-or-no question: what is asked, whether it came true, and how probable it was said to be.
pub(super) struct Confidence {
    #[cfg_attr(not(feature = "plot"), allow(dead_code))]
    pub of: String,
    pub right: Vec<bool>,
    pub probability: Vec<f64>,
}

/// A classification whose input was found sound.
struct Task {
    truth: Vec<u32>,
    scores: Array2<f64>,
    names: Vec<String>,
    /// Whether the rows of `scores` are probabilities, or why not.
    probabilities: Result<(), String>,
    /// The positive one of two classes.
    positive: Option<usize>,
    threshold: Option<f64>,
    called: Vec<u32>,
}

impl Task {
    fn new(kind: Classification) -> Result<Self> {
        let Classification { truth, mut scores, names, positive, threshold, .. } = kind;
        if scores.nrows() != truth.len() {
            return Err(Error::data("report, scores", format!("{} rows", truth.len()), scores.nrows().to_string()));
        }
        if let Some(((row, _), score)) = scores.indexed_iter().find(|(_, score)| !score.is_finite()) {
            return Err(Error::data("report, scores", "finite numbers", format!("{score} in sample {row}")));
        }
        if scores.ncols() == 1 {
            // Sigmoid's one column says the same as softmax's two.
            let column = scores.column(0).to_owned();
            if let Some((sample, p)) = column.iter().enumerate().find(|(_, p)| !(0.0..=1.0).contains(*p)) {
                let expected = "probabilities in 0..1 where there is one column (apply the sigmoid to logits first)";
                return Err(Error::data("report, scores", expected, format!("{p} in sample {sample}")));
            }
            let other: Array1<f64> = column.mapv(|p| 1.0 - p);
            scores = ndarray::stack![Axis(1), other, column];
        }
        let n = scores.ncols();
        if n < 2 {
            return Err(Error::data("report, scores", "at least one column", n.to_string()));
        }
        if let Some((sample, class)) = truth.iter().enumerate().find(|(_, class)| **class as usize >= n) {
            let actual = format!("{class} in sample {sample}");
            return Err(Error::data("report, true classes", format!("numbers below {n}"), actual));
        }
        let names = names.unwrap_or_else(|| (0..n).map(|class| format!("class {class}")).collect());
        check_names("report, classes", &names, n)?;
        let positive = positive_of(&names, positive)?;
        let probabilities = are_probabilities(&scores);
        check_threshold(threshold, positive, &probabilities)?;
        let mut task = Task { truth, scores, names, probabilities, positive, threshold, called: Vec::new() };
        task.called = task.calls();
        Ok(task)
    }

    /// The score of a class against the others: its probability; of two classes with other scores, its lead over the other.
    fn score_of(&self, class: usize) -> Vec<f64> {
        let lead = self.names.len() == 2 && self.probabilities.is_err();
        let of = |row: ndarray::ArrayView1<f64>| if lead { row[class] - row[1 - class] } else { row[class] };
        self.scores.rows().into_iter().map(of).collect()
    }

    fn calls(&self) -> Vec<u32> {
        if let (Some(positive), Some(threshold)) = (self.positive, self.threshold) {
            let call = |score: f64| if score >= threshold { positive } else { 1 - positive };
            return self.score_of(positive).into_iter().map(|score| call(score) as u32).collect();
        }
        // Of equal scores the first class is called, as NumPy's argmax does.
        let best = |row: ndarray::ArrayView1<f64>| {
            row.iter().enumerate().fold(0, |best, (class, score)| if *score > row[best] { class } else { best }) as u32
        };
        self.scores.rows().into_iter().map(best).collect()
    }

    /// The positive class of two, or each class against the others.
    fn labels(&self) -> Vec<Label> {
        let label = |class: usize| {
            let is = |classes: &[u32]| classes.iter().map(|c| *c as usize == class).collect();
            let (truth, called) = (is(&self.truth), is(&self.called));
            let name = self.names[class].clone();
            Label { name, truth, scores: self.score_of(class), called, there: None }
        };
        match self.positive {
            Some(positive) => vec![label(positive)],
            None => (0..self.names.len()).map(label).collect(),
        }
    }

    fn table(&self, rows: &[usize]) -> Result<ConfusionTable> {
        ConfusionTable::with_classes(&pick(&self.truth, rows), &pick(&self.called, rows), self.names.len())
    }

    fn add_kappa(&self, rows: &mut Rows) {
        rows.resampled("kappa", self.truth.len(), |rows| {
            let kappa = self.table(rows)?.kappa(KappaWeights::None);
            kappa.ok_or_else(|| Error::usage("truth", "all samples are of one class and were called so"))
        });
    }

    /// What is known of all classes together.
    fn add_overall(&self, rows: &mut Rows) {
        let n = self.truth.len();
        let scores = |rows: &[usize]| self.scores.select(Axis(0), rows);
        rows.share("accuracy", ("sample", |_| true), |row| self.truth[row] == self.called[row]);
        rows.resampled("balanced_accuracy", n, |rows| Ok(self.table(rows)?.balanced_accuracy()));
        rows.resampled("f1_macro", n, |rows| Ok(self.table(rows)?.f1(Average::Macro)));
        rows.resampled("auc_macro", n, |rows| {
            roc_auc_one_vs_rest(&pick(&self.truth, rows), scores(rows).view(), Average::Macro)
        });
        rows.resampled("average_precision_macro", n, |rows| {
            average_precision_one_vs_rest(&pick(&self.truth, rows), scores(rows).view(), Average::Macro)
        });
        rows.resampled("matthews", n, |rows| {
            let matthews = self.table(rows)?.matthews();
            matthews.ok_or_else(|| Error::usage("truth", "all samples are of one class, or were called one"))
        });
        self.add_kappa(rows);
    }

    /// What needs probabilities. The calibration error has no interval: the bootstrap's would lie beside it, as resamples look worse
    /// calibrated than the samples.
    fn add_probabilities(&self, rows: &mut Rows) {
        const KEYS: [&str; 3] = ["log_loss", "brier", "expected_calibration_error"];
        if let Err(reason) = &self.probabilities {
            return KEYS.iter().for_each(|key| rows.lacks(*key, reason));
        }
        let n = self.truth.len();
        if let Some(positive) = self.positive {
            let truth: Vec<bool> = self.truth.iter().map(|class| *class as usize == positive).collect();
            let scores = self.score_of(positive);
            rows.resampled(KEYS[0], n, |rows| log_loss_within(&pick(&truth, rows), &pick(&scores, rows), NEAREST));
            rows.resampled(KEYS[1], n, |rows| brier(&pick(&truth, rows), &pick(&scores, rows)));
            rows.value(KEYS[2], n, expected_calibration_error(&truth, &scores, BINS));
        } else {
            let scores = |rows: &[usize]| self.scores.select(Axis(0), rows);
            rows.resampled(KEYS[0], n, |rows| {
                log_loss_multiclass_within(&pick(&self.truth, rows), scores(rows).view(), NEAREST)
            });
            rows.resampled(KEYS[1], n, |rows| brier_multiclass(&pick(&self.truth, rows), scores(rows).view()));
            let error = self.confidence().and_then(|c| expected_calibration_error(&c.right, &c.probability, BINS));
            rows.value(KEYS[2], n, error);
        }
    }

    /// What calibration is measured of: the positive class, or the class that is called.
    fn confidence(&self) -> Result<Confidence> {
        if let Err(reason) = &self.probabilities {
            return Err(Error::usage("calibration", reason.clone()));
        }
        match <[Label; 1]>::try_from(self.labels()) {
            Ok([Label { name, truth, scores, .. }]) => Ok(Confidence { of: name, right: truth, probability: scores }),
            Err(_) => {
                let (right, probability) = top_class(&self.truth, self.scores.view())?;
                Ok(Confidence { of: "class with the largest score".to_owned(), right, probability })
            }
        }
    }
}

/// As many names as there are, none of them twice.
pub(super) fn check_names(what: &str, names: &[String], n: usize) -> Result<()> {
    if names.len() != n {
        return Err(Error::data(what, format!("{n} names, one per column of scores"), names.len().to_string()));
    }
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(Error::data(what, "different names", format!("\"{name}\" twice"))),
        None => Ok(()),
    }
}

/// The number of the positive class where there are two.
fn positive_of(names: &[String], wished: Option<String>) -> Result<Option<usize>> {
    match (wished, names.len()) {
        (None, 2) => Ok(Some(1)),
        (None, _) => Ok(None),
        (Some(name), 2) => match names.iter().position(|other| *other == name) {
            Some(class) => Ok(Some(class)),
            None => Err(Error::data("report, positive class", format!("one of {names:?}"), format!("\"{name}\""))),
        },
        (Some(name), n) => Err(Error::parameter("report", "positive class", format!("left out for {n} classes"), name)),
    }
}

fn check_threshold(threshold: Option<f64>, positive: Option<usize>, probabilities: &Result<(), String>) -> Result<()> {
    match (threshold, positive) {
        (Some(threshold), None) => {
            Err(Error::parameter("report", "threshold", "left out for more than two classes", threshold))
        }
        (Some(threshold), _) if threshold.is_nan() => {
            Err(Error::parameter("report", "threshold", "a number", threshold))
        }
        (Some(_), _) => probabilities.clone().map_err(|reason| {
            let expected = "probabilities where a threshold is given (apply the softmax to logits first)";
            Error::data("report, scores", expected, reason)
        }),
        _ => Ok(()),
    }
}

fn are_probabilities(scores: &Array2<f64>) -> Result<(), String> {
    for (sample, row) in scores.rows().into_iter().enumerate() {
        if let Some(score) = row.iter().find(|score| !(0.0..=1.0).contains(*score)) {
            return Err(format!("scores are no probabilities: {score} in sample {sample}"));
        }
        let sum = row.sum();
        if (sum - 1.0).abs() > SUM {
            return Err(format!("scores are no probabilities: those of sample {sample} have a sum of {sum}"));
        }
    }
    Ok(())
}

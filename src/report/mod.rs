//! Reports: what a model is worth on samples that it did not train on, as a table, JSON and pictures.
//!
//! A report is made from true values and what the model gave, and counts each metric with its interval: by DeLong's or Wilson's formula
//! where samples are independent, by bootstrap over groups where they are not (several samples of a patient). What is not defined for
//! the samples that came (the area under the curve where there is one class only) is said with its reason, and the rest of the report
//! stands. No path and no group's name is in it: of groups only their number.
//!
//! ```
//! use galen::report::Report;
//! use ndarray::array;
//!
//! let truth = [0, 0, 1, 0, 1, 1];
//! let scores = array![[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4_f32]];
//! let report = Report::classification("test", &truth, scores.view())
//!     .classes(["benign", "malignant"])
//!     .positive("malignant")
//!     .groups(&["p1", "p1", "p2", "p3", "p4", "p5"])
//!     .build()?;
//! assert_eq!(report.value("accuracy")?, 4.0 / 6.0);
//! assert_eq!(report.value("recall")?, report.value("sensitivity")?);
//! assert!(report.to_string().contains("AUC"));
//! # Ok::<(), galen::Error>(())
//! ```

mod classification;
mod draft;
mod json;
mod label;
mod multilabel;
mod names;
#[cfg(feature = "plot")]
mod pictures;
mod regression;
mod rows;
mod segmentation;
mod table;

use std::path::{Path, PathBuf};

pub use classification::Classification;
pub use draft::Draft;
pub use multilabel::Multilabel;
pub use regression::Regression;
pub use rows::{Missing, Row};
pub use segmentation::Segmentation;

use crate::error::{Error, Result};
use crate::file::{self, Access};
use crate::metrics::ConfusionTable;

/// Metrics with their intervals, what could not be computed, and pictures.
///
/// `Display` writes it as a table, [`Report::to_json`] as JSON, [`Report::write`] everything into a folder.
#[derive(Clone, Debug)]
pub struct Report {
    name: String,
    task: &'static str,
    samples: usize,
    left_out: usize,
    groups: Option<usize>,
    level: f64,
    resamples: usize,
    seed: u64,
    classes: Vec<Class>,
    operating_point: Option<Operating>,
    rows: Vec<Row>,
    missing: Vec<Missing>,
    confusion: Option<ConfusionTable>,
    training: Option<Training>,
    #[cfg(feature = "plot")]
    pictures: Vec<(&'static str, crate::plot::Picture)>,
}

fn one_of(names: &[&str]) -> String {
    format!("one of {}", names.join(", "))
}

/// A class or label, and how many samples are of it.
#[derive(Clone, Debug, PartialEq)]
struct Class {
    name: String,
    samples: usize,
}

/// How scores became classes.
#[derive(Clone, Debug, PartialEq)]
struct Operating {
    /// The class that is called from the threshold on; `None` for every label.
    positive: Option<String>,
    /// `None`: the class with the largest score.
    threshold: Option<f64>,
}

/// What the training's history leaves in a report.
#[derive(Clone, Debug, PartialEq)]
struct Training {
    interrupted: bool,
    loss: Vec<f64>,
    validation_loss: Vec<f64>,
}

impl Report {
    /// What the report is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of samples; of images for a segmentation.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// What had no label and counts for nothing: samples, of several labels each the labels, of images the pixels.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// All metrics, those of single classes included.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What could not be computed, and why.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The confusion table of a classification.
    pub fn confusion(&self) -> Option<&ConfusionTable> {
        self.confusion.as_ref()
    }

    /// The value of a metric of all classes together, by its key or by what scikit-learn or Keras call it: `"accuracy"`, `"auc"`,
    /// `"ROC AUC"`, `"precision"`, `"recall"`, `"f1_score"`.
    ///
    /// # Errors
    /// See [`Report::row`].
    pub fn value(&self, name: &str) -> Result<f64> {
        Ok(self.row(name, None)?.value)
    }

    /// A metric by its key or another usual name, of all classes together or of one class.
    ///
    /// # Errors
    /// [`Error::Data`] where it could not be computed (why); [`Error::Parameter`] where the report has no such metric or class (which
    /// it has).
    pub fn row(&self, name: &str, class: Option<&str>) -> Result<&Row> {
        let of = |other: &Option<String>| other.as_deref() == class;
        let classes = || self.rows.iter().map(|row| &row.class).chain(self.missing.iter().map(|m| &m.class));
        if let Some(class) = class.filter(|_| !classes().any(of)) {
            let mut known: Vec<&str> = Vec::new();
            for class in classes().flatten() {
                if !known.contains(&class.as_str()) {
                    known.push(class);
                }
            }
            let known =
                if known.is_empty() { "left out: there are no single classes".to_owned() } else { one_of(&known) };
            return Err(Error::parameter("report", "class", known, format!("\"{class}\"")));
        }
        let mut keys: Vec<&str> = self.rows.iter().filter(|row| of(&row.class)).map(|row| row.key).collect();
        let missing = || self.missing.iter().filter(|m| of(&m.class));
        // Besides metrics, pictures and intervals may be missing: those have a space in their key.
        keys.extend(missing().map(|m| m.key.as_str()).filter(|key| !key.contains(' ')));
        for key in names::meant(name, &keys) {
            if let Some(row) = self.rows.iter().find(|row| row.key == key && of(&row.class)) {
                return Ok(row);
            }
            if let Some(missing) = missing().find(|m| m.key == key) {
                return Err(Error::data(format!("report, {key}"), "a value", missing.reason.clone()));
            }
        }
        let mut known = one_of(&keys);
        let single: Vec<&str> = self.rows.iter().filter(|row| !of(&row.class)).map(|row| row.key).collect();
        if class.is_none() && !names::meant(name, &single).is_empty() {
            known.push_str(" (or of a single class, by Report::row)");
        }
        Err(Error::parameter("report", "metric", known, format!("\"{name}\"")))
    }

    /// The pictures and their names: `"roc"`, `"precision_recall"`, `"confusion"`, `"calibration"`, `"agreement"`, `"examples"`,
    /// `"training"`, as far as they apply.
    #[cfg(feature = "plot")]
    pub fn pictures(&self) -> &[(&'static str, crate::plot::Picture)] {
        &self.pictures
    }

    /// Writes `report.txt`, `report.json` and the pictures into `folder`, which is made where it is not there: each picture as SVG, and
    /// with the feature `png` as PNG too. Each file is there whole or not at all. New files are readable by their owner alone;
    /// [`Report::write_as`] shares them. Gives the files that were written.
    ///
    /// # Errors
    /// [`Error::Io`] where a file cannot be written.
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        self.write_as(folder, Access::Private)
    }

    /// Like [`Report::write`], with new files readable by `access`.
    ///
    /// # Errors
    /// See there.
    pub fn write_as(&self, folder: impl AsRef<Path>, access: Access) -> Result<Vec<PathBuf>> {
        let folder = folder.as_ref();
        file::make_folder(folder)?;
        let mut files = Vec::new();
        let mut write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            file::replace(&path, bytes, access)?;
            files.push(path);
            Ok::<(), Error>(())
        };
        write("report.txt", format!("{self}\n").as_bytes())?;
        write("report.json", format!("{:#}\n", self.to_json()).as_bytes())?;
        #[cfg(feature = "plot")]
        for (name, picture) in &self.pictures {
            write(&format!("{name}.svg"), picture.svg().as_bytes())?;
            #[cfg(feature = "png")]
            write(&format!("{name}.png"), &picture.png()?)?;
        }
        Ok(files)
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One epoch of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, counted from 1 over all trainings of the model.
    pub epoch: usize,
    /// The mean of the loss over the epoch's samples, taken while training.
    #[serde(with = "number")]
    pub loss: f64,
    /// Name and value of every metric, taken while training.
    #[serde(with = "number::pairs")]
    pub metrics: Vec<(String, f64)>,
    /// The loss on the validation data after the epoch.
    #[serde(with = "number::maybe")]
    pub val_loss: Option<f64>,
    /// Name and value of every metric on the validation data after the epoch.
    #[serde(with = "number::pairs")]
    pub val_metrics: Vec<(String, f64)>,
    /// The loss of every step; empty in epochs that a resumed training had before.
    #[serde(skip)]
    pub step_losses: Vec<f32>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// Seconds in which nothing was trained because samples had yet to be read or made.
    pub waited: f64,
    /// How many seconds the epoch took, validation included.
    pub seconds: f64,
}

/// The metric of this name; NaN where there is none.
fn find(metrics: &[(String, f64)], name: &str) -> f64 {
    metrics.iter().find(|(have, _)| have == name).map_or(f64::NAN, |(_, value)| *value)
}

impl EpochRecord {
    /// A value of the epoch by its name: `loss`, `val_loss`, a metric, a metric after `val_`, `learning_rate`, `seconds`, `waited`.
    pub fn value(&self, name: &str) -> Option<f64> {
        let find = |metrics: &[(String, f64)], name: &str| metrics.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
        match name {
            "loss" => Some(self.loss),
            "val_loss" => self.val_loss,
            "learning_rate" => Some(f64::from(self.learning_rate)),
            "seconds" => Some(self.seconds),
            "waited" => Some(self.waited),
            _ => find(&self.metrics, name).or_else(|| find(&self.val_metrics, name.strip_prefix("val_")?)),
        }
    }

    /// The names of all its values.
    pub fn names(&self) -> Vec<String> {
        let named = |prefix: &str, metrics: &[(String, f64)]| -> Vec<String> {
            metrics.iter().map(|(name, _)| format!("{prefix}{name}")).collect()
        };
        let mut names = vec!["loss".to_owned()];
        names.extend(named("", &self.metrics));
        names.extend(self.val_loss.map(|_| "val_loss".to_owned()));
        names.extend(named("val_", &self.val_metrics));
        names.extend(["learning_rate", "seconds", "waited"].map(str::to_owned));
        names
    }
}

/// Numbers in JSON, those too that it has no words for.
mod number {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// A number, or its name.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Word {
        Number(f64),
        Name(String),
    }

    impl From<f64> for Word {
        fn from(value: f64) -> Word {
            if value.is_finite() { Word::Number(value) } else { Word::Name(value.to_string()) }
        }
    }

    impl Word {
        fn value<E: Error>(self) -> Result<f64, E> {
            match self {
                Word::Number(value) => Ok(value),
                Word::Name(name) => name.parse().map_err(|_| E::custom(format!("\"{name}\" is not a number"))),
            }
        }
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Word::from(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Word::deserialize(from)?.value()
    }

    pub(super) mod maybe {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
            value.map(Word::from).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
            Option::<Word>::deserialize(from)?.map(Word::value).transpose()
        }
    }

    pub(super) mod pairs {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(pairs: &[(String, f64)], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(pairs.iter().map(|(name, value)| (name, Word::from(*value))))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, f64)>, D::Error> {
            let pairs = Vec::<(String, Word)>::deserialize(from)?;
            pairs.into_iter().map(|(name, word)| Ok((name, word.value()?))).collect()
        }
    }
}

/// What a training left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The epochs, in order.
    pub epochs: Vec<EpochRecord>,
    /// Whether the training was interrupted before an epoch and its validation were done.
    pub interrupted: bool,
    /// Why the training ended before its last epoch, where it did: a callback's reason, the time limit, an interruption.
    pub stopped: Option<String>,
    /// What the person in front of it should know: a damaged checkpoint that was passed over, one that could not be written.
    pub notes: Vec<String>,
    /// From the call of `fit` to the end of its first step.
    pub time_to_first_loss: Duration,
    /// From the call of `fit` to its end.
    pub duration: Duration,
}

impl History {
    /// The loss of every epoch.
    pub fn losses(&self) -> Vec<f64> {
        self.epochs.iter().map(|e| e.loss).collect()
    }

    /// The validation loss of every epoch; NaN where there was none.
    pub fn val_losses(&self) -> Vec<f64> {
        self.epochs.iter().map(|e| e.val_loss.unwrap_or(f64::NAN)).collect()
    }

    /// A metric of every epoch; NaN where there was none.
    pub fn metric(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().map(|e| find(&e.metrics, name)).collect()
    }

    /// A validation metric of every epoch; NaN where there was none.
    pub fn val_metric(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().map(|e| find(&e.val_metrics, name)).collect()
    }

    /// Writes the curves of loss and metrics as a picture: SVG, or PNG with the feature `png`, as the extension of `path` says.
    ///
    /// # Errors
    /// As [`History::curves`] and [`Picture::save`](crate::plot::Picture::save).
    #[cfg(feature = "plot")]
    pub fn write_curve(&self, path: &std::path::Path, title: &str) -> crate::Result<()> {
        self.curves(title)?.save(path)
    }

    /// Draws the curves of loss and metrics.
    ///
    /// # Errors
    /// [`crate::Error::Data`] where there was no epoch.
    #[cfg(feature = "plot")]
    pub fn curves(&self, title: &str) -> crate::Result<crate::plot::Picture> {
        use crate::plot::{Curve, Panel};
        let panel = |axis: &str, training: Vec<f64>, validation: Vec<f64>| {
            let mut curves = vec![Curve { label: "training".into(), values: training }];
            if validation.iter().any(|v| !v.is_nan()) {
                curves.push(Curve { label: "validation".into(), values: validation });
            }
            Panel { axis: axis.into(), curves }
        };
        let mut panels = vec![panel("loss", self.losses(), self.val_losses())];
        for (name, _) in self.epochs.first().map(|e| e.metrics.as_slice()).unwrap_or_default() {
            panels.push(panel(name, self.metric(name), self.val_metric(name)));
        }
        crate::plot::training_curves(title, &panels)
    }
}

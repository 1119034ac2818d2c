use std::time::Duration;

/// One epoch of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// Epoch, counted from 1 over all trainings of the model.
    pub epoch: usize,
    /// The mean of the loss over the epoch's samples, taken while training.
    pub loss: f64,
    /// Name and value of every metric, taken while training.
    pub metrics: Vec<(&'static str, f64)>,
    /// The loss on the validation data after the epoch.
    pub val_loss: Option<f64>,
    /// Name and value of every metric on the validation data after the epoch.
    pub val_metrics: Vec<(&'static str, f64)>,
    /// The loss of every step.
    pub step_losses: Vec<f32>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// Seconds in which nothing was trained because samples had yet to be read or made.
    pub waited: f64,
    /// How many seconds the epoch took, validation included.
    pub seconds: f64,
}

/// What a training left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The epochs, in order.
    pub epochs: Vec<EpochRecord>,
    /// Whether the training was stopped before its end.
    pub interrupted: bool,
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
        let value = |m: &[(&str, f64)]| m.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, v)| *v);
        self.epochs.iter().map(|e| value(&e.metrics)).collect()
    }

    /// A validation metric of every epoch; NaN where there was none.
    pub fn val_metric(&self, name: &str) -> Vec<f64> {
        let value = |m: &[(&str, f64)]| m.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, v)| *v);
        self.epochs.iter().map(|e| value(&e.val_metrics)).collect()
    }

    /// Writes the curves of loss and metrics as an SVG picture.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the file cannot be written.
    #[cfg(feature = "plot")]
    pub fn write_curve(&self, path: &std::path::Path, title: &str) -> crate::Result<()> {
        use super::curve::{Curve, Panel};
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
        super::curve::write(path, title, &panels)
    }
}

//! A report as JSON.

use serde_json::{Value, json};

use super::{Report, Row};

impl Report {
    /// The report as JSON. Keys do not change from version to version; others may come. Numbers are those that were computed, unrounded;
    /// what is not finite is `null`.
    pub fn to_json(&self) -> Value {
        let classes: Vec<Value> =
            self.classes.iter().map(|class| json!({"name": class.name, "samples": class.samples})).collect();
        let point = self.operating_point.as_ref();
        let point = point.map(|point| json!({"positive": point.positive, "threshold": point.threshold}));
        let training = self.training.as_ref().map(|training| {
            json!({
                "epochs": training.loss.len(),
                "interrupted": training.interrupted,
                "loss": training.loss,
                "validation_loss": training.validation_loss,
            })
        });
        json!({
            "name": self.name,
            "galen": env!("CARGO_PKG_VERSION"),
            "task": self.task,
            "samples": self.samples,
            "left_out": self.left_out,
            "groups": self.groups,
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "classes": classes,
            "operating_point": point,
            "metrics": self.rows.iter().map(metric).collect::<Vec<Value>>(),
            "confusion": self.confusion.as_ref().map(|table| &table.counts),
            "training": training,
            "not_computed": self.missing,
        })
    }
}

fn metric(row: &Row) -> Value {
    json!({
        "key": row.key,
        "class": row.class,
        "value": row.value,
        "low": row.interval.map(|interval| interval.low),
        "high": row.interval.map(|interval| interval.high),
        "method": row.interval.map(|_| row.method),
        "n": row.n,
    })
}

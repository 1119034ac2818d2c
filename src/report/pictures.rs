//! The pictures of a report.

use super::classification::{BINS, Confidence};
use super::draft::Settings;
use super::label::Label;
use super::rows::Rows;
use crate::error::Result;
use crate::metrics::{Band, ConfusionTable, Interval, PrecisionRecallCurve, ReliabilityCurve, RocCurve};
use crate::plot::{self, Example, Picture, Trace};

/// How many columns of images there are.
const COLUMNS: usize = 3;

/// Pictures as they are drawn. One that cannot be drawn is said to be missing, and the others are drawn.
pub(super) struct Album<'a, 'b> {
    name: &'a str,
    settings: &'a Settings,
    rows: &'a mut Rows<'b>,
    pub pictures: Vec<(&'static str, Picture)>,
}

/// What is drawn of one label.
struct Drawn<'a> {
    label: &'a Label,
    roc: RocCurve,
    precision_recall: PrecisionRecallCurve,
    areas: [Option<Interval>; 2],
    bands: [Option<Band>; 2],
}

impl<'a, 'b> Album<'a, 'b> {
    pub fn new(name: &'a str, settings: &'a Settings, rows: &'a mut Rows<'b>) -> Self {
        Album { name, settings, rows, pictures: Vec::new() }
    }

    /// ROC and precision-recall curves of `labels`. `alone`: the positive class of two, with its bands and the chosen threshold.
    pub fn curves(&mut self, labels: &[Label], alone: bool) {
        let mut drawn = Vec::new();
        for label in labels {
            match label.curves() {
                Ok((roc, precision_recall)) => {
                    let class = (!alone).then_some(label.name.as_str());
                    let areas = ["auc", "average_precision"].map(|key| self.interval(key, class));
                    let bands = if alone { self.bands(label) } else { [None, None] };
                    drawn.push(Drawn { label, roc, precision_recall, areas, bands });
                }
                Err(reason) => {
                    self.rows.of((!alone).then_some(label.name.as_str()));
                    self.rows.lacks("roc picture", &reason);
                    self.rows.lacks("precision_recall picture", &reason);
                    self.rows.of(None);
                }
            }
        }
        if drawn.is_empty() {
            return;
        }
        let roc: Vec<Trace<RocCurve>> = drawn.iter().map(|d| d.trace(&d.roc, 0, alone)).collect();
        self.add("roc", plot::roc(self.name, &roc));
        let curves: Vec<Trace<PrecisionRecallCurve>> =
            drawn.iter().map(|d| d.trace(&d.precision_recall, 1, alone)).collect();
        self.add("precision_recall", plot::precision_recall(self.name, &curves));
    }

    pub fn confusion(&mut self, table: &ConfusionTable, names: &[String]) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.add("confusion", plot::confusion(self.name, table, &names));
    }

    pub fn calibration(&mut self, confidence: &Result<Confidence>) {
        let curve = confidence.as_ref().map_err(ToString::to_string).and_then(|confidence| {
            let curve = ReliabilityCurve::new(&confidence.right, &confidence.probability, BINS);
            Ok((confidence, curve.map_err(|reason| reason.to_string())?))
        });
        match curve {
            Ok((confidence, curve)) => {
                let intervals = self.calibration_intervals(confidence, &curve);
                let label = format!("{}, expected error {:.3}", confidence.of, curve.expected_error());
                self.add("calibration", plot::calibration(self.name, &[(&label, &curve)], &intervals));
            }
            Err(reason) => self.rows.lacks("calibration picture", reason),
        }
    }

    /// The interval of each point: by Wilson's formula where samples are independent, by bootstrap over groups where they are not.
    fn calibration_intervals(&mut self, confidence: &Confidence, curve: &ReliabilityCurve) -> Vec<Option<Interval>> {
        let Confidence { right, probability, .. } = confidence;
        let made = match &self.settings.groups {
            None => curve.wilson(self.settings.level).map(|all| all.into_iter().map(Some).collect()),
            Some(_) => {
                let bootstrap = self.settings.bootstrap(right.len());
                bootstrap.and_then(|bootstrap| ReliabilityCurve::intervals(right, probability, BINS, &bootstrap))
            }
        };
        let intervals: Vec<Option<Interval>> = match made {
            Ok(intervals) => intervals,
            Err(reason) => {
                self.rows.lacks("calibration interval", reason);
                return Vec::new();
            }
        };
        let none = intervals.iter().filter(|interval| interval.is_none()).count();
        if none > 0 {
            let reason =
                format!("{none} of {} points have none: too few groups lie there, or they agree", curve.counts.len());
            self.rows.lacks("calibration interval", reason);
        }
        intervals
    }

    pub fn agreement(&mut self, truth: &[f64], predicted: &[f64], unit: &str) {
        self.add("agreement", plot::agreement(self.name, truth, predicted, unit));
    }

    pub fn examples(&mut self, examples: &[Example]) {
        if !examples.is_empty() {
            self.add("examples", plot::examples(self.name, examples, COLUMNS));
        }
    }

    fn add(&mut self, name: &'static str, picture: Result<Picture>) {
        match picture {
            Ok(picture) => self.pictures.push((name, picture)),
            Err(reason) => self.rows.lacks(format!("{name} picture"), reason),
        }
    }

    /// The interval of a metric that was computed; of a value without one, the value with bounds that are no numbers.
    fn interval(&self, key: &str, class: Option<&str>) -> Option<Interval> {
        let row = self.rows.rows.iter().find(|row| row.key == key && row.class.as_deref() == class)?;
        let bare = Interval { value: row.value, low: f64::NAN, high: f64::NAN, level: self.settings.level };
        Some(row.interval.unwrap_or(bare))
    }

    /// The bands of both curves, without which they are drawn all the same.
    fn bands(&mut self, label: &Label) -> [Option<Band>; 2] {
        let bootstrap = self.settings.bootstrap(label.truth.len());
        let mut band = |key: &str, of: fn(&[bool], &[f64], &crate::metrics::Bootstrap) -> Result<Band>| {
            let made = bootstrap
                .as_ref()
                .map_err(ToString::to_string)
                .and_then(|bootstrap| of(&label.truth, &label.scores, bootstrap).map_err(|reason| reason.to_string()));
            made.map_err(|reason| self.rows.lacks(format!("{key} band"), reason)).ok()
        };
        [band("roc", RocCurve::band), band("precision_recall", PrecisionRecallCurve::band)]
    }
}

impl Drawn<'_> {
    fn trace<'a, C>(&'a self, curve: &'a C, which: usize, alone: bool) -> Trace<'a, C> {
        let mut trace = Trace::new(&self.label.name, curve);
        if let Some(area) = self.areas[which] {
            trace = trace.area(area);
        }
        if let Some(band) = &self.bands[which] {
            trace = trace.band(band);
        }
        if let (true, Some((x, y))) = (alone, self.operating_point(which)) {
            trace = trace.operating_point(x, y);
        }
        trace
    }

    /// Where what was called positive lies on the curve.
    fn operating_point(&self, which: usize) -> Option<(f64, f64)> {
        let counts = crate::metrics::BinaryCounts::new(&self.label.truth, &self.label.called).ok()?;
        let sensitivity = counts.sensitivity()?;
        if which == 0 {
            Some((1.0 - counts.specificity()?, sensitivity))
        } else {
            Some((sensitivity, counts.precision()?))
        }
    }
}

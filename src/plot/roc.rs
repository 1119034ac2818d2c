use super::Picture;
use super::trace::{Square, Trace, pairs};
use crate::error::Result;
use crate::metrics::RocCurve;

/// Draws receiver operating characteristics, with the diagonal of chance.
///
/// # Errors
/// [`Error::Data`](crate::Error::Data) where there is no curve, or one with points beyond 0..1.
pub fn roc(title: &str, traces: &[Trace<RocCurve>]) -> Result<Picture> {
    let what = "ROC curve";
    let square = Square {
        what,
        title,
        area: "AUC",
        x: "1 − specificity (false positive rate)",
        y: "sensitivity (true positive rate)",
        guides: vec![[(0.0, 0.0), (1.0, 1.0)]],
        guide: "chance",
    };
    square.draw(traces, |curve| pairs(what, &curve.false_positive_rate, &curve.true_positive_rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Band, Interval};

    fn curve() -> RocCurve {
        RocCurve {
            false_positive_rate: vec![0.0, 0.0, 0.5, 1.0],
            true_positive_rate: vec![0.0, 0.5, 1.0, 1.0],
            thresholds: vec![f64::INFINITY, 0.8, 0.4, 0.1],
        }
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let (curve, area) = (curve(), Interval { value: 0.875, low: 0.7004, high: 1.0, level: 0.95 });
        let band = Band { x: vec![0.0, 1.0], low: vec![0.2, 1.0], high: vec![0.8, 1.0] };
        let draw = || roc("t", &[Trace::new("malignant", &curve).area(area).band(&band).operating_point(0.5, 1.0)]);
        let svg = draw().unwrap().svg();
        for text in [">malignant 0.875 (0.700–1.000)<", ">chance<", "95 % interval", "band: ", "dot: chosen threshold<"]
        {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert!(svg.contains("sensitivity") && svg.contains("specificity") && !svg.contains("NaN"));
        assert!(svg == draw().unwrap().svg(), "the same curve, the same bytes");
        let open = Interval { low: f64::NAN, high: f64::NAN, ..area };
        let svg = roc("t", &[Trace::new("malignant", &curve).area(open)]).unwrap().svg();
        assert!(svg.contains(">malignant 0.875<") && svg.contains(">AUC<") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(roc("t", &[]).is_err());
        for (x, y) in [(f64::NAN, 0.5), (0.5, 1.1), (-0.1, 0.0)] {
            let mut wrong = curve();
            (wrong.false_positive_rate[2], wrong.true_positive_rate[2]) = (x, y);
            assert!(roc("t", &[Trace::new("a", &wrong)]).is_err(), "{x} {y}");
        }
        let mut short = curve();
        short.true_positive_rate.pop();
        assert!(roc("t", &[Trace::new("a", &short)]).is_err());
        let band = Band { x: vec![0.0, 1.0], low: vec![0.2], high: vec![0.8, 1.0] };
        assert!(roc("t", &[Trace::new("a", &curve()).band(&band)]).is_err());
    }
}

use super::Picture;
use super::trace::{Square, Trace, pairs};
use crate::error::Result;
use crate::metrics::PrecisionRecallCurve;

/// Draws precision against recall, in steps: between two points precision does not go straight. A dashed line for each curve
/// is its prevalence, the precision of calling everything positive.
///
/// # Errors
/// [`Error::Data`](crate::Error::Data) where there is no curve, or one with points beyond 0..1.
pub fn precision_recall(title: &str, traces: &[Trace<PrecisionRecallCurve>]) -> Result<Picture> {
    let what = "precision-recall curve";
    // The first point calls everything positive.
    let prevalence = |trace: &Trace<PrecisionRecallCurve>| trace.curve.precision.first().copied();
    let inside = |p: &f64| (0.0..=1.0).contains(p);
    let square = Square {
        what,
        title,
        area: "average precision",
        x: "recall (sensitivity)",
        y: "precision (positive predictive value)",
        guides: traces.iter().filter_map(prevalence).filter(inside).map(|p| [(0.0, p), (1.0, p)]).collect(),
        guide: "prevalence",
    };
    square.draw(traces, |curve| steps(what, curve))
}

/// The corners of the steps from recall 0 to 1: each precision holds back to the recall before it. Thresholds that find nothing
/// have no step.
fn steps(what: &str, curve: &PrecisionRecallCurve) -> Result<Vec<(f64, f64)>> {
    let points = pairs(what, &curve.recall, &curve.precision)?;
    let mut corners: Vec<(f64, f64)> = Vec::with_capacity(2 * points.len());
    let mut before = 0.0;
    // Not "above 0": what is no number is refused later, and not left out.
    for (recall, precision) in points.into_iter().rev().filter(|(recall, _)| *recall != 0.0) {
        corners.extend([(before, precision), (recall, precision)]);
        before = recall;
    }
    Ok(corners)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve() -> PrecisionRecallCurve {
        PrecisionRecallCurve {
            precision: vec![0.5, 2.0 / 3.0, 1.0, 1.0],
            recall: vec![1.0, 1.0, 0.5, 0.0],
            thresholds: vec![0.1, 0.4, 0.8],
        }
    }

    #[test]
    fn precision_goes_in_steps() {
        let corners = steps("c", &curve()).unwrap();
        let third = 2.0 / 3.0;
        let expected = [(0.0, 1.0), (0.5, 1.0), (0.5, third), (1.0, third), (1.0, 0.5), (1.0, 0.5)];
        assert_eq!(corners, expected);
    }

    #[test]
    fn the_picture_says_what_it_shows() {
        let draw = || precision_recall("t", &[Trace::new("malignant", &curve())]).unwrap().svg();
        let svg = draw();
        for text in [">malignant<", ">prevalence<", "recall (sensitivity)", "positive predictive value"] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        assert!(!svg.contains("NaN") && svg == draw());
        assert!(precision_recall("t", &[]).is_err());
        let mut wrong = curve();
        wrong.precision[1] = f64::NAN;
        assert!(precision_recall("t", &[Trace::new("a", &wrong)]).is_err());
    }
}

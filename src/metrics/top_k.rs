use ndarray::{ArrayView1, ArrayView2};

use super::check;
use crate::error::{Error, Result};

/// The share of samples whose true class is among the `k` with the highest scores: `scores` `[samples, classes]`. Of classes with
/// the same score the later one goes first. Source: scikit-learn, `top_k_accuracy_score`.
///
/// # Errors
/// [`Error::Data`] where there are not as many rows as true classes, a score is NaN or infinite, or a class has no column;
/// [`Error::Parameter`] where `k` is zero.
pub fn top_k_accuracy(truth: &[u32], scores: ArrayView2<f64>, k: usize) -> Result<f64> {
    check::scored_rows(truth.len(), scores)?;
    check::classes_below(truth, scores.ncols())?;
    if k == 0 {
        return Err(Error::parameter("top-k accuracy", "k", "at least 1", k));
    }
    let hit = |(t, row): (&u32, ArrayView1<f64>)| {
        let (own, at) = (row[*t as usize], *t as usize);
        let before = row.iter().enumerate().filter(|(c, s)| **s > own || (**s == own && *c > at)).count();
        before < k
    };
    let hits = truth.iter().zip(scores.rows()).filter(|(t, row)| hit((t, *row))).count();
    Ok(hits as f64 / truth.len() as f64)
}

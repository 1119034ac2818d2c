//! Samples in the order of their scores: what curves and areas are counted from.

/// Samples by falling score. Those of the same score stand together, as one threshold cannot part them.
pub(super) struct Ranked {
    /// Samples, by falling score.
    rows: Vec<usize>,
    /// Whether each of `rows` is positive.
    positive: Vec<bool>,
    /// Where each group of equal scores ends in `rows`, and its score.
    groups: Vec<(usize, f64)>,
}

impl Ranked {
    /// Of as many finite scores as there are true values.
    pub(super) fn new(truth: &[bool], scores: &[f64]) -> Self {
        let mut rows: Vec<usize> = (0..scores.len().min(truth.len())).collect();
        rows.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut groups: Vec<(usize, f64)> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            match groups.last_mut() {
                // Not by bits: −0 and 0 are the same score.
                Some((end, score)) if *score == scores[*row] => *end = i + 1,
                _ => groups.push((i + 1, scores[*row])),
            }
        }
        let positive = rows.iter().map(|r| truth[*r]).collect();
        Ranked { rows, positive, groups }
    }

    /// Every threshold from the highest on, with the positives and negatives that reach it.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps_of(|_| 1)
    }

    /// The same where sample `i` counts `times(i)` times, as in a resample. A threshold that no sample has is left out.
    pub(super) fn steps_of(&self, times: impl Fn(usize) -> usize) -> impl Iterator<Item = Step> {
        let (mut start, mut positives, mut negatives) = (0, 0, 0);
        self.groups.iter().filter_map(move |(end, threshold)| {
            let before = positives + negatives;
            for (row, positive) in self.rows[start..*end].iter().zip(&self.positive[start..*end]) {
                *(if *positive { &mut positives } else { &mut negatives }) += times(*row);
            }
            start = *end;
            (positives + negatives > before).then_some(Step { threshold: *threshold, positives, negatives })
        })
    }
}

/// How many samples reach a threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) threshold: f64,
    pub(super) positives: usize,
    pub(super) negatives: usize,
}

/// The area under the ROC curve of these steps: the share of pairs in the right order, ties counting half. Counted in whole numbers,
/// so that one rounding remains. `None` where one class is missing.
pub(super) fn area(steps: impl Iterator<Item = Step>) -> Option<f64> {
    let (mut twice, mut positives, mut negatives) = (0u128, 0, 0);
    for step in steps {
        twice += (step.negatives - negatives) as u128 * (step.positives + positives) as u128;
        (positives, negatives) = (step.positives, step.negatives);
    }
    let pairs = positives as u128 * negatives as u128;
    (pairs > 0).then(|| twice as f64 / (2 * pairs) as f64)
}

/// The ranks of values, counted from 1; equal values share the mean of theirs.
pub(super) fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let end = start + group.len();
        group.iter().for_each(|i| ranks[*i] = (start + 1 + end) as f64 / 2.0);
        start = end;
    }
    ranks
}

/// The `q`-quantile of sorted numbers, `q` in 0..=1, between two of them on a straight line. Source: NumPy, `quantile`, its default.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = last as f64 * q;
    let below = (at.floor() as usize).min(last);
    let (a, b, t) = (sorted[below], sorted[(below + 1).min(last)], at - below as f64);
    // NumPy's way: exact at both ends.
    if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t }
}

use std::cmp::Ordering;

use super::check;
use crate::error::{Error, Result};

/// Harrell's concordance index: of all pairs whose order in time is known, the share that was predicted in that order, equal
/// predictions counting half. Source: lifelines, `concordance_index`.
///
/// `predicted` is higher for those said to live *longer*: of a model of risk give the negated risk. `observed` is whether the event
/// was seen at that time; `false` is censored there. A pair is known where the earlier of the two had the event; at the same time
/// the censored one lived longer, and two events are no pair. In O(n log n).
///
/// ```
/// use galen::metrics::concordance_index;
///
/// let (times, observed) = ([5.0, 8.0, 9.0, 12.0], [true, false, true, true]);
/// assert_eq!(concordance_index(&times, &[1.0, 2.0, 4.0, 3.0], &observed)?, 0.75);
/// # Ok::<(), galen::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] where the three differ in number, there are none, a number is NaN or infinite (which sample), or no pair is known.
pub fn concordance_index(times: &[f64], predicted: &[f64], observed: &[bool]) -> Result<f64> {
    check::not_empty("times", times.len())?;
    check::as_many("predictions", times.len(), predicted.len())?;
    check::as_many("observed", times.len(), observed.len())?;
    check::finite("times", times)?;
    check::finite("predictions", predicted)?;
    let mut heights = predicted.to_vec();
    heights.sort_unstable_by(f64::total_cmp);
    heights.dedup();
    let rank = |i: usize| heights.partition_point(|h| *h < predicted[i]);

    // By time, and of the same time those with an event first: a censored one is compared with them too.
    let mut order: Vec<usize> = (0..times.len()).collect();
    // Times are finite; compared as numbers, −0 and 0 are the same time.
    let by_time = |a: usize, b: usize| times[a].partial_cmp(&times[b]).unwrap_or(Ordering::Equal);
    order.sort_unstable_by(|a, b| by_time(*a, *b).then(observed[*b].cmp(&observed[*a])));
    let mut before = Counts::new(heights.len());
    let (mut pairs, mut twice_right) = (0u128, 0u128);
    for group in order.chunk_by(|a, b| times[*a] == times[*b] && observed[*a] == observed[*b]) {
        for i in group {
            let (lower, up_to) = (before.below(rank(*i)), before.below(rank(*i) + 1));
            pairs += before.all as u128;
            twice_right += (lower + up_to) as u128;
        }
        group.iter().filter(|i| observed[**i]).for_each(|i| before.add(rank(*i)));
    }
    if pairs == 0 {
        let expected = "at least one pair whose order in time is known";
        let events = observed.iter().filter(|o| **o).count();
        return Err(Error::data("times", expected, format!("{} samples with {events} events", times.len())));
    }
    Ok(twice_right as f64 / (2 * pairs) as f64)
}

/// How many were counted below each number: P. Fenwick, "A new data structure for cumulative frequency tables" (1994).
struct Counts {
    tree: Vec<usize>,
    all: usize,
}

impl Counts {
    fn new(numbers: usize) -> Self {
        Counts { tree: vec![0; numbers + 1], all: 0 }
    }

    fn add(&mut self, number: usize) {
        self.all += 1;
        let mut i = number + 1;
        while i < self.tree.len() {
            self.tree[i] += 1;
            i += i & i.wrapping_neg();
        }
    }

    fn below(&self, number: usize) -> usize {
        let (mut sum, mut i) = (0, number);
        while i > 0 {
            sum += self.tree[i];
            i -= i & i.wrapping_neg();
        }
        sum
    }
}

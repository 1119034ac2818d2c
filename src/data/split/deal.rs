//! Who gets which sample.

use crate::contract::Threefry;
use crate::data::table::cell;
use crate::error::{Error, Result};

/// Random orders of groups that are tried.
const ATTEMPTS: usize = 16;

/// A label for each sample: its class, its group.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) of: Vec<usize>,
    pub(super) names: Vec<String>,
}

impl Labels {
    /// How many samples have each label.
    pub(super) fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.names.len()];
        self.of.iter().for_each(|label| counts[*label] += 1);
        counts
    }

    /// How many of these groups have samples of each class.
    pub(super) fn per_class(&self, classes: &Labels) -> Vec<usize> {
        let mut pairs: Vec<(usize, usize)> = classes.of.iter().copied().zip(self.of.iter().copied()).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut counts = vec![0; classes.names.len()];
        pairs.iter().for_each(|(class, _)| counts[*class] += 1);
        counts
    }

    /// Refuses parts that share a group. The dealing cannot make them; this is the proof, for every split that is made.
    pub(super) fn check_apart(&self, parts: &[Vec<usize>]) -> Result<()> {
        super::check_groups(&self.of, parts)
    }
}

/// The part of every sample, classes in their shares to within one sample.
pub(super) fn samples(n: usize, classes: Option<&Labels>, shares: &[f64], random: &mut Threefry) -> Vec<usize> {
    let order = random.permutation(n);
    let mut members = vec![Vec::new(); classes.map_or(1, |classes| classes.names.len())];
    for sample in order.into_iter().map(|sample| sample as usize) {
        members[classes.map_or(0, |classes| classes.of[sample])].push(sample);
    }
    let (mut part_of, mut lack) = (vec![0; n], vec![0.0; shares.len()]);
    for class in members {
        let mut counts = apportion(class.len(), shares, &mut lack);
        if classes.is_some() {
            fill_empty(&mut counts);
        }
        let parts = counts.iter().enumerate().flat_map(|(part, count)| std::iter::repeat_n(part, *count));
        class.into_iter().zip(parts).for_each(|(sample, part)| part_of[sample] = part);
    }
    part_of
}

/// `n` in whole numbers by `shares`: each rounded up or down. Those that have lacked most so far, over all classes, are rounded up.
fn apportion(n: usize, shares: &[f64], lack: &mut [f64]) -> Vec<usize> {
    // A hair more, so that 0.7 of 10 is 7.
    let floor = |share: f64| (n as f64 * share + 1e-9).floor();
    let mut counts: Vec<usize> = shares.iter().map(|share| floor(*share) as usize).collect();
    lack.iter_mut().zip(shares).for_each(|(lack, share)| *lack += n as f64 * share - floor(*share));
    // Whole quotas are not rounded.
    let mut open: Vec<usize> = (0..shares.len()).filter(|i| n as f64 * shares[*i] - floor(shares[*i]) > 1e-9).collect();
    open.sort_by(|a, b| lack[*b].total_cmp(&lack[*a]));
    let left = n.saturating_sub(counts.iter().sum());
    for i in open.into_iter().chain(0..shares.len()).take(left) {
        counts[i] += 1;
        lack[i] -= 1.0;
    }
    counts
}

/// Gives every part at least one, from the part that has most.
fn fill_empty(counts: &mut [usize]) {
    while let Some(empty) = counts.iter().position(|count| *count == 0) {
        let Some(most) = (0..counts.len()).max_by_key(|i| counts[*i]).filter(|i| counts[*i] > 1) else { return };
        counts[most] -= 1;
        counts[empty] += 1;
    }
}

/// The part of every sample, groups undivided.
pub(super) fn groups(
    groups: &Labels,
    classes: Option<&Labels>,
    shares: &[f64],
    folds: bool,
    random: &mut Threefry,
) -> Result<Vec<usize>> {
    let table = Counts::new(groups, classes);
    let mut best: Option<(f64, Vec<usize>)> = None;
    // One group in each part: every order is as good.
    let attempts = if groups.names.len() == shares.len() { 1 } else { ATTEMPTS };
    for _ in 0..attempts {
        let mut order: Vec<usize> = random.permutation(groups.names.len()).into_iter().map(|g| g as usize).collect();
        if folds {
            // Stable, so that chance decides between groups of the same size.
            order.sort_by_key(|group| std::cmp::Reverse(table.size(*group)));
        }
        let (cost, part_of) = table.deal(&order, shares);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, part_of));
        }
    }
    let part_of = best.map(|(_, part_of)| part_of).unwrap_or_default();
    if let Some(classes) = classes {
        table.check(&part_of, shares.len(), classes)?;
    }
    Ok(groups.of.iter().map(|group| part_of[*group]).collect())
}

/// How many samples of each class every group has; one class where there are none.
struct Counts {
    /// For each group its classes and how many samples of each.
    of: Vec<Vec<(usize, f64)>>,
    totals: Vec<f64>,
}

impl Counts {
    fn new(groups: &Labels, classes: Option<&Labels>) -> Counts {
        let mut totals = vec![0.0; classes.map_or(1, |classes| classes.names.len())];
        let mut of = vec![Vec::new(); groups.names.len()];
        let mut pairs: Vec<(usize, usize)> = groups
            .of
            .iter()
            .enumerate()
            .map(|(i, group)| (*group, classes.map_or(0, |classes| classes.of[i])))
            .collect();
        pairs.sort_unstable();
        for run in pairs.chunk_by(|a, b| a == b) {
            let (group, class) = run[0];
            of[group].push((class, run.len() as f64));
            totals[class] += run.len() as f64;
        }
        Counts { of, totals }
    }

    fn size(&self, group: usize) -> usize {
        self.of[group].iter().map(|(_, count)| *count as usize).sum()
    }

    /// Groups in this order, each to the part that it brings closest to its share of every class; and how far all are from it in the
    /// end: the squared differences, relative to the classes' sizes, and more than any such sum for a class that a part lacks.
    fn deal(&self, order: &[usize], shares: &[f64]) -> (f64, Vec<usize>) {
        let classes = self.totals.len();
        // What part p still lacks of class c stands at p · classes + c.
        let mut lack: Vec<f64> = shares.iter().flat_map(|share| self.totals.iter().map(move |n| n * share)).collect();
        let mut part_of = vec![0; order.len()];
        let mut empty = vec![true; shares.len()];
        for (dealt, group) in order.iter().enumerate() {
            // Where the groups just suffice for one in every part, only empty parts get any.
            let only_empty = empty.iter().filter(|e| **e).count() >= order.len() - dealt;
            let gain = |part: usize| -> f64 {
                let of =
                    |(class, count): &(usize, f64)| count * lack[part * classes + class] / self.totals[*class].powi(2);
                self.of[*group].iter().map(of).sum()
            };
            let mut best = (f64::NEG_INFINITY, 0);
            for part in (0..shares.len()).filter(|part| empty[*part] || !only_empty) {
                let gain = gain(part);
                if gain > best.0 {
                    best = (gain, part);
                }
            }
            let part = best.1;
            self.of[*group].iter().for_each(|(class, count)| lack[part * classes + class] -= count);
            (part_of[*group], empty[part]) = (part, false);
        }
        let mut cost = 0.0;
        for (p, share) in shares.iter().enumerate() {
            for (c, total) in self.totals.iter().enumerate() {
                let lack = lack[p * classes + c];
                // All that is due is lacking: the class is not there.
                let absent = total * share - lack < 0.5;
                cost += (lack / total).powi(2) + if absent { (shares.len() * classes) as f64 } else { 0.0 };
            }
        }
        (cost, part_of)
    }

    /// Refuses a part that lacks a class.
    fn check(&self, part_of: &[usize], parts: usize, classes: &Labels) -> Result<()> {
        let mut present = vec![false; parts * self.totals.len()];
        for (group, part) in part_of.iter().enumerate() {
            self.of[group].iter().for_each(|(class, _)| present[part * self.totals.len() + class] = true);
        }
        match present.iter().position(|there| !there) {
            Some(at) => {
                let (part, class) = (at / self.totals.len(), at % self.totals.len());
                let expected = format!("groups (patients) that can be dealt with every class in each of {parts} parts");
                let class = cell(classes.names[class].trim_matches('"'));
                let actual = format!("no sample of one class ({class}) in number {part} in any of {ATTEMPTS} orders");
                Err(Error::data("split", expected, actual))
            }
            None => Ok(()),
        }
    }
}

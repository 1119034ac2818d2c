//! The clock and the schedule: the state that lets a training step run without a word from the host.
//!
//! The clock counts steps on the device. The schedule holds, for one epoch, the clock's reading at its start and the learning
//! rate of each of its steps. The WGSL twin is `shaders/shared/clock.wgsl`.

use crate::error::{Error, Result};
use crate::shape::TensorSpec;

/// Word of the clock: steps done so far, which is also the number of the step that runs, counted from 0.
pub const STEP: usize = 0;
/// Word of the clock: 0, or 1 + the step in which something was not finite. Nothing is updated and no step is counted from then on.
pub const FAULT: usize = 1;
/// Word of the clock: the low half of the seed.
pub const SEED_LO: usize = 2;
/// Word of the clock: the high half of the seed.
pub const SEED_HI: usize = 3;
/// Words of a clock.
pub const LEN: usize = 8;

/// Word of the schedule: the clock's step at the start of the epoch.
pub const BASE: usize = 0;
/// First of the schedule's words that hold, as bits of an `f32`, the learning rate of each step of the epoch.
pub const RATES: usize = 1;

/// A clock that has counted `step` steps, without fault.
pub fn clock(step: u32, seed: u64) -> [u32; LEN] {
    let mut words = [0; LEN];
    (words[STEP], words[SEED_LO], words[SEED_HI]) = (step, seed as u32, (seed >> 32) as u32);
    words
}

/// The schedule of an epoch that starts at step `base`, one learning rate per step.
pub fn schedule(base: u32, rates: &[f32]) -> Vec<u32> {
    std::iter::once(base).chain(rates.iter().map(|r| r.to_bits())).collect()
}

/// The step's place in the epoch, 0 for the first. A clock outside of the epoch stands at the nearer end of it.
pub(crate) fn step_of_epoch(clock: &[u32], schedule: &[u32]) -> usize {
    let steps = schedule.len() - RATES;
    (clock[STEP].saturating_sub(schedule[BASE]) as usize).min(steps - 1)
}

/// The learning rate of the step.
pub(crate) fn learning_rate(clock: &[u32], schedule: &[u32]) -> f32 {
    f32::from_bits(schedule[RATES + step_of_epoch(clock, schedule)])
}

/// The number of the update that this step makes, counted from 1, where every `every`-th step makes one. None in the other steps,
/// and where the clock shows a fault.
pub(crate) fn update_of(clock: &[u32], every: u32) -> Option<u32> {
    let done = clock[STEP].wrapping_add(1);
    let makes_one = clock[FAULT] == 0 && done.is_multiple_of(every.max(1));
    makes_one.then(|| (done / every.max(1)).max(1))
}

/// Refuses what is not a clock.
pub(crate) fn expect_clock(op: &str, spec: &TensorSpec) -> Result<()> {
    let expected = TensorSpec::u32([LEN]);
    if *spec == expected { Ok(()) } else { Err(Error::shape(op, format!("a clock, {expected}"), spec.to_string())) }
}

/// Refuses what is not a schedule, and gives its number of steps.
pub(crate) fn expect_schedule(op: &str, spec: &TensorSpec) -> Result<usize> {
    let len = spec.shape.elements();
    if *spec == TensorSpec::u32([len]) && len > RATES {
        return Ok(len - RATES);
    }
    Err(Error::shape(op, "a schedule, u32[1 + steps]", spec.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_steps_make_an_update() {
        let at = |t, every| update_of(&clock(t, 1), every);
        assert_eq!([0, 1, 2].map(|t| at(t, 1)), [Some(1), Some(2), Some(3)]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|t| at(t, 3)), [None, None, Some(1), None, None, Some(2)]);
        let mut bad = clock(2, 1);
        bad[FAULT] = 3;
        assert_eq!(update_of(&bad, 3), None);
    }

    #[test]
    fn a_clock_outside_of_the_epoch_stands_at_its_ends() {
        let s = schedule(10, &[0.5, 0.25, 0.125]);
        let at = |t| (step_of_epoch(&clock(t, 1), &s), learning_rate(&clock(t, 1), &s));
        assert_eq!([at(3), at(10), at(11), at(12), at(90)], [(0, 0.5), (0, 0.5), (1, 0.25), (2, 0.125), (2, 0.125)]);
    }
}

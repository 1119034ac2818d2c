// The state that lets a training step run without the host. Twin: src/contract/clock.rs. The functions take loaded words.
// clock [8]: steps done, fault (0, or 1 + the step that went bad), the seed's two halves.
const CLOCK_STEP = 0u;
const CLOCK_FAULT = 1u;
const CLOCK_SEED_LO = 2u;
const CLOCK_SEED_HI = 3u;

// schedule [1 + steps]: the clock's step at the start of the epoch, then the bits of each step's learning rate.
const SCHEDULE_BASE = 0u;
const SCHEDULE_RATES = 1u;

// The place in the epoch of step `t`, 0 for the first; a clock outside of the epoch stands at the nearer end of it.
fn step_of_epoch(t: u32, base: u32, steps: u32) -> u32 {
    return min(t - min(t, base), steps - 1u);
}

// Whether the step after which `done` steps are done makes an update, where every `every`-th does.
fn makes_update(done: u32, fault: u32, every: u32) -> bool {
    return fault == 0u && done % every == 0u;
}

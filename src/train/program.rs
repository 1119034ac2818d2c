//! The programs of a model: training steps and evaluation steps over a [`Feed`], and the loop that runs them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::budget;
use super::feed::{Batch, Feed};
use super::load::{Check, Shards};
use super::metrics::{Metric, Recorded};
use crate::augment::{self, AugmentCtx, Augmentation};
use crate::contract::clock;
use crate::data::Dataset;
use crate::engine::{Executable, Profile, Session};
use crate::error::Result;
use crate::graph::{Graph, Init, Place, Plan, SLOT_ALIGN, SlotSpec, Var};
use crate::nn::{self, BuildCtx, Losses, Mode, Network, STATISTICS, StatisticUpdate};
use crate::optim::Tuned;
use crate::shape::TensorSpec;
use crate::tensor::Tensor;

/// What a step computes besides the network.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub(super) network: &'a dyn Network,
    pub(super) losses: &'a Losses,
    pub(super) metrics: &'a [Metric],
    pub(super) tuned: &'a Tuned,
    /// What is done to a batch first.
    pub(super) augment: &'a [Arc<dyn Augmentation>],
    /// Forward, backward and update, or forward only.
    pub(super) mode: Mode,
}

impl Recipe<'_> {
    /// The graph of one step over a batch of `batch` samples.
    fn graph(&self, feed: &Feed, batch: usize) -> Result<Graph> {
        let graph = Graph::new();
        let Batch { mut inputs, mut targets, weights, keys, clock, schedule, ring } = feed.declare(&graph, batch)?;
        if let Some((epoch, samples)) = keys {
            let ctx = AugmentCtx::new(&clock, &epoch, &samples);
            (inputs, targets) = augment::build(self.augment, &ctx, inputs, targets)?;
        }
        let ctx = match self.mode {
            Mode::Train => BuildCtx::new(Mode::Train, Some(&clock), self.tuned.freezes()),
            Mode::Infer => BuildCtx::inference(),
        };
        let outputs = nn::build(self.network, &ctx, &inputs)?;
        let recorded = Recorded::new(self.losses, self.metrics, &outputs, &targets, weights.as_ref())?;
        let collected = ctx.collected();
        let add = |sum: Option<Var>, x: &Var| sum.map_or(Ok(x.clone()), |sum| sum.add(x)).map(Some);
        let activity = collected.activity.iter().try_fold(None, add)?;
        let loss = activity.iter().try_fold(recorded.loss.clone(), |loss, penalty| loss.add(penalty))?;
        // A penalty on parameters is shown with the loss; its gradient is a part of the update.
        let penalty = self.tuned.penalty(&graph, &collected.holds)?;
        let shown = penalty.iter().try_fold(loss.clone(), |loss, penalty| loss.add(penalty))?;
        let penalties = penalty.iter().try_fold(activity, add)?;
        let records = recorded.columns(shown, penalties);
        let gradients = match self.mode {
            Mode::Train => Some(self.tuned.gradients(&graph, &loss, &clock)?),
            Mode::Infer => None,
        };
        for (column, value) in records.iter().enumerate() {
            value.record(&ring, column, feed.columns(), &clock, &schedule)?;
        }
        if let Some(gradients) = gradients {
            self.tuned.build(&graph, &gradients, &recorded.share, &collected.holds, &clock, &schedule)?;
            move_statistics(&graph, &collected.statistics, &clock)?;
        }
        graph.tick(&clock)?;
        Ok(graph)
    }

    pub(super) fn plan(&self, session: &Session, feed: &Feed, batch: usize) -> Result<Plan> {
        Plan::new(&self.graph(feed, batch)?, &[], session.device().gpu_traits().as_ref())
    }
}

/// Moves all running statistics on, in one dispatch; those that no layer moves stay as they are. After the watch on loss and
/// gradients, so that a bad step leaves them alone.
fn move_statistics(graph: &Graph, updates: &[StatisticUpdate], clock: &Var) -> Result<()> {
    if updates.is_empty() {
        return Ok(());
    }
    let update = |slot: &SlotSpec| updates.iter().find(|update| update.slot == slot.name);
    let slots = graph.slots(STATISTICS);
    let values: Vec<Option<Var>> = slots.iter().map(|slot| update(slot).map(|u| u.value.clone())).collect();
    let mut keep = Vec::new();
    for slot in &slots {
        keep.resize(slot.offset / SLOT_ALIGN, 1f32.to_bits());
        let blocks = slot.spec.shape.elements().div_ceil(SLOT_ALIGN);
        let share = update(slot).map_or(1.0, |u| u.keep);
        keep.extend(std::iter::repeat_n(share.to_bits(), blocks));
    }
    let averages = graph.whole(STATISTICS)?;
    keep.resize(averages.shape().elements() / SLOT_ALIGN, 1f32.to_bits());
    let spec = TensorSpec::u32([keep.len()]);
    let keep = graph.state("statistics kept", "keep", spec, Init::Words(keep.into()))?;
    let values = graph.pack(STATISTICS, "statistics of the batch", &values)?;
    averages.moving_average(&values, &keep, clock)
}

/// Steps over a feed, ready to run.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) feed: Feed,
    full: Executable,
    last: Option<Executable>,
    /// The dataset whose samples lie on the device.
    loaded: Option<u64>,
    /// Steps that were submitted when the records were last asked for.
    asked: usize,
    /// Steps that the pass's clock has counted.
    pub(super) clock: u32,
    /// The number of the epoch that runs next, counted from 0.
    pub(super) epoch: u32,
    /// What its steps do to a batch first.
    augment: Vec<Arc<dyn Augmentation>>,
}

/// Who watches a pass; by default nobody.
pub(super) trait Watch {
    /// Whether to stop before the next submission.
    fn wants_to_stop(&self) -> bool {
        false
    }

    /// The first step is done.
    fn first_step(&mut self) {}

    /// Whether it is time to show something. Records are asked for only then.
    fn is_due(&self) -> bool {
        false
    }

    /// `done` steps have been submitted; `records` are those of the first so many steps, where they have come.
    fn show(&mut self, _done: usize, _records: Option<(usize, &[u32])>) {}
}

/// Watches nothing.
pub(super) struct Unwatched;

impl Watch for Unwatched {}

/// What a pass over the data gave.
pub(super) struct Outcome {
    /// Steps that ran.
    pub(super) steps: usize,
    /// The records of these steps.
    pub(super) records: Vec<u32>,
    /// The step that went bad, if one did.
    pub(super) fault: Option<usize>,
    /// How long the device waited for samples.
    pub(super) waited: Duration,
}

impl Pass {
    /// Makes the steps ready. Where the data does not fit the budget beside everything else, it will be streamed.
    pub(super) fn new(session: &mut Session, recipe: Recipe<'_>, feed: Feed) -> Result<Pass> {
        let limits = session.device().limits(session.budget());
        let (plan, feed) = budget::fit(&recipe, session, &feed, &limits)?;
        let full = session.prepare(plan)?;
        let last = match feed.last_batch() {
            Some(batch) => Some(session.prepare(recipe.plan(session, &feed, batch)?)?),
            None => None,
        };
        let augment = recipe.augment.to_vec();
        Ok(Pass { feed, full, last, loaded: None, asked: 0, clock: 0, epoch: 0, augment })
    }

    /// The plan of a full batch.
    pub(super) fn plan(&self) -> &Plan {
        self.full.plan()
    }

    /// Whether these steps can run over data like that of `feed`, changed by `augment`.
    pub(super) fn serves(&self, feed: &Feed, augment: &[Arc<dyn Augmentation>]) -> bool {
        self.feed.is_like(feed) && augment::are_same(&self.augment, augment)
    }

    fn executable(&self, step: usize) -> &Executable {
        match &self.last {
            Some(last) if step + 1 == self.feed.steps() => last,
            _ => &self.full,
        }
    }

    /// Sets the clock: steps counted so far, and the seed of everything random.
    pub(super) fn set_clock(&mut self, session: &mut Session, step: u32, seed: u64) -> Result<()> {
        self.clock = step;
        let words = clock::clock(step, seed);
        session.write(&self.feed.clock_arena(), 0, crate::tensor::Elements::U32(&words))
    }

    /// Reads how many steps the clock has counted.
    pub(super) fn read_clock(&mut self, session: &mut Session) -> Result<()> {
        if let Tensor::U32(words) = session.read_state(&self.feed.clock_arena(), 0, TensorSpec::u32([clock::LEN]))? {
            self.clock = words[clock::STEP];
        }
        Ok(())
    }

    /// Runs over `data` once, in the given order. `check` sees samples that were made only now.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        data: &Dataset,
        order: &[u32],
        rates: &[f32],
        check: Check<'_>,
        watch: &mut dyn Watch,
    ) -> Result<Outcome> {
        let mut waited = Duration::ZERO;
        if self.feed.is_resident() && self.loaded != Some(data.id()) {
            // Until all of it is there, what lies on the device is nobody's.
            self.loaded = None;
            match self.feed.load(session, data, check, watch)? {
                Some(made) => waited = made,
                None => return self.finish(session, 0, waited),
            }
            self.loaded = Some(data.id());
        }
        self.feed.begin(session, self.clock, self.epoch, rates, order)?;
        self.asked = 0;
        let steps = self.feed.steps();
        let done = if self.feed.is_resident() {
            self.steps(session, 0, steps, watch)?
        } else {
            thread::scope(|scope| {
                let mut shards = Shards::ahead(scope, &self.feed, data, order);
                let per_shard = self.feed.steps_per_shard();
                let mut done = 0;
                while done < steps {
                    let ids = self.feed.ids(order, done / per_shard);
                    let Some(shard) = shards.next(ids, check, watch)? else { break };
                    self.feed.write_shard(session, order, done / per_shard, &shard)?;
                    let end = (done + per_shard).min(steps);
                    done = self.steps(session, done, end, watch)?;
                    if done < end {
                        break;
                    }
                }
                waited = shards.waited;
                Result::Ok(done)
            })?
        };
        self.finish(session, done, waited)
    }

    /// Runs the steps from `done` to `end`, unless somebody wishes to stop, and tells how many of the pass are done then.
    fn steps(&mut self, session: &mut Session, mut done: usize, end: usize, watch: &mut dyn Watch) -> Result<usize> {
        while done < end && !watch.wants_to_stop() {
            done += self.some_steps(session, done, end, watch)?;
            self.show(session, done, watch);
        }
        Ok(done)
    }

    /// Runs some steps from `done` on, none after `end`.
    fn some_steps(&self, session: &mut Session, done: usize, end: usize, watch: &mut dyn Watch) -> Result<usize> {
        let executable = self.executable(done);
        if done == 0 {
            session.run_steps(executable, 1)?;
            session.wait()?;
            watch.first_step();
            return Ok(1);
        }
        let full_left = if self.last.is_some() { self.feed.steps() - 1 - done } else { usize::MAX };
        session.run_some(executable, if full_left == 0 { 1 } else { full_left.min(end - done) })
    }

    /// Runs the first `runs` steps of a pass over `data`, none of which has a smaller batch, with the time of every op. One step runs
    /// before them: it pays for what a driver does once.
    pub(super) fn profile(
        &mut self,
        session: &mut Session,
        data: &Dataset,
        order: &[u32],
        rates: &[f32],
        runs: usize,
        check: Check<'_>,
    ) -> Result<(Profile, Outcome)> {
        if !self.feed.is_resident() {
            self.feed.load_shard(session, data, order, 0, check)?;
        } else if self.loaded != Some(data.id()) {
            self.loaded = None;
            self.feed.load(session, data, check, &Unwatched)?;
            self.loaded = Some(data.id());
        }
        self.feed.begin(session, self.clock, self.epoch, rates, order)?;
        let full = self.feed.steps() - usize::from(self.last.is_some());
        let runs = runs.min(full.min(self.feed.steps_per_shard()).saturating_sub(1));
        session.run_steps(&self.full, 1)?;
        let profile = session.profile(&self.full, runs)?;
        Ok((profile, self.finish(session, runs + 1, Duration::ZERO)?))
    }

    /// Passes on what is known of the steps so far, without waiting for it.
    fn show(&mut self, session: &mut Session, done: usize, watch: &mut dyn Watch) {
        if !watch.is_due() {
            return;
        }
        let records = session.peeked();
        watch.show(done, records.as_deref().map(|records| (self.asked, records)));
        let (arena, spec) = self.feed.records(self.feed.steps());
        if session.peek(self.executable(0), &arena, 0..spec.shape.elements()) {
            self.asked = done;
        }
    }

    /// The one readback that is waited for: clock and records.
    fn finish(&mut self, session: &mut Session, done: usize, waited: Duration) -> Result<Outcome> {
        let (arena, records) = self.feed.records(done.max(1));
        let clock_words = TensorSpec::u32([clock::LEN]);
        let wanted = [(self.feed.clock_arena(), clock_words), (arena, records)];
        let read = session.read_states(&wanted)?;
        let words = |t: &Tensor| if let Tensor::U32(x) = t { x.iter().copied().collect() } else { Vec::new() };
        let (now, records): (Vec<u32>, Vec<u32>) = (words(&read[0]), words(&read[1]));
        let fault = now[clock::FAULT].checked_sub(1).map(|bad| (bad - self.clock) as usize);
        self.clock = now[clock::STEP];
        Ok(Outcome { steps: done, records, fault, waited })
    }

    /// Runs step `step` of the pass once more, op by op, and names the first op whose result is not finite.
    pub(super) fn find_fault(
        &mut self,
        session: &mut Session,
        data: &Dataset,
        order: &[u32],
        step: usize,
    ) -> Result<String> {
        if !self.feed.is_resident() {
            // These samples were looked at when the step ran.
            self.feed.load_shard(session, data, order, step / self.feed.steps_per_shard(), &|_, _| Ok(()))?;
        }
        let found = session.first_not_finite(self.executable(step))?;
        Ok(found.unwrap_or_else(|| "an unknown node (the step was finite when it was repeated)".into()))
    }

    /// Bytes of the state that is the pass's own, by name; for the plan's description.
    pub(super) fn describe_memory(&self) -> String {
        let plan = self.plan();
        let placed = if self.feed.is_resident() { "resident" } else { "streamed" };
        let dispatches = match plan.dispatches() {
            0 => format!("{} ops per step", plan.steps.len()),
            n => format!("{n} dispatches per step"),
        };
        let outputs = plan.steps.iter().flat_map(|s| &s.outputs);
        let tensors = outputs.filter(|r| matches!(r.place, Place::Buffer(_))).count();
        format!("{dispatches}, {tensors} activations, data {placed}; {}", plan.describe_memory())
    }
}

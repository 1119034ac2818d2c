use std::collections::HashMap;

use super::holds::{by_slot, check, units_of};
use super::{ACCUMULATED, EMA, GRADIENTS, Hold, Optimizer, SHARES, TABLES, UpdateCtx, words};
use crate::contract::blocks::{self, BLOCK};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, PARAMETERS, SlotSpec, Var};
use crate::ops::{ema::Ema, max_norm};
use crate::shape::TensorSpec;

/// An optimizer with what all optimizers have in common. Wherever one is wanted a bare [`Optimizer`] will do.
///
/// ```
/// use galen::optim::{Adam, GroupOptions, Tuned};
///
/// let tuned = Tuned::new(Adam::new(1e-3))
///     .clip_norm(1.0)
///     .accumulate(4)
///     .weight_decay(0.01)
///     .exclude_from_weight_decay("bias")
///     .freeze("encoder")
///     .unfreeze("encoder/top")
///     .group("head", GroupOptions::new().rate(10.0).weight_decay(0.0))
///     .ema(0.999);
/// assert!(tuned.is_frozen("encoder/dense/kernel") && !tuned.is_frozen("encoder/top/kernel"));
/// let plain: Tuned = Adam::new(1e-3).into();
/// # assert!(plain.check().is_ok() && tuned.check().is_ok());
/// ```
///
/// A step does, in this order: penalties on parameters join the gradients; gradients are accumulated; they are clipped by value, then by
/// their norm; parameters decay; the optimizer's rule; norms of units are limited; the moving average follows. Names are those of
/// parameters (`encoder/dense/kernel`) or of layers and blocks around them (`encoder/dense`, `encoder`); of several that fit, the
/// setting that was made last holds. Sources: Keras 3, the arguments that its optimizers share.
#[derive(Debug)]
pub struct Tuned {
    optimizer: Box<dyn Optimizer>,
    clip_norm: Option<f32>,
    clip_value: Option<f32>,
    every: usize,
    decay: Option<f32>,
    undecayed: Vec<String>,
    wishes: Vec<(String, Wish)>,
    ema: Option<f64>,
}

/// What is wished for the parameters below a name.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Freeze(bool),
    Group(GroupOptions),
}

/// Settings of a group of parameters. What is not said stays as it is for all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupOptions {
    rate: Option<f32>,
    decay: Option<f32>,
}

impl GroupOptions {
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }

    /// The learning rate is this many times that of the others.
    #[must_use]
    pub fn rate(self, factor: f32) -> Self {
        GroupOptions { rate: Some(factor), ..self }
    }

    /// The weight decay, in place of that of the others.
    #[must_use]
    pub fn weight_decay(self, decay: f32) -> Self {
        GroupOptions { decay: Some(decay), ..self }
    }
}

/// What holds for one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Setting {
    frozen: bool,
    rate: f32,
    decay: f32,
}

/// Whether `path` is `name` or something inside it: `encoder/dense` is in `encoder`, `encoder_1` is not.
pub(crate) fn is_within(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `part` stands in `path` from one `/` to another: `bias` in `encoder/dense/bias`.
fn has_part(path: &str, part: &str) -> bool {
    !part.is_empty() && format!("/{path}/").contains(&format!("/{part}/"))
}

impl<O: Optimizer + 'static> From<O> for Tuned {
    fn from(optimizer: O) -> Tuned {
        Tuned::new(optimizer)
    }
}

impl Tuned {
    /// The optimizer as it is.
    pub fn new(optimizer: impl Optimizer + 'static) -> Tuned {
        Tuned {
            optimizer: Box::new(optimizer),
            clip_norm: None,
            clip_value: None,
            every: 1,
            decay: None,
            undecayed: Vec::new(),
            wishes: Vec::new(),
            ema: None,
        }
    }

    /// Scales all gradients together so that their norm is at most this. Source: Keras's `global_clipnorm`.
    #[must_use]
    pub fn clip_norm(self, norm: f32) -> Self {
        Tuned { clip_norm: Some(norm), ..self }
    }

    /// Brings every gradient between minus this and this; before [`Tuned::clip_norm`], where both are asked for.
    #[must_use]
    pub fn clip_value(self, value: f32) -> Self {
        Tuned { clip_value: Some(value), ..self }
    }

    /// Makes one update of the mean gradient of this many steps, which is that of a batch as many times larger: each step counts as much
    /// as there are labels in its loss, so that neither a short last batch nor labels that are left out change the weight of the others.
    /// With several outputs a step counts by its samples; with a loss that is a sum, all steps count the same. Schedules count updates.
    #[must_use]
    pub fn accumulate(self, steps: usize) -> Self {
        Tuned { every: steps, ..self }
    }

    /// Parameters shrink by this share of themselves, times the learning rate, before every update (decoupled weight decay).
    #[must_use]
    pub fn weight_decay(self, decay: f32) -> Self {
        Tuned { decay: Some(decay), ..self }
    }

    /// Parameters with this in their name, between slashes, do not decay: `bias`, `layer_norm`, `head/dense/kernel`.
    #[must_use]
    pub fn exclude_from_weight_decay(mut self, part: impl Into<String>) -> Self {
        self.undecayed.push(part.into());
        self
    }

    /// The parameters below this name are not trained.
    #[must_use]
    pub fn freeze(self, name: impl Into<String>) -> Self {
        self.wish(name, Wish::Freeze(true))
    }

    /// The parameters below this name are trained, although they are in something that was frozen before.
    #[must_use]
    pub fn unfreeze(self, name: impl Into<String>) -> Self {
        self.wish(name, Wish::Freeze(false))
    }

    /// Settings for the parameters below this name. A group's weight decay is not touched by exclusions.
    #[must_use]
    pub fn group(self, name: impl Into<String>, options: GroupOptions) -> Self {
        self.wish(name, Wish::Group(options))
    }

    /// Keeps an exponential moving average of the parameters beside them, of which every update keeps this share (Keras's
    /// `ema_momentum`). It begins as a copy of the parameters after the first update, in the arena [`EMA`].
    #[must_use]
    pub fn ema(self, momentum: f64) -> Self {
        Tuned { ema: Some(momentum), ..self }
    }

    fn wish(mut self, name: impl Into<String>, wish: Wish) -> Self {
        self.wishes.push((name.into(), wish));
        self
    }

    /// The optimizer's name.
    pub fn name(&self) -> &'static str {
        self.optimizer.name()
    }

    /// The learning rate of step `step`, counted from 0 over the whole training.
    pub fn learning_rate(&self, step: usize) -> f32 {
        self.optimizer.learning_rate(step / self.every.max(1))
    }

    /// The learning rates of `steps` steps from step `first` on.
    ///
    /// # Errors
    /// Where one is negative or not finite.
    pub fn rates(&self, first: usize, steps: usize) -> Result<Vec<f32>> {
        let rates: Vec<f32> = (first..first.saturating_add(steps)).map(|step| self.learning_rate(step)).collect();
        match rates.iter().position(|rate| !rate.is_finite() || *rate < 0.0) {
            Some(at) => {
                let what = format!("learning rate of step {}", first + at);
                Err(Error::parameter(self.name(), what, "a number not below 0", rates[at]))
            }
            None => Ok(rates),
        }
    }

    /// How many steps make an update.
    pub fn steps_per_update(&self) -> usize {
        self.every
    }

    /// Whether there is a moving average of the parameters.
    pub fn has_ema(&self) -> bool {
        self.ema.is_some()
    }

    /// Whether what has this name, a layer or a parameter, is not trained.
    pub fn is_frozen(&self, path: &str) -> bool {
        let frozen = |(name, wish): &(String, Wish)| match wish {
            Wish::Freeze(frozen) if is_within(path, name) => Some(*frozen),
            _ => None,
        };
        self.wishes.iter().rev().find_map(frozen).unwrap_or(false)
    }

    /// The names that were frozen or unfrozen, in the order of the wishes; of several that fit the last holds.
    pub fn freezes(&self) -> Vec<(String, bool)> {
        let freeze = |(name, wish): &(String, Wish)| match wish {
            Wish::Freeze(frozen) => Some((name.clone(), *frozen)),
            Wish::Group(_) => None,
        };
        self.wishes.iter().filter_map(freeze).collect()
    }

    /// Refuses settings that make no sense for these parameters: names of layers that are not there, or nothing left to train.
    ///
    /// # Errors
    /// With the name of the optimizer and of the setting.
    pub fn check_for(&self, slots: &[SlotSpec]) -> Result<()> {
        self.check()?;
        self.rates(0, 1)?;
        if self.settings(slots)?.iter().all(|setting| setting.frozen) {
            return Err(Error::usage(self.name(), "all parameters are frozen: there is nothing to train"));
        }
        Ok(())
    }

    /// Refuses settings that make no sense, whatever the parameters are called.
    ///
    /// # Errors
    /// With the name of the optimizer and of the setting.
    pub fn check(&self) -> Result<()> {
        self.optimizer.check()?;
        let refuse = |what: &str, expected: &str, actual: &dyn std::fmt::Display| {
            Err(Error::parameter(self.name(), what, expected, actual))
        };
        for (what, limit) in [("clip norm", self.clip_norm), ("clip value", self.clip_value)] {
            if let Some(limit) = limit.filter(|limit| !limit.is_normal() || *limit < 0.0) {
                return refuse(what, "a positive number", &limit);
            }
        }
        if self.every == 0 || u32::try_from(self.every).is_err() {
            return refuse("steps to accumulate", "at least 1 and below 2³²", &self.every);
        }
        if let Some(momentum) = self.ema.filter(|momentum| !(0.0..1.0).contains(momentum)) {
            return refuse("momentum of the moving average", "in [0, 1)", &momentum);
        }
        let groups = self.wishes.iter().filter_map(|(_, wish)| match wish {
            Wish::Group(options) => Some(options),
            Wish::Freeze(_) => None,
        });
        for options in groups.clone() {
            if let Some(rate) = options.rate.filter(|rate| !rate.is_normal() || *rate < 0.0) {
                return refuse("factor of a group's learning rate", "a positive number (frozen is 'freeze')", &rate);
            }
        }
        let decays =
            groups.filter_map(|options| options.decay).chain(self.decay).chain([self.optimizer.weight_decay()]);
        for decay in decays {
            if !decay.is_finite() || decay < 0.0 {
                return refuse("weight decay", "a number not below 0", &decay);
            }
        }
        Ok(())
    }

    /// What holds for every slot.
    fn settings(&self, slots: &[SlotSpec]) -> Result<Vec<Setting>> {
        for (name, wish) in &self.wishes {
            let what = match wish {
                Wish::Freeze(true) => "freeze",
                Wish::Freeze(false) => "unfreeze",
                Wish::Group(_) => "group",
            };
            self.expect_some(what, name, slots, is_within)?;
        }
        for part in &self.undecayed {
            self.expect_some("exclude_from_weight_decay", part, slots, has_part)?;
        }
        let decay = self.decay.unwrap_or_else(|| self.optimizer.weight_decay());
        let setting = |slot: &SlotSpec| {
            let excluded = self.undecayed.iter().any(|part| has_part(&slot.name, part));
            let decay = if excluded { 0.0 } else { decay };
            let mut setting = Setting { frozen: self.is_frozen(&slot.name), rate: 1.0, decay };
            for (_, wish) in self.wishes.iter().filter(|(name, _)| is_within(&slot.name, name)) {
                if let Wish::Group(options) = wish {
                    setting.rate = options.rate.unwrap_or(setting.rate);
                    setting.decay = options.decay.unwrap_or(setting.decay);
                }
            }
            setting
        };
        Ok(slots.iter().map(setting).collect())
    }

    /// Refuses a name that fits no slot.
    fn expect_some(&self, what: &str, name: &str, slots: &[SlotSpec], fits: impl Fn(&str, &str) -> bool) -> Result<()> {
        const SHOWN: usize = 40;
        if slots.iter().any(|slot| fits(&slot.name, name)) {
            return Ok(());
        }
        let names: Vec<&str> = slots.iter().take(SHOWN).map(|slot| slot.name.as_str()).collect();
        let more = if slots.len() > SHOWN { format!(" and {} more", slots.len() - SHOWN) } else { String::new() };
        let expected = format!("a name of some of {}{more}", names.join(", "));
        Err(Error::parameter(self.name(), what, expected, format!("\"{name}\"")))
    }

    /// The gradients of `loss` with respect to all parameters that are trained, side by side in the arena [`GRADIENTS`], with a watch on
    /// them and on the loss. Those of frozen parameters are not computed; they are 0.
    ///
    /// # Errors
    /// Where a setting makes no sense or fits no parameter, everything is frozen, or there is no gradient.
    pub fn gradients(&self, graph: &Graph, loss: &Var, clock: &Var) -> Result<Var> {
        self.check()?;
        let slots = graph.slots(PARAMETERS);
        let settings = self.settings(&slots)?;
        let slot = |(slot, setting): (&SlotSpec, &Setting)| {
            if setting.frozen { None } else { graph.slot(PARAMETERS, &slot.name) }
        };
        let trained: Vec<Option<Var>> = slots.iter().zip(&settings).map(slot).collect();
        let parameters: Vec<Var> = trained.iter().flatten().cloned().collect();
        if parameters.is_empty() {
            return Err(Error::usage(self.name(), "all parameters are frozen: there is nothing to train"));
        }
        let mut gradients = graph.gradients(loss, &parameters)?.into_iter();
        let parts: Vec<Option<Var>> = trained.iter().map(|t| t.as_ref().and_then(|_| gradients.next())).collect();
        let packed = graph.pack(PARAMETERS, GRADIENTS, &parts)?;
        loss.check_finite(clock)?;
        packed.check_finite(clock)?;
        Ok(packed)
    }

    /// What is added to the loss because of the parameters' penalties, a scalar; those of frozen parameters do not count. None where
    /// there are none. Its gradient is a part of what [`Tuned::build`] does: add it to what is shown, not to what is differentiated.
    ///
    /// # Errors
    /// Where a setting fits no parameter, or a parameter that is held back is not there.
    pub fn penalty(&self, graph: &Graph, holds: &[Hold]) -> Result<Option<Var>> {
        let Some(table) = self.penalties(graph, holds)? else { return Ok(None) };
        graph.whole(PARAMETERS)?.penalty(&table)?.sum_all().map(Some)
    }

    /// Pushes the update: see the order above. `gradients` are those of [`Tuned::gradients`], `share` (one number) what they count
    /// beside the gradients of other steps where gradients are accumulated, `holds` what holds parameters back.
    ///
    /// # Errors
    /// Where a setting makes no sense or fits no parameter, or a parameter that is held back is not there.
    pub fn build(
        &self,
        graph: &Graph,
        gradients: &Var,
        share: &Var,
        holds: &[Hold],
        clock: &Var,
        schedule: &Var,
    ) -> Result<()> {
        self.check()?;
        let (every, parameters) = (self.every as u32, graph.whole(PARAMETERS)?);
        let mut gradients = gradients.clone();
        if let Some(table) = self.penalties(graph, holds)? {
            gradients = gradients.add_penalty_gradient(&parameters, &table)?;
        }
        if every > 1 {
            let mean = graph.mirror(PARAMETERS, ACCUMULATED, 0.0)?;
            let shares = graph.state(SHARES, "shares", TensorSpec::f32([2]), Init::Constant(0.0))?;
            mean.accumulate(&shares, &gradients, share, clock, every)?;
            gradients = mean;
        }
        if self.clip_norm.is_some() || self.clip_value.is_some() {
            gradients = gradients.clip_gradients(self.clip_value, self.clip_norm)?;
        }
        let settings = self.settings(&graph.slots(PARAMETERS))?;
        let numbers = settings.iter().map(|s| if s.frozen { [0.0, 0.0] } else { [s.rate, s.decay] });
        let groups = words(graph, TABLES[0], table(graph, numbers))?;
        let (clock, schedule) = (clock.clone(), schedule.clone());
        let ctx = UpdateCtx { parameters, gradients, clock, schedule, groups, every };
        self.optimizer.build(graph, &ctx)?;
        if let Some((table, longest)) = self.norms(graph, holds)? {
            ctx.parameters.max_norm(&table, longest, &ctx.clock, every)?;
        }
        if let Some(keep) = self.ema {
            let average = graph.mirror(PARAMETERS, EMA, f32::NAN)?;
            average.ema(Ema { keep, every }, &ctx.parameters, &ctx.clock)?;
        }
        Ok(())
    }

    /// The table of penalties, where there are some.
    fn penalties(&self, graph: &Graph, holds: &[Hold]) -> Result<Option<Var>> {
        let slots = graph.slots(PARAMETERS);
        check(holds, &slots)?;
        let (settings, holds) = (self.settings(&slots)?, by_slot(holds));
        let penalty = |(slot, setting): (&SlotSpec, &Setting)| match holds.get(slot.name.as_str()) {
            Some(hold) if !setting.frozen => [hold.penalty.l1, hold.penalty.l2],
            _ => [0.0, 0.0],
        };
        let numbers: Vec<[f32; 2]> = slots.iter().zip(&settings).map(penalty).collect();
        if numbers.iter().all(|n| *n == [0.0, 0.0]) {
            return Ok(None);
        }
        words(graph, TABLES[1], table(graph, numbers.into_iter())).map(Some)
    }

    /// The table of largest norms, where there are some, and the elements of its longest unit.
    fn norms(&self, graph: &Graph, holds: &[Hold]) -> Result<Option<(Var, usize)>> {
        let slots = graph.slots(PARAMETERS);
        let holds = by_slot(holds);
        let trained = slots.iter().filter(|slot| !self.is_frozen(&slot.name));
        let units: Vec<max_norm::Units> =
            trained.filter_map(|slot| Some(units_of(slot, holds.get(slot.name.as_str())?.max_norm?))).collect();
        if units.is_empty() {
            return Ok(None);
        }
        let len = graph.whole(PARAMETERS)?.shape().elements();
        let table = max_norm::table(len, &units)?;
        let longest = max_norm::longest(&table);
        Ok(Some((words(graph, TABLES[2], table)?, longest)))
    }
}

/// The table that gives every parameter its two numbers; equal ones are one group.
fn table(graph: &Graph, numbers: impl Iterator<Item = [f32; 2]>) -> Vec<u32> {
    let (mut groups, mut blocks): (Vec<[f32; 2]>, Vec<u32>) = (Vec::new(), Vec::new());
    // Where each group stands, by the bits of its numbers.
    let mut places: HashMap<[u32; 2], usize> = HashMap::new();
    for (slot, numbers) in graph.slots(PARAMETERS).iter().zip(numbers) {
        // 0 and -0 are one group.
        let group = *places.entry(numbers.map(|n| (n + 0.0).to_bits())).or_insert(groups.len());
        if group == groups.len() {
            groups.push(numbers);
        }
        blocks.resize(slot.offset / BLOCK + slot.spec.shape.elements().div_ceil(BLOCK), group as u32);
    }
    blocks::table(&groups, &blocks)
}

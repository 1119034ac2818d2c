//! An architecture's build: the same calls again. All that the graph checks, it checks again, so that a damaged description is an error.

use serde_json::Value as Json;

use super::{Architecture, Does, Item, Node, Program, Ref, VERSION, unify};
use crate::error::{Error, Result};
use crate::graph::{Graph, Var};
use crate::nn::{BuildCtx, Mode, StatisticUpdate};
use crate::ops::Op;

/// Pushes what the architecture says for inputs with the batch first.
pub(super) fn replay(architecture: &Architecture, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
    if architecture.version != VERSION {
        let reason = format!("it has version {}, and this Galen reads {VERSION}", architecture.version);
        return Err(Error::usage("an architecture", reason));
    }
    let first = inputs.first().filter(|_| inputs.len() == architecture.inputs.len());
    let batch = first.and_then(|x| x.shape().first().copied());
    let (Some(first), Some(batch)) = (first, batch) else {
        return Err(damaged(format!("it has {} inputs, given are {}", architecture.inputs.len(), inputs.len())));
    };
    let graph = first.graph().clone();
    let mut values = inputs.to_vec();
    let program: &Program = match ctx.mode {
        Mode::Infer => &architecture.infer,
        Mode::Train => {
            values.push(ctx.clock()?.clone());
            &architecture.train
        }
    };
    let mut replay = Replay { architecture, graph, batch, values };
    replay.items(ctx, &program.items)?;
    program.outputs.iter().map(|y| replay.of(*y)).collect()
}

fn damaged(reason: impl Into<String>) -> Error {
    Error::usage("an architecture", reason)
}

struct Replay<'a> {
    architecture: &'a Architecture,
    graph: Graph,
    batch: usize,
    values: Vec<Var>,
}

impl Replay<'_> {
    fn items(&mut self, ctx: &BuildCtx, items: &[Item]) -> Result<()> {
        items.iter().try_for_each(|item| self.item(ctx, item))
    }

    fn item(&mut self, ctx: &BuildCtx, item: &Item) -> Result<()> {
        match item {
            Item::State(state) => self.state(*state).map(|_| ()),
            Item::Node(node) => self.node(node),
            Item::Layer { name, kind, items, output } => {
                let graph = self.graph.clone();
                ctx.replayed((name, kind), &graph, |ctx| {
                    self.items(ctx, items)?;
                    output.map(|y| self.of(y)).transpose()
                })?;
                Ok(())
            }
            Item::Hold(hold) => {
                ctx.leave_hold(hold.clone());
                Ok(())
            }
            Item::Activity(value) => {
                ctx.leave_activity(self.of(*value)?);
                Ok(())
            }
            Item::Statistic { slot, value, keep } => {
                if !(0.0..=1.0).contains(keep) {
                    return Err(Error::parameter(format!("statistic \"{slot}\""), "momentum", "in [0, 1]", keep));
                }
                ctx.leave_statistic(StatisticUpdate { slot: slot.clone(), value: self.of(*value)?, keep: *keep });
                Ok(())
            }
            Item::Choice { trained, frozen, results } => {
                let (before, side) = (self.values.len(), usize::from(ctx.is_frozen()));
                self.items(ctx, [trained, frozen][side])?;
                let kept = results.iter().map(|pair| self.of(pair[side])).collect::<Result<Vec<_>>>()?;
                self.values.truncate(before);
                self.values.extend(kept);
                Ok(())
            }
        }
    }

    fn of(&self, of: Ref) -> Result<Var> {
        match of {
            Ref::Value(value) => {
                let found = self.values.get(value).cloned();
                found.ok_or_else(|| damaged(format!("it names value {value} where there are {}", self.values.len())))
            }
            Ref::State { state } => self.state(state),
        }
    }

    /// The slot, declared now if it was not before.
    fn state(&self, index: usize) -> Result<Var> {
        let states = &self.architecture.states;
        let found = states.get(index).ok_or_else(|| damaged(format!("it names state {index} of {}", states.len())))?;
        self.graph.state(&found.arena, &found.name, found.spec.clone(), found.init.clone())
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        let graph = self.graph.clone();
        let outputs = match &node.layer {
            Some(path) => graph.in_path(path, || self.outputs(node)),
            None => self.outputs(node),
        }?;
        if outputs.len() != node.outputs {
            return Err(damaged(format!("a node has {} outputs, not {}", outputs.len(), node.outputs)));
        }
        self.values.extend(outputs);
        Ok(())
    }

    fn outputs(&self, node: &Node) -> Result<Vec<Var>> {
        let inputs = node.inputs.iter().map(|v| self.of(*v)).collect::<Result<Vec<_>>>()?;
        match &node.does {
            Does::Op(op) => {
                let op: Op = self.read(op)?;
                if !op.writes().is_empty() {
                    return Err(damaged(format!("{} changes state, which a network may not", op.name())));
                }
                self.graph.push_op(op, &inputs.iter().collect::<Vec<_>>())
            }
            Does::Reshape(shape) => match &inputs[..] {
                [x] => Ok(vec![x.reshape(self.read::<Vec<usize>>(shape)?)?]),
                _ => Err(damaged(format!("a reshape has {} inputs, not one", inputs.len()))),
            },
            Does::Whole(arena) => Ok(vec![self.graph.whole(arena)?]),
        }
    }

    /// What was written, for this number of samples.
    fn read<T: serde::de::DeserializeOwned>(&self, written: &Json) -> Result<T> {
        let resolved = unify::resolve(written, self.batch)
            .ok_or_else(|| damaged(format!("a number that depends on the batch makes no sense in {written}")))?;
        T::deserialize(&resolved).map_err(|e| damaged(format!("{e}, in {resolved}")))
    }
}

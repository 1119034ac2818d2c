use std::collections::BTreeSet;

use crate::graph::{Graph, Value};
use crate::optim::Hold;

/// Something that a layer did which is no node.
#[derive(Clone, Debug)]
pub(in crate::nn) enum Event {
    /// A layer or block of this kind begins.
    Enter { name: String, kind: String },
    /// It ends; a layer of one tensor gives that.
    Leave { output: Option<Value> },
    /// A parameter is held back.
    Hold(Hold),
    /// A scalar joins the loss.
    Activity(Value),
    /// A running statistic moves.
    Statistic { slot: String, value: Value, keep: f32 },
}

/// What layers did while a network was built.
#[derive(Debug, Default)]
pub(in crate::nn) struct Journal {
    /// What layers that ask are told.
    frozen: bool,
    /// Who asked.
    pub(super) asked: BTreeSet<String>,
    /// What was done, and how many nodes there were.
    pub(super) events: Vec<(usize, Event)>,
}

impl Journal {
    pub(super) fn new(frozen: bool) -> Journal {
        Journal { frozen, ..Journal::default() }
    }

    pub(in crate::nn) fn is_frozen(&mut self, path: &str) -> bool {
        // What is outside of all layers has no name that could be frozen.
        if path.is_empty() {
            return false;
        }
        self.asked.insert(path.to_owned());
        self.frozen
    }

    /// Without a graph the event stands where the last one does: in the same layer.
    pub(in crate::nn) fn note(&mut self, graph: Option<&Graph>, event: Event) {
        let last = self.events.last().map_or(0, |(at, _)| *at);
        let at = graph.map_or(last, |graph| graph.data().nodes.len());
        self.events.push((at, event));
    }
}

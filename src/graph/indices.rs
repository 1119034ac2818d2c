//! Indices that the host gives: which inputs of a plan choose rows, and of how many. They are looked at before a run. Indices that the
//! device computes are not seen here: one that is out of range gives a row of NaN, which a step's watch on its loss latches as a
//! fault ([`crate::contract::clock`]), and a run op by op names the node.

use super::plan::{Plan, Region};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::DType;
use crate::tensor::Tensor;

/// An input whose elements are indices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Indices {
    input: String,
    /// The node that takes them.
    node: String,
    /// What they must be below.
    below: usize,
    /// An index that is right all the same: that of padding.
    padding: Option<u32>,
}

impl Plan {
    /// The inputs that a node takes as indices, as the host wrote them.
    pub(crate) fn indices(&self) -> Vec<Indices> {
        // An input stays where it is until the end of a run.
        let input = |region: &Region| {
            let same = |have: &Region| (have.place, have.offset) == (region.place, region.offset);
            self.inputs
                .iter()
                .find(|(_, have)| have.spec.dtype == DType::U32 && same(have))
                .map(|(name, _)| name.clone())
        };
        let of_step = |step: &super::Step| {
            let (at, below, padding) = match &step.op {
                Op::Gather(op) => (1, *step.io.inputs[0].shape.first()?, op.padding),
                Op::OneHot(op) if op.strict => (0, op.depth, None),
                _ => return None,
            };
            Some(Indices { input: input(&step.inputs[at])?, node: step.name(), below, padding })
        };
        self.steps.iter().filter_map(of_step).collect()
    }
}

impl Indices {
    /// Refuses indices out of range, where they are given as this input.
    pub(crate) fn check(&self, input: &str, given: &Tensor) -> Result<()> {
        let Tensor::U32(ids) = given else { return Ok(()) };
        if input != self.input {
            return Ok(());
        }
        let wrong = |id: &u32| *id as usize >= self.below && self.padding != Some(*id);
        match ids.iter().enumerate().find(|(_, id)| wrong(id)) {
            None => Ok(()),
            Some((at, id)) => {
                let expected = format!("indices below {} ({})", self.below, self.node);
                Err(Error::data(format!("input \"{input}\""), expected, format!("{id} at element {at}")))
            }
        }
    }
}

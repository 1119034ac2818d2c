//! A network as data: the nodes that it pushes, for any number of samples, found by building it and looking.
//!
//! A network may be any Rust code, and a description of its layers would cover only ours. So the network is built for several batch
//! sizes, and what it pushed is compared: numbers that differ are written as functions of the batch. What cannot be written so is an
//! error that names the layer, and before a description is given away it is built itself and compared, node by node, with what the
//! network builds.

mod check;
mod journal;
mod limits;
mod merge;
mod replay;
mod trace;
mod unify;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{BuildCtx, Hold, Input, Mode, Network};
use crate::contract::exact;
use crate::error::{Error, Result};
use crate::graph::{Init, SlotSpec, Var};
use crate::shape::TensorSpec;

pub(super) use journal::{Event, Journal};

/// Which form of the description this is. A reader refuses others.
const VERSION: u32 = 1;

/// A network as data: it can be written to a file, and built again where the code that made it is not there.
///
/// It is a [`Network`] like the one that it describes: the same layers under the same names, the same parameters, the same nodes in the same
/// order, in training as in inference. Trained from the same seed, both have the same parameters to the bit.
///
/// ```
/// use galen::nn::{Activation::Relu, Architecture, Dense, Network, Sequential};
///
/// let network = Sequential::new([8]).with(Dense::new(16).activation(Relu)).with(Dense::new(2));
/// let text = serde_json::to_string(&Architecture::of(&network)?).expect("plain data");
/// let again: Architecture = serde_json::from_str(&text).expect("what was written");
/// assert_eq!(again.summary()?, network.summary()?);
/// # Ok::<(), galen::Error>(())
/// ```
///
/// What is described is what the network does with samples of its input's shape, for any number of them. Where a layer asks whether it is
/// frozen ([`BuildCtx::is_frozen`]), both answers are described.
///
/// A description that is read is checked before anything is built: the numbers of layers, parameters and elements, the lengths of names
/// and the work of initial values have limits far above any network in use. What a network may declare is a closed list: parameters,
/// running statistics ([`STATISTICS`](crate::nn::STATISTICS)) and constants; an op that changes state is refused.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "limits::Unchecked")]
pub struct Architecture {
    version: u32,
    inputs: Vec<Input>,
    states: Vec<State>,
    infer: Program,
    train: Program,
}

/// A slot of state that the network declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    arena: String,
    name: String,
    spec: TensorSpec,
    init: Init,
}

/// What the network pushes in one mode.
///
/// Values are counted from 0 in the order in which they come to be: the inputs, in training the clock, the outputs of the nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    items: Vec<Item>,
    outputs: Vec<Ref>,
}

/// A tensor that a node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Ref {
    /// A value.
    Value(usize),
    /// A slot, as one of the architecture's states.
    State { state: usize },
}

/// One thing that a network does while it is built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Item {
    /// Declares a slot, one of the architecture's states.
    State(usize),
    /// Pushes a node.
    Node(Node),
    /// Builds a layer or a block.
    Layer { name: String, kind: String, items: Vec<Item>, output: Option<Ref> },
    /// Holds a parameter back.
    Hold(Hold),
    /// Adds a scalar to the loss.
    Activity(Ref),
    /// Moves a running statistic.
    Statistic {
        slot: String,
        value: Ref,
        #[serde(with = "exact")]
        keep: f32,
    },
    /// One of two, as the layer around it is frozen or not. The values that come to be in them are gone afterwards; of each pair of
    /// `results` the one that was built stays as one value.
    Choice { trained: Vec<Item>, frozen: Vec<Item>, results: Vec<[Ref; 2]> },
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    does: Does,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<Ref>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    outputs: usize,
    /// Where it is another: the layer that the node belongs to, with those around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
}

/// What a node does. Numbers that depend on the batch are written as `unify` does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Does {
    /// A computation: one of Galen's ops.
    Op(Json),
    /// The same elements under this shape.
    Reshape(Json),
    /// The arena of this name, as it is by now, as one flat tensor.
    Whole(String),
}

fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

impl Architecture {
    /// The network as data.
    ///
    /// # Errors
    /// Where a layer cannot take its input; where the network cannot be described, with the layer and the reason: it has an op of
    /// your own, which is code ([`Graph::custom`](crate::Graph::custom)), changes state or declares some that is neither parameter,
    /// running statistic nor constant, or depends on the number of samples in another way than by numbers
    /// `a · batch + b` and factors `c / batch` or `c · batch`.
    pub fn of(network: &dyn Network) -> Result<Architecture> {
        let mut tracer = trace::Tracer::new(network);
        let infer = tracer.program(Mode::Infer, false)?;
        let trained = tracer.program(Mode::Train, false)?;
        let train = if trained.asked.is_empty() {
            trained.program
        } else {
            let frozen = tracer.program(Mode::Train, true)?;
            merge::merge(&trained, &frozen.program, network.inputs().len() + 1)?
        };
        let inputs = network.inputs();
        let found = Architecture { version: VERSION, inputs, states: tracer.states, infer: infer.program, train };
        // What is checked is what a reader will have.
        let written = serde_json::to_string(&found).map_err(|e| Error::usage("an architecture", e.to_string()))?;
        let read: Architecture = serde_json::from_str(&written)
            .map_err(|e| Error::usage("an architecture", format!("it cannot be read again: {e}")))?;
        check::builds_the_same(network, &read)?;
        Ok(read)
    }

    /// The slots of `arena` that the network declares; where they lie is not known yet.
    pub(crate) fn slots(&self, arena: &str) -> Vec<SlotSpec> {
        let slot = |state: &State| {
            let (name, spec, init) = (state.name.clone(), state.spec.clone(), state.init.clone());
            SlotSpec { name, spec, offset: 0, init }
        };
        self.states.iter().filter(|state| state.arena == arena).map(slot).collect()
    }
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Architecture").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Network for Architecture {
    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn build(&self, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
        replay::replay(self, ctx, inputs)
    }
}

/// This network cannot be described: because of this op or thing in this layer, for this reason.
fn undescribed(layer: &str, what: &str, reason: &str) -> Error {
    let place = if layer.is_empty() { String::new() } else { format!("layer \"{layer}\", ") };
    Error::usage(format!("{place}{what}"), format!("the network cannot be written as an architecture: {reason}"))
}

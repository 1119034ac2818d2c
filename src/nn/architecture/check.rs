//! Whether an architecture builds what the network builds.

use super::trace::{Built, built, same_init};
use super::{Architecture, undescribed};
use crate::error::{Error, Result};
use crate::graph::NodeKind;
use crate::nn::{Mode, Network};
use crate::shape::Shape;

/// The numbers of samples for which both are built: none of those from which the architecture was found.
const BATCHES: [usize; 2] = [5, 33];

/// Refuses an architecture that does not build what `network` builds, node by node.
pub(super) fn builds_the_same(network: &dyn Network, architecture: &Architecture) -> Result<()> {
    for (mode, frozen) in [(Mode::Infer, false), (Mode::Train, false), (Mode::Train, true)] {
        for batch in BATCHES {
            let [wanted, found] = both(network, architecture, mode, frozen, batch)?;
            same_nodes(&wanted, &found)?;
            same_rest(&wanted, &found)?;
        }
    }
    // For one sample a broadcast may be no node; what comes out is alike.
    let [wanted, found] = both(network, architecture, Mode::Infer, false, 1)?;
    let shapes = |built: &Built| built.outputs.iter().map(|y| y.shape()).collect::<Vec<Shape>>();
    if shapes(&wanted) != shapes(&found) {
        return Err(differs("", "its outputs"));
    }
    Ok(())
}

fn differs(layer: &str, what: &str) -> Error {
    undescribed(layer, what, "built again, it comes out in another way")
}

fn both(
    network: &dyn Network,
    architecture: &Architecture,
    mode: Mode,
    frozen: bool,
    batch: usize,
) -> Result<[Built; 2]> {
    let again = built(architecture, mode, frozen, batch);
    let again = again.map_err(|e| undescribed("", "a network", &format!("built again, it is refused: {e}")))?;
    Ok([built(network, mode, frozen, batch)?, again])
}

fn same_nodes(wanted: &Built, found: &Built) -> Result<()> {
    let (a, b) = (wanted.graph.data(), found.graph.data());
    for (a, b) in a.nodes.iter().zip(&b.nodes) {
        let same = match (&a.kind, &b.kind) {
            (NodeKind::Op(a), NodeKind::Op(b)) => match (serde_json::to_value(a), serde_json::to_value(b)) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            },
            (NodeKind::Input(a), NodeKind::Input(b)) => a == b,
            (NodeKind::State { arena: a, offset: i }, NodeKind::State { arena: b, offset: j }) => (a, i) == (b, j),
            (NodeKind::Reshape, NodeKind::Reshape) => true,
            _ => false,
        };
        if !same || a.inputs != b.inputs || a.outputs != b.outputs || a.layer != b.layer {
            return Err(differs(&a.layer, a.name()));
        }
    }
    let slots = |arena: &crate::graph::ArenaSpec| arena.slots.len();
    let same = a.nodes.len() == b.nodes.len() && a.arenas.iter().map(slots).eq(b.arenas.iter().map(slots));
    if !same {
        return Err(differs("", "a network"));
    }
    let states = |built: &crate::graph::GraphData| -> Vec<_> {
        built.arenas.iter().flat_map(|a| a.slots.iter().map(|s| (a.name.clone(), s.clone()))).collect()
    };
    for ((arena, a), (other, b)) in states(&a).iter().zip(&states(&b)) {
        if arena != other
            || a.name != b.name
            || a.spec != b.spec
            || a.offset != b.offset
            || !same_init(&a.init, &b.init)
        {
            return Err(differs("", &format!("state \"{}\"", a.name)));
        }
    }
    Ok(())
}

/// What layers left behind, and what comes out.
fn same_rest(wanted: &Built, found: &Built) -> Result<()> {
    let values = |built: &Built| built.outputs.iter().map(|y| y.value).collect::<Vec<_>>();
    let (a, b) = (wanted.ctx.collected(), found.ctx.collected());
    let activity = |c: &crate::nn::Collected| c.activity.iter().map(|y| y.value).collect::<Vec<_>>();
    let moves = |c: &crate::nn::Collected| -> Vec<_> {
        c.statistics.iter().map(|u| (u.slot.clone(), u.value.value, u.keep.to_bits())).collect()
    };
    let parts = [
        ("its outputs", values(wanted) == values(found)),
        ("its penalties", a.holds == b.holds && activity(&a) == activity(&b)),
        ("its running statistics", moves(&a) == moves(&b)),
        ("its list of layers", a.layers == b.layers),
    ];
    match parts.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(differs("", what)),
        None => Ok(()),
    }
}

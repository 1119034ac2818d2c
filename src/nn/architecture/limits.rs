//! What a description may hold. A description comes from a file, and a file may claim anything: what it would cost to build is bounded
//! here, before anything is built.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Architecture, Does, Input, Item, Program, State};
use crate::error::plain;
use crate::graph::{Init, PARAMETERS};
use crate::nn::STATISTICS;
use crate::shape::{DType, TensorSpec};

/// Inputs and outputs of a network.
const MOST_ENDS: usize = 1024;
/// Things that a network does while it is built, in each of its programs.
const MOST_ITEMS: usize = 1 << 18;
/// Parameters and statistics.
const MOST_STATES: usize = 1 << 17;
/// Bytes of a name.
const LONGEST_NAME: usize = 256;
/// Bytes of a layer's name with those of the layers around it.
const LONGEST_PATH: usize = 4096;
/// Layers within layers.
const DEEPEST: usize = 64;
/// Elements of all parameters and statistics: 256 GiB of floats.
const MOST_ELEMENTS: usize = 1 << 36;
/// Multiplications that orthogonal initial values take, all together: some minutes of a processor.
const MOST_WORK: u128 = 1 << 40;

/// An [`Architecture`] as it was written, not looked at yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unchecked {
    version: u32,
    inputs: Vec<Input>,
    states: Vec<State>,
    infer: Program,
    train: Program,
}

impl TryFrom<Unchecked> for Architecture {
    type Error = String;

    fn try_from(read: Unchecked) -> Result<Architecture, String> {
        let Unchecked { version, inputs, states, infer, train } = read;
        at_most("inputs", inputs.len(), MOST_ENDS)?;
        inputs.iter().try_for_each(|input| name_fits(&input.name, LONGEST_NAME))?;
        at_most("states", states.len(), MOST_STATES)?;
        check_states(&states)?;
        for program in [&infer, &train] {
            at_most("outputs", program.outputs.len(), MOST_ENDS)?;
            let mut items = 0;
            check_items(&program.items, 0, 0, &mut items)?;
        }
        Ok(Architecture { version, inputs, states, infer, train })
    }
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("{count} {what}, where at most {most} are allowed")) }
}

/// Refuses names that are too long, or that would change the terminal of whoever prints them.
fn name_fits(name: &str, longest: usize) -> Result<(), String> {
    at_most("bytes in a name", name.len(), longest)?;
    match plain(name) {
        Cow::Borrowed(_) => Ok(()),
        Cow::Owned(shown) => Err(format!("a name with control characters (\"{shown}\")")),
    }
}

/// What the names of constants begin with: of layers, and of [`Graph::constant`](crate::Graph::constant).
const CONSTANTS: [&str; 2] = ["constant ", "sinusoidal positions "];

/// Whether a network that is written to a file may declare state in this arena: parameters, statistics and constants. What training needs
/// besides is made by the training, and a file that named it could change it.
pub(super) fn is_known(arena: &str) -> bool {
    is_loaded(arena) || CONSTANTS.iter().any(|constant| arena.starts_with(constant))
}

/// Whether a model's file holds the values of this arena's state.
fn is_loaded(arena: &str) -> bool {
    [PARAMETERS, STATISTICS].contains(&arena)
}

fn check_states(states: &[State]) -> Result<(), String> {
    let (mut elements, mut work) = (0_usize, 0_u128);
    for State { arena, name, spec, init } in states {
        name_fits(arena, LONGEST_NAME)?;
        name_fits(name, LONGEST_PATH)?;
        let is_loaded = is_loaded(arena);
        let is_given = matches!(init, Init::Constant(_) | Init::Values(_) | Init::Words(_));
        if !is_known(arena) || !(is_loaded || is_given) {
            let allowed = format!("{PARAMETERS}, {STATISTICS} and constants with their values are allowed");
            return Err(format!("state in \"{arena}\", where {allowed}"));
        }
        if is_loaded && spec.dtype != DType::F32 {
            return Err(format!("state of {} in \"{arena}\", where f32 is allowed", spec.dtype));
        }
        let count = spec.shape.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent));
        elements = count.and_then(|count| elements.checked_add(count)).unwrap_or(usize::MAX);
        at_most("elements of state", elements, MOST_ELEMENTS)?;
        if matches!(init, Init::Orthogonal(_)) {
            work += orthogonal_work(spec);
        }
    }
    if work > MOST_WORK {
        return Err(format!(
            "orthogonal initial values that take {work} multiplications, at most {MOST_WORK} are allowed"
        ));
    }
    Ok(())
}

/// Multiplications of an orthogonal matrix: each of its vectors against all before it, twice.
fn orthogonal_work(spec: &TensorSpec) -> u128 {
    let rows = spec.shape.first().copied().unwrap_or(1).max(1);
    let columns = spec.shape.elements() / rows;
    let (short, long) = (rows.min(columns) as u128, rows.max(columns) as u128);
    2 * short * short * long
}

fn check_items(items: &[Item], depth: usize, path: usize, count: &mut usize) -> Result<(), String> {
    at_most("layers within layers", depth, DEEPEST)?;
    *count += items.len();
    at_most("things that a network does", *count, MOST_ITEMS)?;
    for item in items {
        match item {
            Item::Node(node) => {
                node.layer.as_deref().map_or(Ok(()), |layer| name_fits(layer, LONGEST_PATH))?;
                if let Does::Whole(arena) = &node.does {
                    name_fits(arena, LONGEST_NAME)?;
                    if !is_known(arena) {
                        return Err(format!("the whole of \"{arena}\", which a network does not have"));
                    }
                }
            }
            Item::Layer { name, kind, items, .. } => {
                name_fits(name, LONGEST_NAME)?;
                name_fits(kind, LONGEST_NAME)?;
                let path = path + name.len() + 1;
                at_most("bytes in the name of a layer with those around it", path, LONGEST_PATH)?;
                check_items(items, depth + 1, path, count)?;
            }
            Item::Choice { trained, frozen, .. } => {
                check_items(trained, depth + 1, path, count)?;
                check_items(frozen, depth + 1, path, count)?;
            }
            Item::Hold(hold) => name_fits(&hold.slot, LONGEST_PATH)?,
            Item::Statistic { slot, .. } => name_fits(slot, LONGEST_PATH)?,
            Item::State(_) | Item::Activity(_) => {}
        }
    }
    Ok(())
}

//! What ops do whose sums and maxima are too long for one invocation: parts of them, and one axis after the other.

mod axes;
pub(super) mod pool;

pub(super) use axes::{Pass, maxima, nested, passes, sums};

use crate::contract::{Launch, Launches, Slot};
use crate::shape::TensorSpec;

/// Parts of a sum that one invocation adds up.
const PARTS: usize = 1024;

/// A pass that adds up parts of sums. The parts lie one after the other, each with all elements.
pub(super) struct PartsPass {
    /// Where the parts lie.
    pub from: Slot,
    /// How many there are.
    pub parts: usize,
    /// How many of them an invocation adds up.
    pub each: usize,
    /// Invocations: the elements of what the pass gives.
    pub results: usize,
    /// Whether it gives the sums; else it gives fewer parts.
    pub last: bool,
}

/// Adds the launches that bring `parts` times `elements` partial sums in `from` to the op's output, in their order: one pass, or a
/// second where there are many. `launch` makes that of a pass, with all bindings but the last.
pub(super) fn add_parts(
    all: &mut Launches,
    from: Slot,
    parts: usize,
    elements: usize,
    launch: impl Fn(&PartsPass) -> Launch,
) {
    let (mut from, mut parts) = (from, parts);
    if parts > PARTS {
        let fewer = parts.div_ceil(PARTS);
        let to = all.temp(TensorSpec::f32([fewer, elements]));
        let pass = PartsPass { from, parts, each: PARTS, results: fewer * elements, last: false };
        all.list.push(launch(&pass).write(to));
        (from, parts) = (to, fewer);
    }
    let pass = PartsPass { from, parts, each: parts, results: elements, last: true };
    all.list.push(launch(&pass).write(Slot::Output(0)));
}

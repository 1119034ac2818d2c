//! Sums and maxima over windows of several axes, as sums and maxima along one axis after the other.

use crate::contract::{GpuTraits, Io, Launch, Launches, MAX_ITERATIONS, OpDef, Slot};
use crate::ops::reduce::{Reduce, ReduceFn};
use crate::shape::TensorSpec;

/// What an invocation of a pass may spend on its one long loop.
const ROOM: usize = MAX_ITERATIONS as usize - 512;

/// The loop iterations of loops of these lengths, each inside the one before, with `extra` more in each iteration.
pub(in crate::ops) fn nested(loops: &[usize], extra: u64) -> u64 {
    let around = |inner: u64, n: &usize| (*n as u64).saturating_mul((1 + extra).saturating_add(inner));
    loops.iter().rev().fold(0, around)
}

/// A pass along one axis of a volume, which is the middle one of three here: `[before, along, behind]`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Pass {
    /// Which axis of the volume.
    pub axis: usize,
    /// The extents of what is read.
    pub from: [usize; 3],
    /// The extents of what is computed.
    pub to: [usize; 3],
    /// Elements that an element reaches along the axis, at most.
    pub reach: usize,
    /// Parts of each element's sum or maximum. Where there are several, they lie before the last axis of what is computed.
    pub parts: usize,
    /// Elements that a part reaches.
    pub each: usize,
    /// Brings together parts: each element is that of as many neighbours along the axis.
    pub merges: bool,
}

impl Pass {
    fn new(axis: usize, [from, to]: [[usize; 3]; 2], reach: usize, extra: usize, merges: bool) -> Self {
        let longest = ROOM / (2 * (1 + extra));
        let parts = reach.div_ceil(longest).max(1);
        Pass { axis, from, to, reach, parts, each: reach.div_ceil(parts), merges }
    }

    /// Elements of what a plane gives, with all parts.
    pub(in crate::ops) fn results(&self) -> usize {
        self.to.iter().product::<usize>() * self.parts
    }
}

/// The passes that bring volumes of extents `from` to extents `to`, columns first. An element reaches `reach` elements along each axis
/// and 0 along those that stay as they are; each of them takes `extra` iterations besides its own.
pub(in crate::ops) fn passes(from: [usize; 3], to: [usize; 3], reach: [usize; 3], extra: usize) -> Vec<Pass> {
    let mut size = from;
    let axes = (0..3).rev().filter(|axis| reach[*axis] > 0);
    let view = |size: [usize; 3], axis: usize| {
        [size[..axis].iter().product(), size[axis], size[axis + 1..].iter().product::<usize>()]
    };
    let pass = |axis| {
        let before = size;
        size[axis] = to[axis];
        Pass::new(axis, [view(before, axis), view(size, axis)], reach[axis], extra, false)
    };
    axes.map(pass).collect()
}

/// The launches of sums along one axis after the other, from the op's first input to its output. `launch` makes that of a pass, without
/// bindings.
pub(in crate::ops) fn sums(
    planes: usize,
    passes: &[Pass],
    gpu: &GpuTraits,
    launch: impl Fn(&Pass) -> Launch,
) -> Launches {
    let (mut all, mut from) = (Launches::default(), Slot::Input(0));
    for (i, pass) in passes.iter().enumerate() {
        let [before, along, behind] = pass.to;
        let lines = planes * before * along;
        let to = if i + 1 == passes.len() { Slot::Output(0) } else { all.temp(TensorSpec::f32([lines, behind])) };
        if pass.parts == 1 {
            all.list.push(launch(pass).read(from).write(to));
        } else {
            let spec = TensorSpec::f32([lines, pass.parts, behind]);
            let parts = all.temp(spec.clone());
            all.list.push(launch(pass).read(from).write(parts));
            let sum = Reduce { function: ReduceFn::Sum, axes: vec![1] };
            let io = Io { inputs: vec![spec], outputs: vec![TensorSpec::f32([lines, behind])] };
            all.append(sum.gpu(&io, gpu), &[parts], &[to]);
        }
        from = to;
    }
    all
}

/// The launches of maxima and their positions along one axis after the other, from the op's input to its two outputs. `launch` makes
/// that of a pass, without bindings, and is told whether positions of what is read come in after it.
pub(in crate::ops) fn maxima(planes: usize, passes: &[Pass], launch: impl Fn(&Pass, bool) -> Launch) -> Launches {
    let mut all = Launches::default();
    let mut from = vec![Slot::Input(0)];
    for (i, pass) in passes.iter().enumerate() {
        let mut pass = *pass;
        while pass.parts > 1 {
            from = maximum(&mut all, planes, &pass, &from, false, &launch);
            let [before, along, behind] = pass.to;
            let extents = [[before, along * pass.parts, behind], pass.to];
            pass = Pass::new(pass.axis, extents, pass.parts, 0, true);
        }
        from = maximum(&mut all, planes, &pass, &from, i + 1 == passes.len(), &launch);
    }
    all
}

/// Adds the launch of a pass; where its results lie.
fn maximum(
    all: &mut Launches,
    planes: usize,
    pass: &Pass,
    from: &[Slot],
    last: bool,
    launch: &impl Fn(&Pass, bool) -> Launch,
) -> Vec<Slot> {
    let n = planes * pass.results();
    let to = match last {
        true => vec![Slot::Output(0), Slot::Output(1)],
        false => vec![all.temp(TensorSpec::f32([n])), all.temp(TensorSpec::u32([n]))],
    };
    let launch = from.iter().fold(launch(pass, from.len() > 1), |launch, slot| launch.read(*slot));
    all.list.push(to.iter().fold(launch, |launch, slot| launch.write(*slot)));
    to
}

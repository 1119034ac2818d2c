//! What the recurrent ops share: their sizes, the order of their steps, masks, launches and the products of their twins.
//!
//! A recurrence runs over `gates` `[batch, time, k · units]`, the input's part of its `k` gates, which one matrix product has
//! computed for all steps at once, and adds `h[before] · u` step by step, with the recurrent kernel `u` `[units, k · units]`. In
//! reverse it begins with the last step; what it gives for a step stays at that step's place. Where there are `lengths`
//! `[batch]`, the steps from a sample's length on leave its state as it is: at the end of a run forwards, and at the beginning of a
//! run in reverse.
//!
//! On a GPU every step is a launch of the same kernel, which finds the state before it in its own output. Backwards one more launch
//! computes the gradient of the initial state. A twin takes a few samples through all the steps, so that tasks never wait for
//! each other.

mod functions;

use bytemuck::{Pod, Zeroable};
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder};

use super::{expect_dtype, matmul};
use crate::contract::{GROUP_SIZE, GpuTraits, Io, Kernel, Launch, Launches, MAX_ITERATIONS, Real, grid};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{DType, TensorSpec};

pub(super) use functions::{sigmoid, sigmoid_slope, tanh, tanh_slope};

/// Steps that a recurrence may have: each is a launch, and a plan holds them all.
pub(super) const MOST_STEPS: usize = 1 << 16;

/// Samples that one CPU task takes through all steps: as many as keep the inner kernel of a matrix product full.
pub(super) const SAMPLES: usize = 16;

/// Fewer samples than this are multiplied one by one: a matrix product would spend its time on arranging the weights.
const FEW: usize = 8;

/// The sizes of a recurrence and its direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) batch: usize,
    pub(super) time: usize,
    pub(super) units: usize,
    pub(super) reverse: bool,
}

/// The uniform of every recurrent kernel.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    /// States: batch · units.
    n: u32,
    units: u32,
    time: u32,
    /// The step to compute; `time` where backwards only the gradient of the initial state is left.
    t: u32,
    /// The step computed before it; `time` where there is none.
    other: u32,
}

impl Sequence {
    /// The sizes, from `gates` `[batch, time, k · units]` and `u` `[units, k · units]`.
    pub(super) fn of(op: &str, reverse: bool, k: usize, gates: &TensorSpec, u: &TensorSpec) -> Result<Sequence> {
        expect_dtype(op, gates, DType::F32)?;
        expect_dtype(op, u, DType::F32)?;
        let wide = if k == 1 { "units".to_owned() } else { format!("{k}·units") };
        let wrong = || {
            let expected = format!("gates [batch, time, {wide}] and a recurrent kernel [units, {wide}]");
            Error::shape(op, expected, format!("{gates} and {u}"))
        };
        let (&[batch, time, width], &[units, columns]) = (&gates.shape[..], &u.shape[..]) else { return Err(wrong()) };
        if width != columns || columns != units.saturating_mul(k) || units == 0 {
            return Err(wrong());
        }
        Sequence { batch, time, units, reverse }.checked(op)
    }

    /// The sizes, from `dh` `[batch, time, units]` and the transposed recurrent kernel `[k · units, units]`.
    pub(super) fn of_grad(op: &str, reverse: bool, k: usize, dh: &TensorSpec, ut: &TensorSpec) -> Result<Sequence> {
        expect_dtype(op, dh, DType::F32)?;
        expect_dtype(op, ut, DType::F32)?;
        let &[batch, time, units] = &dh.shape[..] else {
            return Err(Error::shape(op, "dh [batch, time, units]", dh.to_string()));
        };
        let wanted = TensorSpec::f32([units.saturating_mul(k), units]);
        if *ut != wanted {
            return Err(Error::shape(op, format!("a transposed recurrent kernel {wanted}"), ut.to_string()));
        }
        Sequence { batch, time, units, reverse }.checked(op)
    }

    fn checked(self, op: &str) -> Result<Sequence> {
        if self.time == 0 || self.time > MOST_STEPS {
            return Err(Error::parameter(op, "the number of time steps", format!("1 to {MOST_STEPS}"), self.time));
        }
        Ok(self)
    }

    /// Refuses anything but floats of `shape`.
    pub(super) fn expect(&self, op: &str, what: &str, x: &TensorSpec, shape: &[usize]) -> Result<()> {
        expect_dtype(op, x, DType::F32)?;
        if *x.shape == *shape { Ok(()) } else { Err(Error::shape(op, format!("{what} {shape:?}"), x.to_string())) }
    }

    /// Refuses an initial state that is not `[batch, units]`.
    pub(super) fn expect_state(&self, op: &str, what: &str, x: &TensorSpec) -> Result<()> {
        self.expect(op, what, x, &[self.batch, self.units])
    }

    /// Refuses lengths that are not one `u32` for every sample.
    pub(super) fn expect_lengths(&self, op: &str, lengths: Option<&TensorSpec>) -> Result<()> {
        let Some(lengths) = lengths else { return Ok(()) };
        expect_dtype(op, lengths, DType::U32)?;
        if *lengths.shape == [self.batch] {
            return Ok(());
        }
        Err(Error::shape(op, format!("lengths [{}]", self.batch), lengths.to_string()))
    }

    /// Floats `[batch, time, width]`.
    pub(super) fn steps(&self, width: usize) -> TensorSpec {
        TensorSpec::f32([self.batch, self.time, width])
    }

    /// Floats `[batch, units]`.
    pub(super) fn state(&self) -> TensorSpec {
        TensorSpec::f32([self.batch, self.units])
    }

    /// The place of the i-th step that is run; `time` where there is none.
    fn place(&self, i: usize) -> usize {
        if i >= self.time {
            self.time
        } else if self.reverse {
            self.time - 1 - i
        } else {
            i
        }
    }

    /// In the order of the run: the place of each step, and that of the step before it, if there is one.
    pub(super) fn forwards(self) -> impl Iterator<Item = (usize, Option<usize>)> {
        (0..self.time).map(move |i| (self.place(i), i.checked_sub(1).map(|before| self.place(before))))
    }

    /// The places of the steps, against the order of the run.
    pub(super) fn backwards(self) -> impl Iterator<Item = usize> {
        (0..self.time).rev().map(move |i| self.place(i))
    }

    /// One launch of `kernel` for every step, all with the same bindings. `sum` is the WGSL type of the sums over the state before.
    pub(super) fn launches(&self, kernel: Kernel, sum: &str, io: &Io, gpu: &GpuTraits) -> Launches {
        let places = (0..self.time).map(|i| (self.place(i), self.place(i.wrapping_sub(1))));
        self.launch_all(places, kernel, sum, self.units, io, gpu)
    }

    /// One launch of `kernel` for every step, against the order of the run, and one for the gradient of the initial state. `work` is
    /// the length of the sums.
    pub(super) fn launches_grad(&self, kernel: Kernel, work: usize, io: &Io, gpu: &GpuTraits) -> Launches {
        let places = (0..=self.time).rev().map(|i| (self.place(i.wrapping_sub(1)), self.place(i)));
        self.launch_all(places, kernel.define("GRAD", 1), "f32", work, io, gpu)
    }

    fn launch_all(
        &self,
        places: impl Iterator<Item = (usize, usize)>,
        kernel: Kernel,
        sum: &str,
        work: usize,
        io: &Io,
        gpu: &GpuTraits,
    ) -> Launches {
        let (lanes, width) = lanes(work, gpu);
        let masked = io.inputs.last().is_some_and(|x| x.dtype == DType::U32);
        let kernel =
            kernel.define("MASK", u32::from(masked)).define("SUM", sum).define("LANES", lanes).define("WIDTH", width);
        let n = self.batch * self.units;
        let groups = grid(n.div_ceil(width / lanes) * GROUP_SIZE);
        let launch = |(t, other): (usize, usize)| {
            let (units, time) = (self.units as u32, self.time as u32);
            let params = Params { n: n as u32, units, time, t: t as u32, other: other as u32 };
            Launch::new(kernel.clone(), &params, groups).iterations(iterations(work, lanes)).bind_all(io)
        };
        Launches { list: places.map(launch).collect(), temps: Vec::new() }
    }
}

/// How many invocations share a sum of `work` terms, and how many a workgroup has.
fn lanes(work: usize, gpu: &GpuTraits) -> (usize, usize) {
    const WIDTH: usize = 256;
    // There are few states and long sums: where invocations are cheap, eight share a sum.
    let mut lanes = if !gpu.software && work >= 32 { 8 } else { 1 };
    while lanes < WIDTH && iterations(work, lanes) > MAX_ITERATIONS {
        lanes *= 2;
    }
    (lanes, if lanes == 1 { GROUP_SIZE } else { WIDTH })
}

/// The loop iterations of an invocation that takes its share of such a sum, and adds up the shares.
fn iterations(work: usize, lanes: usize) -> u64 {
    (work.div_ceil(lanes) + lanes - 1) as u64
}

/// The inputs of an op that takes `N` tensors, and lengths after them where the recurrence is masked.
pub(super) fn with_lengths<'a, const N: usize>(
    op: &str,
    inputs: &'a [TensorSpec],
) -> Result<(&'a [TensorSpec; N], Option<&'a TensorSpec>)> {
    match inputs.split_at_checked(N) {
        Some((first, rest)) if rest.len() <= 1 => Ok((super::arity(op, first)?, rest.first())),
        _ => Err(Error::shape(op, format!("{N} tensors, and perhaps lengths"), format!("{} tensors", inputs.len()))),
    }
}

/// Whether step `t` of a sample is there.
pub(super) fn is_there(lengths: Option<&[u32]>, sample: usize, t: usize) -> bool {
    lengths.is_none_or(|lengths| t < lengths[sample] as usize)
}

/// The `N` parts of a row, each of `units`.
pub(super) fn parts<T, const N: usize>(x: &[T], units: usize) -> [&[T]; N] {
    std::array::from_fn(|i| &x[i * units..][..units])
}

/// The `N` parts of a row, each of `units`, to be written.
pub(super) fn parts_mut<T, const N: usize>(mut x: &mut [T], units: usize) -> [&mut [T]; N] {
    std::array::from_fn(|_| {
        let (part, rest) = std::mem::take(&mut x).split_at_mut(units);
        x = rest;
        part
    })
}

/// `y += a[t] · u` with `a` `[samples, time, k]`, `u` `[k, n]` and `y` `[samples, n]`, in that order.
pub(super) fn add_product<T: Real>(a: &[T], (time, t): (usize, usize), u: &[T], k: usize, y: &mut [T]) {
    let (n, samples) = (u.len() / k, a.len() / (time * k));
    if samples < FEW {
        let rows = a.chunks_exact(time * k).zip(y.chunks_exact_mut(n));
        return rows.for_each(|(a, y)| add_row(&a[t * k..][..k], u, y));
    }
    let a = ArrayView2::from_shape((samples, k).strides((time * k, 1)), &a[t * k..]);
    let (u, y) = (ArrayView2::from_shape((k, n), u), ArrayViewMut2::from_shape((samples, n), y));
    match (a, u, y) {
        (Ok(a), Ok(u), Ok(y)) => matmul::shared_product(T::one(), a, u, T::one(), y),
        _ => panic!("a step outside of its sequence"),
    }
}

/// `y += a · u` with `a` `[k]` and `u` `[k, n]`, in one pass along the weights.
fn add_row<T: Real>(a: &[T], u: &[T], y: &mut [T]) {
    let n = y.len();
    let (fours, rest) = (a.chunks_exact(4), a.chunks_exact(4).remainder());
    let (most, last) = u.split_at((a.len() - rest.len()) * n);
    for (a, u) in fours.zip(most.chunks_exact(4 * n)) {
        let [u0, u1, u2, u3] = parts(u, n);
        for (j, y) in y.iter_mut().enumerate() {
            *y += a[0] * u0[j] + a[1] * u1[j] + a[2] * u2[j] + a[3] * u3[j];
        }
    }
    for (a, u) in rest.iter().zip(last.chunks_exact(n)) {
        y.iter_mut().zip(u).for_each(|(y, u)| *y += *a * *u);
    }
}

/// The states before every step, `[batch, time, units]`, from those after it and the initial one.
pub(super) fn states_before(h: &Var, initial: &Var, reverse: bool) -> Result<Var> {
    let shape = h.shape();
    let (batch, time) = (shape[0], shape[1]);
    let initial = initial.reshape([batch, 1, shape[2]])?;
    if time == 1 {
        return Ok(initial);
    }
    let others = if reverse { (1, time) } else { (0, time - 1) };
    let others = h.slice(&[(0, batch), others])?;
    let parts = if reverse { [&others, &initial] } else { [&initial, &others] };
    Var::concat(&parts, 1)
}

/// The gradient of the recurrent kernel: one product over all samples and steps, of the states before a step and the gradient of
/// what the step adds to its gates.
pub(super) fn kernel_gradient(before: &Var, dgates: &Var) -> Result<Var> {
    let (units, shape) = (before.shape()[2], dgates.shape());
    let rows = shape[0] * shape[1];
    before.reshape([rows, units])?.matmul_with(&dgates.reshape([rows, shape[2]])?, true, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(launches: &Launches) -> Vec<(u32, u32)> {
        let params = launches.list.iter().map(|l| bytemuck::pod_read_unaligned::<Params>(&l.params));
        params.map(|p| (p.t, p.other)).collect()
    }

    #[test]
    fn every_step_is_launched_once_and_knows_the_one_before() {
        let io = Io { inputs: vec![TensorSpec::f32([1])], outputs: vec![TensorSpec::f32([1])] };
        let gpu = GpuTraits { software: true };
        let kernel = || Kernel::custom("k", "", "k");
        let sequence = |reverse| Sequence { batch: 2, time: 3, units: 5, reverse };
        assert_eq!(places(&sequence(false).launches(kernel(), "f32", &io, &gpu)), [(0, 3), (1, 0), (2, 1)]);
        assert_eq!(places(&sequence(true).launches(kernel(), "f32", &io, &gpu)), [(2, 3), (1, 2), (0, 1)]);
        assert_eq!(places(&sequence(false).launches_grad(kernel(), 5, &io, &gpu)), [(2, 3), (1, 2), (0, 1), (3, 0)]);
        assert_eq!(places(&sequence(true).launches_grad(kernel(), 5, &io, &gpu)), [(0, 3), (1, 0), (2, 1), (3, 2)]);
        assert_eq!(sequence(true).forwards().collect::<Vec<_>>(), [(2, None), (1, Some(2)), (0, Some(1))]);
        assert_eq!(sequence(true).backwards().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_sum_too_long_for_one_invocation_is_shared() {
        for software in [true, false] {
            let of = |work| lanes(work, &GpuTraits { software });
            assert_eq!(of(2048), if software { (1, GROUP_SIZE) } else { (8, 256) });
            for work in [16_384, 16_385, 200_000, 4_000_000] {
                assert!(iterations(work, of(work).0) <= MAX_ITERATIONS, "{work}: {:?}", of(work));
            }
        }
    }

    #[test]
    fn a_product_of_few_samples_is_that_of_many() {
        let (time, k, n) = (3, 7, 5);
        let u: Vec<f64> = (0..k * n).map(|i| (i * 37 % 11) as f64 - 5.0).collect();
        let a: Vec<f64> = (0..9 * time * k).map(|i| (i * 53 % 13) as f64 - 6.0).collect();
        let (mut few, mut many) = (vec![1.0; 9 * n], vec![1.0; 9 * n]);
        add_product(&a, (time, 1), &u, k, &mut many);
        for (a, few) in a.chunks(4 * time * k).zip(few.chunks_mut(4 * n)) {
            add_product(a, (time, 1), &u, k, few);
        }
        assert_eq!(few, many);
    }

    #[test]
    fn more_steps_than_a_plan_can_hold_are_refused() {
        let (gates, u) = (|time| TensorSpec::f32([1, time, 1]), TensorSpec::f32([1, 1]));
        assert!(Sequence::of("rnn", false, 1, &gates(MOST_STEPS), &u).is_ok());
        assert!(Sequence::of("rnn", false, 1, &gates(MOST_STEPS + 1), &u).is_err());
        assert!(Sequence::of("rnn", false, 1, &gates(0), &u).is_err());
    }
}

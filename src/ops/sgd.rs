//! Stochastic gradient descent, with momentum where that is asked for.
//!
//! Plain: `p −= lr · g`. With momentum `u`: `v = u · v − lr · g`, then `p += v`, or Nesterov's `p += u · v − lr · g`.
//! All of shape `[len]`: whole arenas. Source: Keras 3, `keras.optimizers.SGD`.

use bytemuck::{Pod, Zeroable};

use crate::contract::clock::{FAULT, expect_clock, expect_schedule, learning_rate};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_together, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// One step, in place, unless the clock shows a fault. Inputs: parameters, with momentum their velocity, gradients (all f32
/// `[len]`, `len` a multiple of 4), the clock, the schedule. No output.
#[derive(Clone, Debug)]
pub struct Sgd {
    /// How much of the velocity is kept, in 0..=1; with 0 there is no velocity.
    pub momentum: f64,
    /// Nesterov's form of momentum.
    pub nesterov: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    steps: u32,
    momentum: f32,
}

impl Sgd {
    fn with_velocity(&self) -> bool {
        self.momentum != 0.0
    }
}

/// Refuses arenas that cannot be updated together.
pub(super) fn expect_arenas(op: &str, arenas: &[TensorSpec]) -> Result<()> {
    let expected = TensorSpec::f32([arenas[0].shape.elements()]);
    if arenas.iter().any(|a| *a != expected) || !expected.shape[0].is_multiple_of(4) {
        let actual: Vec<String> = arenas.iter().map(ToString::to_string).collect();
        let expected = format!("{} times f32[len], whole arenas of the same layout", arenas.len());
        return Err(Error::shape(op, expected, actual.join(", ")));
    }
    Ok(())
}

impl OpDef for Sgd {
    stem!("sgd");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::parameter("sgd", "momentum", "in 0..=1", self.momentum));
        }
        let arenas = if self.with_velocity() { 3 } else { 2 };
        if inputs.len() != arenas + 2 {
            return Err(Error::shape("sgd", format!("{} tensors", arenas + 2), format!("{} tensors", inputs.len())));
        }
        expect_arenas("sgd", &inputs[..arenas])?;
        expect_clock("sgd", &inputs[arenas])?;
        expect_schedule("sgd", &inputs[arenas + 1])?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (n4, schedule) = (io.inputs[0].shape[0] / 4, &io.inputs[io.inputs.len() - 1]);
        let steps = (schedule.shape.elements() - 1) as u32;
        let kernel = Kernel::of::<Self>("sgd")
            .define("MOMENTUM", u32::from(self.with_velocity()))
            .define("NESTEROV", u32::from(self.nesterov));
        let params = Params { n4: n4 as u32, steps, momentum: self.momentum as f32 };
        Launch::new(kernel, &params, grid(n4)).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let arenas = call.io.inputs.len() - 2;
        let (state, time) = call.x.split_at_mut(arenas);
        let (clock, schedule) = (time[0].u(), time[1].u());
        if clock[FAULT] != 0 {
            return;
        }
        let lr = T::of(f64::from(learning_rate(clock, schedule)));
        let (momentum, nesterov) = (T::of(self.momentum), self.nesterov);
        match state {
            [p, v, g] => {
                let g = g.f();
                parallel_together([p.f_mut(), v.f_mut()], |start, [p, v]| {
                    for ((p, v), g) in p.iter_mut().zip(v).zip(&g[start..]) {
                        let step = lr * *g;
                        *v = momentum * *v - step;
                        *p += if nesterov { momentum * *v - step } else { *v };
                    }
                });
            }
            [p, g] => {
                let g = g.f();
                parallel_together([p.f_mut()], |start, [p]| {
                    p.iter_mut().zip(&g[start..]).for_each(|(p, g)| *p -= lr * *g);
                });
            }
            _ => unreachable!("the shape rule lets two or three arenas pass"),
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; ctx.inputs()])
    }

    fn writes(&self) -> &'static [usize] {
        if self.with_velocity() { &[0, 1] } else { &[0] }
    }
}

impl Var {
    /// Changes these parameters (a whole arena) by one step of gradient descent. `velocity` is there exactly where the momentum
    /// is not 0; it starts as zeros.
    ///
    /// # Errors
    /// Where the arenas differ, the momentum is not in 0..=1, or velocity and momentum do not go together.
    pub fn sgd(&self, op: Sgd, velocity: Option<&Var>, grads: &Var, clock: &Var, schedule: &Var) -> Result<()> {
        let inputs: Vec<&Var> = [self].into_iter().chain(velocity).chain([grads, clock, schedule]).collect();
        self.graph.push(op, &inputs).map(drop)
    }
}

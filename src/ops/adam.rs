//! Adam, in the form of Keras: the bias correction is in the step's length, and ε stands beside the uncorrected `√v`.
//!
//! `m += (1 − β₁)(g − m)`, `v += (1 − β₂)(g² − v)`, `p −= α · m / (√v + ε)` with `α = lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ)` for the t-th step,
//! counted from 1. All of shape `[len]`: whole arenas. Sources: D. Kingma, J. Ba, "Adam: a method for stochastic optimization",
//! ICLR 2015, end of section 2; Keras 3, `keras.optimizers.Adam`.

use bytemuck::{Pod, Zeroable};

use super::{arity, sgd::expect_arenas};
use crate::contract::clock::{FAULT, STEP, expect_clock, expect_schedule, learning_rate};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_together, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// One step, in place, unless the clock shows a fault. Inputs: parameters, first moment, second moment, gradients (all f32
/// `[len]`, `len` a multiple of 4), the clock, the schedule. No output.
///
/// The numbers are `f64` because kernels want `1 − β`: of 0.999 as `f32` that would be wrong in the fifth digit.
#[derive(Clone, Debug)]
pub struct Adam {
    /// How much of the first moment is kept, in 0..1.
    pub beta1: f64,
    /// How much of the second moment is kept, in 0..1.
    pub beta2: f64,
    /// What is added to `√v`; positive.
    pub epsilon: f64,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    steps: u32,
    /// `1 − β₁`
    gain1: f32,
    /// `1 − β₂`
    gain2: f32,
    epsilon: f32,
}

/// `1 − βᵗ` from `1 − β`, by squaring: with `c = 1 − a` and `d = 1 − b`, `1 − ab = c + d(1 − c)`. Nothing cancels, so no digits are lost
/// where `βᵗ` is close to 1.
fn one_minus_power<T: Real>(one_minus: T, exponent: u32) -> T {
    let (mut result, mut square, mut e) = (T::zero(), one_minus, exponent);
    while e != 0 {
        if e & 1 == 1 {
            result += square * (T::one() - result);
        }
        square *= T::of(2.0) - square;
        e >>= 1;
    }
    result
}

impl OpDef for Adam {
    stem!("adam");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        for (what, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::parameter("adam", what, "in 0..1", beta));
            }
        }
        if !(self.epsilon as f32).is_normal() || self.epsilon < 0.0 {
            return Err(Error::parameter("adam", "epsilon", "a positive number within the range of f32", self.epsilon));
        }
        let [_, _, _, _, clock, schedule] = arity("adam", inputs)?;
        expect_arenas("adam", &inputs[..4])?;
        expect_clock("adam", clock)?;
        expect_schedule("adam", schedule)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n4 = io.inputs[0].shape[0] / 4;
        let params = Params {
            n4: n4 as u32,
            steps: (io.inputs[5].shape.elements() - 1) as u32,
            gain1: (1.0 - self.beta1) as f32,
            gain2: (1.0 - self.beta2) as f32,
            epsilon: self.epsilon as f32,
        };
        Launch::new(Kernel::of::<Self>("adam"), &params, grid(n4)).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [p, m, v, g, clock, schedule] = &mut call.x[..] else {
            unreachable!("the shape rule lets six tensors pass")
        };
        let (g, clock) = (g.f(), clock.u());
        if clock[FAULT] != 0 {
            return;
        }
        let (gain1, gain2, epsilon) = (T::of(1.0 - self.beta1), T::of(1.0 - self.beta2), T::of(self.epsilon));
        let t = clock[STEP].wrapping_add(1);
        let lr = T::of(f64::from(learning_rate(clock, schedule.u())));
        let alpha = lr * one_minus_power(gain2, t).sqrt() / one_minus_power(gain1, t);
        parallel_together([p.f_mut(), m.f_mut(), v.f_mut()], |start, [p, m, v]| {
            for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(&g[start..]) {
                *m += (*g - *m) * gain1;
                *v += (*g * *g - *v) * gain2;
                *p -= alpha * *m / (v.sqrt() + epsilon);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 6])
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 1, 2]
    }
}

impl Var {
    /// Changes these parameters (a whole arena) by one step of Adam. The moments `m` and `v` start as zeros.
    ///
    /// # Errors
    /// Where the arenas differ, a beta is not in 0..1, or epsilon is not positive.
    pub fn adam(&self, op: Adam, m: &Var, v: &Var, grads: &Var, clock: &Var, schedule: &Var) -> Result<()> {
        self.graph.push(op, &[self, m, v, grads, clock, schedule]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::one_minus_power;

    #[test]
    fn the_bias_correction_keeps_its_digits() {
        for beta in [0.0, 0.5, 0.9, 0.999, 0.99999] {
            for t in [1u32, 2, 3, 10, 77, 1000, 123_456, 4_000_000_000] {
                let exact = -(f64::ln(beta) * f64::from(t)).exp_m1();
                let wide = one_minus_power(1.0 - beta, t);
                let narrow = f64::from(one_minus_power((1.0 - beta) as f32, t));
                assert!((wide - exact).abs() <= 1e-10 * exact, "{beta}^{t}: {wide} is not {exact}");
                assert!((narrow - exact).abs() <= 1e-6 * exact, "{beta}^{t}: {narrow} is not {exact}");
            }
        }
    }
}

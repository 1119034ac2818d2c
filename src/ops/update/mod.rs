//! One step of an optimizer over whole arenas: the rules of `Rule`, the learning rate and the decay of every group of parameters,
//! accumulated gradients.
//!
//! Shapes: parameters, state and gradients `[len]`, whole arenas; `len` is a multiple of 64. The formulas stand with the rules.
//! Decoupled weight decay `w` comes before the rule: `p −= p · w · lr`. Sources: there, and I. Loshchilov, F. Hutter, "Decoupled
//! weight decay regularization", ICLR 2019; Keras 3, `keras.optimizers`.

mod cpu;
mod rule;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use crate::contract::blocks::{BLOCK, expect_arenas, expect_table};
use crate::contract::clock::{expect_clock, expect_schedule};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

pub use rule::Rule;

/// One step of `rule`, in place, unless the clock shows a fault. Inputs: parameters, the rule's state (see [`Rule::states`]),
/// gradients (all f32 `[len]`, whole arenas), the clock, the schedule, and a [table](crate::contract::blocks) with two numbers per
/// group: the factor of the learning rate, and the weight decay. A group with factor 0 is frozen: neither its parameters nor their
/// state change, whatever its gradients are. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// How parameters change.
    pub rule: Rule,
    /// Every so many steps make an update, the others do nothing; at least 1. What rules and schedules count are updates.
    pub every: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    steps: u32,
    every: u32,
    groups: u32,
    momentum: f32,
    /// `1 − β₁`
    gain1: f32,
    /// `1 − β₂`, `1 − ρ`
    gain2: f32,
    epsilon: f32,
}

/// Nadam's kernel looks its products up.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct NadamParams {
    common: Params,
    products: [f32; rule::PRODUCTS],
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

impl Update {
    /// Arenas before the clock: parameters, state, gradients.
    fn arenas(&self) -> usize {
        2 + self.rule.states().len()
    }

    fn numbers(&self) -> Params {
        let mut params = Params::zeroed();
        match self.rule {
            Rule::Sgd { momentum, .. } => params.momentum = momentum as f32,
            Rule::Adam { beta1, beta2, epsilon, .. } | Rule::Nadam { beta1, beta2, epsilon } => {
                let gains = [beta1, beta2].map(|beta| (1.0 - beta) as f32);
                [params.gain1, params.gain2, params.epsilon] = [gains[0], gains[1], epsilon as f32];
            }
            Rule::RmsProp { rho, momentum, epsilon, .. } => {
                [params.momentum, params.gain2, params.epsilon] = [momentum as f32, (1.0 - rho) as f32, epsilon as f32];
            }
            Rule::Adagrad { epsilon, .. } => params.epsilon = epsilon as f32,
        }
        params
    }

    /// The kernel's variant.
    fn kernel(&self) -> Kernel {
        let rule = &self.rule;
        let (nesterov, amsgrad, momentum, centered) = match *rule {
            Rule::Sgd { momentum, nesterov } => (nesterov, false, momentum != 0.0, false),
            Rule::Adam { amsgrad, .. } => (false, amsgrad, false, false),
            Rule::RmsProp { momentum, centered, .. } => (false, false, momentum != 0.0, centered),
            _ => (false, false, false, false),
        };
        let kernel = Kernel::of::<Self>("update").define("RULE", rule.name()).define("STATES", rule.states().len());
        let flags = [("NESTEROV", nesterov), ("AMSGRAD", amsgrad), ("MOMENTUM", momentum), ("CENTERED", centered)];
        flags.into_iter().fold(kernel, |kernel, (name, flag)| kernel.define(name, u32::from(flag)))
    }
}

impl OpDef for Update {
    const STEM: &'static str = "update";
    const SHADER: &'static str = include_str!("../../../shaders/update.wgsl");

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let name = self.name();
        self.rule.check(name)?;
        if self.every == 0 {
            return Err(Error::parameter(name, "steps per update", "at least 1", self.every));
        }
        let arenas = self.arenas();
        if inputs.len() != arenas + 3 {
            return Err(Error::shape(name, format!("{} tensors", arenas + 3), format!("{} tensors", inputs.len())));
        }
        let len = expect_arenas(name, &inputs[..arenas])?;
        expect_clock(name, &inputs[arenas])?;
        expect_schedule(name, &inputs[arenas + 1])?;
        expect_table(name, &inputs[arenas + 2], len)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (len, arenas) = (io.inputs[0].shape[0], self.arenas());
        let common = Params {
            n4: (len / 4) as u32,
            steps: (io.inputs[arenas + 1].shape.elements() - 1) as u32,
            every: self.every,
            groups: ((io.inputs[arenas + 2].shape.elements() - len / BLOCK) / 2) as u32,
            ..self.numbers()
        };
        let launch = if let Rule::Nadam { .. } = self.rule {
            let mut products = [0.0; rule::PRODUCTS];
            products.iter_mut().zip(rule::products()).for_each(|(to, product)| *to = product as f32);
            Launch::new(self.kernel(), &NadamParams { common, products }, grid(len / 4))
        } else {
            Launch::new(self.kernel(), &common, grid(len / 4))
        };
        launch.bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, call: CpuCall<'_, T>) {
        cpu::run(self, call);
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; ctx.inputs()])
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 1, 2, 3][..=self.rule.states().len()]
    }
}

impl Var {
    /// Changes these parameters (a whole arena) by one step. `states` are those of the rule, in its order; `groups` is a
    /// [table](crate::contract::blocks) of factors of the learning rate and weight decays. See [`Update`].
    ///
    /// # Errors
    /// Where the arenas differ, the rule's numbers make no sense, or its states are not those that were given.
    pub fn update(
        &self,
        op: Update,
        states: &[&Var],
        gradients: &Var,
        clock: &Var,
        schedule: &Var,
        groups: &Var,
    ) -> Result<()> {
        let before = [self].into_iter().chain(states.iter().copied());
        let inputs: Vec<&Var> = before.chain([gradients, clock, schedule, groups]).collect();
        self.graph.push(op, &inputs).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_products_of_nadam_have_arrived_where_they_stay() {
        let products: Vec<f64> = rule::products().collect();
        assert_eq!(products[..3], [1.0, 0.52, 0.52 * (1.0 - 0.5 * 0.9216)]);
        let end: f64 = (1..10_000).map(|t| 1.0 - 0.5 * 0.96f64.powi(t)).product();
        let last = products[rule::PRODUCTS - 1];
        assert!((last - end).abs() < 1e-7 * end, "{last} is not {end}");
    }
}

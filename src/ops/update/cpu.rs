use super::{Rule, Update, one_minus_power, rule};
use crate::contract::blocks::{BLOCK, Blocks};
use crate::contract::clock::{learning_rate, update_of};
use crate::contract::{CpuCall, Real, View, parallel_together};
use crate::microkernel::wide_fn;

/// What all blocks of an update share.
struct Step<'a, T> {
    gradients: &'a [T],
    rate: T,
    groups: Blocks<'a>,
}

impl<T: Real> Step<'_, T> {
    /// Decays every block that is not frozen, then runs `change(learning rate, blocks of the arenas, block of the gradients)` over it.
    /// The parameters are the first arena.
    fn each<const N: usize>(&self, arenas: [&mut [T]; N], change: impl Fn(T, [&mut [T]; N], &[T]) + Send + Sync) {
        parallel_together(arenas, |start, mut arenas| {
            let len = arenas[0].len();
            for at in (0..len).step_by(BLOCK) {
                let [factor, decay] = self.groups.settings((start + at) / BLOCK);
                if factor == 0.0 {
                    continue;
                }
                let rate = self.rate * T::of(f64::from(factor));
                let blocks = arenas.each_mut().map(|arena| &mut arena[at..at + BLOCK]);
                if decay != 0.0 {
                    let share = rate * T::of(f64::from(decay));
                    blocks[0].iter_mut().for_each(|p| *p -= *p * share);
                }
                change(rate, blocks, &self.gradients[start + at..start + at + BLOCK]);
            }
        });
    }
}

/// The twin of `shaders/update.wgsl`.
pub(super) fn run<T: Real>(op: &Update, mut call: CpuCall<'_, T>) {
    let (arenas, rest) = call.x.split_at_mut(1 + op.rule.states().len());
    let [gradients, clock, schedule, groups] = rest else {
        unreachable!("the shape rule lets four tensors stand behind the state")
    };
    let Some(t) = update_of(clock.u(), op.every) else { return };
    let rate = T::of(f64::from(learning_rate(clock.u(), schedule.u())));
    let gradients = gradients.f();
    let groups = Blocks::of(groups.u(), gradients.len());
    let step = Step { gradients, rate, groups };
    match op.rule {
        Rule::Sgd { momentum, nesterov } => sgd(&step, arenas, momentum, nesterov),
        Rule::Adam { beta1, beta2, epsilon, .. } => adam(&step, arenas, [1.0 - beta1, 1.0 - beta2], epsilon, t),
        Rule::Nadam { beta1, beta2, epsilon } => nadam(&step, arenas, [beta1, beta2], epsilon, t),
        Rule::RmsProp { rho, momentum, epsilon, centered } => {
            rms_prop(&step, arenas, 1.0 - rho, momentum, epsilon, centered);
        }
        Rule::Adagrad { epsilon, .. } => {
            let epsilon = T::of(epsilon);
            step.each(exclusive(arenas), |rate, [p, a], g| {
                for ((p, a), g) in p.iter_mut().zip(a).zip(g) {
                    *a += *g * *g;
                    *p -= rate * *g / (*a + epsilon).sqrt();
                }
            });
        }
    }
}

/// The arenas that are written.
fn exclusive<'a, 'v, T: Real, const N: usize>(arenas: &'a mut [View<'v, T>]) -> [&'a mut [T]; N] {
    let mut arenas = arenas.iter_mut();
    [(); N].map(|()| arenas.next().map(View::f_mut).unwrap_or_default())
}

fn sgd<T: Real>(step: &Step<'_, T>, arenas: &mut [View<'_, T>], momentum: f64, nesterov: bool) {
    if momentum == 0.0 {
        return step.each(exclusive(arenas), |rate, [p], g| {
            p.iter_mut().zip(g).for_each(|(p, g)| *p -= rate * *g);
        });
    }
    let momentum = T::of(momentum);
    step.each(exclusive(arenas), |rate, [p, v], g| {
        for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
            let change = rate * *g;
            *v = momentum * *v - change;
            *p += if nesterov { momentum * *v - change } else { *v };
        }
    });
}

fn adam<T: Real>(step: &Step<'_, T>, arenas: &mut [View<'_, T>], gains: [f64; 2], epsilon: f64, t: u32) {
    let ([gain1, gain2], epsilon) = (gains.map(T::of), T::of(epsilon));
    let (root, first) = (one_minus_power(gain2, t).sqrt(), one_minus_power(gain1, t));
    if arenas.len() == 3 {
        return step.each(exclusive(arenas), |rate, [p, m, v], g| {
            adam_block([rate * root / first, gain1, gain2, epsilon], p, m, v, g);
        });
    }
    step.each(exclusive(arenas), |rate, [p, m, v, top], g| {
        let alpha = rate * root / first;
        for ((((p, m), v), top), g) in p.iter_mut().zip(m).zip(v).zip(top).zip(g) {
            *m += (*g - *m) * gain1;
            *v += (*g * *g - *v) * gain2;
            *top = top.max(*v);
            *p -= alpha * *m / (top.sqrt() + epsilon);
        }
    });
}

wide_fn! {
    /// Adam's step for one block, with `alpha`, the gains of both moments, and epsilon.
    fn adam_block<T: Real>(constants: [T; 4], p: &mut [T], m: &mut [T], v: &mut [T], g: &[T]) {
        let [alpha, gain1, gain2, epsilon] = constants;
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m += (*g - *m) * gain1;
            *v += (*g * *g - *v) * gain2;
            *p -= alpha * *m / (v.sqrt() + epsilon);
        }
    }
}

fn nadam<T: Real>(step: &Step<'_, T>, arenas: &mut [View<'_, T>], betas: [f64; 2], epsilon: f64, t: u32) {
    let one = T::one();
    let ([gain1, gain2], epsilon) = (betas.map(|beta| T::of(1.0 - beta)), T::of(epsilon));
    let share = |t: u32| T::of(betas[0]) * (one - T::of(0.5) * (one - one_minus_power(T::of(0.04), t)));
    let product = rule::products().nth((t as usize).min(rule::PRODUCTS - 1)).unwrap_or(0.0);
    let (now, next) = (share(t), share(t.saturating_add(1)));
    let so_far = (one - one_minus_power(gain1, t)) * T::of(product);
    let (of_moment, of_gradient) = (next / (one - so_far * next), (one - now) / (one - so_far));
    let second = one_minus_power(gain2, t);
    step.each(exclusive(arenas), |rate, [p, m, v], g| {
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m += (*g - *m) * gain1;
            *v += (*g * *g - *v) * gain2;
            *p -= rate * (of_moment * *m + of_gradient * *g) / ((*v / second).sqrt() + epsilon);
        }
    });
}

fn rms_prop<T: Real>(
    step: &Step<'_, T>,
    arenas: &mut [View<'_, T>],
    gain: f64,
    momentum: f64,
    epsilon: f64,
    centered: bool,
) {
    let (gain, keep, epsilon) = (T::of(gain), T::of(momentum), T::of(epsilon));
    let square = |v: &mut T, g: T| {
        *v += (g * g - *v) * gain;
        *v
    };
    // A variance is not negative, but the difference of two rounded numbers may be.
    let variance = |v: &mut T, a: &mut T, g: T| {
        *a += (g - *a) * gain;
        (square(v, g) - *a * *a).max(T::zero())
    };
    match (momentum != 0.0, centered) {
        (false, false) => step.each(exclusive(arenas), |rate, [p, v], g| {
            for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
                *p -= rate * *g / (square(v, *g) + epsilon).sqrt();
            }
        }),
        (false, true) => step.each(exclusive(arenas), |rate, [p, v, a], g| {
            for (((p, v), a), g) in p.iter_mut().zip(v).zip(a).zip(g) {
                *p -= rate * *g / (variance(v, a, *g) + epsilon).sqrt();
            }
        }),
        (true, false) => step.each(exclusive(arenas), |rate, [p, v, b], g| {
            for (((p, v), b), g) in p.iter_mut().zip(v).zip(b).zip(g) {
                *b = keep * *b + rate * *g / (square(v, *g) + epsilon).sqrt();
                *p -= *b;
            }
        }),
        (true, true) => step.each(exclusive(arenas), |rate, [p, v, b, a], g| {
            for ((((p, v), b), a), g) in p.iter_mut().zip(v).zip(b).zip(a).zip(g) {
                *b = keep * *b + rate * *g / (variance(v, a, *g) + epsilon).sqrt();
                *p -= *b;
            }
        }),
    }
}

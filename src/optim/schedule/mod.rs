//! Learning rates as a function of the step.

mod curves;

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

pub use curves::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, OneCycle, PiecewiseConstant, PolynomialDecay, StepDecay, WarmUp,
};

/// The learning rate of every update, counted from 0 over the whole training.
///
/// A number is a constant rate; the other schedules are Keras's, under Keras's names where it has them:
///
/// ```
/// use galen::optim::{Adam, CosineDecay, Schedule, Sgd, StepDecay, WarmUp};
///
/// let constant = Sgd::new(0.1);
/// let stairs = Sgd::new(StepDecay::new(0.1, 1000, 0.5));
/// let cosine = Adam::new(CosineDecay::new(0.0, 10_000).warm_up(1e-3, 500));
/// let warm = Adam::new(WarmUp::new(100, 1e-3));
/// let own = Sgd::new(Schedule::custom(|step| 0.1 / (1.0 + step as f32)));
/// # use galen::optim::Optimizer;
/// assert_eq!([0, 999, 1000].map(|t| stairs.learning_rate(t)), [0.1, 0.1, 0.05]);
/// assert_eq!([0, 50, 100, 5000].map(|t| warm.learning_rate(t)), [0.0, 5e-4, 1e-3, 1e-3]);
/// assert_eq!(own.learning_rate(1), 0.05);
/// # let _ = (constant, cosine);
/// ```
#[derive(Clone)]
pub struct Schedule(Arc<dyn Curve>);

/// A rate as a function of the step.
trait Curve: fmt::Debug + Send + Sync {
    /// The rate of a step.
    fn at(&self, step: usize) -> f64;

    /// Refuses settings that make no sense, in the name of `owner`.
    fn check(&self, owner: &str) -> Result<()>;
}

impl Schedule {
    /// A schedule of your own. It must give numbers that are finite and not negative.
    pub fn custom(rate: impl Fn(usize) -> f32 + Send + Sync + 'static) -> Schedule {
        Schedule(Arc::new(Custom(Box::new(rate))))
    }

    /// The learning rate of update `step`, counted from 0.
    pub fn at(&self, step: usize) -> f32 {
        self.0.at(step) as f32
    }

    /// Refuses rates and settings that make no sense, in the name of the optimizer `owner`.
    ///
    /// # Errors
    /// Where a constant rate is not a positive number, a rate is negative or not finite, a number of steps is 0, or another setting
    /// is outside of its range.
    pub fn check(&self, owner: &str) -> Result<()> {
        self.0.check(owner)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<f64> for Schedule {
    fn from(rate: f64) -> Schedule {
        Schedule(Arc::new(Constant(rate)))
    }
}

impl From<f32> for Schedule {
    fn from(rate: f32) -> Schedule {
        Schedule::from(f64::from(rate))
    }
}

#[derive(Debug)]
struct Constant(f64);

impl Curve for Constant {
    fn at(&self, _step: usize) -> f64 {
        self.0
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.0)
    }
}

struct Custom(Box<dyn Fn(usize) -> f32 + Send + Sync>);

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("custom")
    }
}

impl Curve for Custom {
    fn at(&self, step: usize) -> f64 {
        f64::from((self.0)(step))
    }

    fn check(&self, owner: &str) -> Result<()> {
        not_negative(owner, "learning rate", self.at(0))
    }
}

fn positive(owner: &str, what: &str, value: f64) -> Result<()> {
    if (value as f32).is_finite() && value as f32 > 0.0 {
        return Ok(());
    }
    Err(Error::parameter(owner, what, "a positive number", value))
}

pub(super) fn not_negative(owner: &str, what: &str, value: f64) -> Result<()> {
    if (value as f32).is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::parameter(owner, what, "a number not below 0", value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(schedule: impl Into<Schedule>, expected: &[(usize, f64)]) {
        let schedule = schedule.into();
        schedule.check("test").expect("sensible settings");
        for &(step, rate) in expected {
            let (at, close) = (f64::from(schedule.at(step)), 1e-6 * rate.abs().max(1e-3));
            assert!((at - rate).abs() <= close, "{schedule:?}, step {step}: {at}, expected {rate}");
        }
    }

    /// The numbers are those of Keras 3.15 (TensorFlow 2.21).
    #[test]
    fn schedules_go_as_in_keras() {
        let exponential = ExponentialDecay::new(0.1, 100, 0.96);
        goes(
            exponential.clone(),
            &[(0, 0.1), (1, 0.0999591863), (50, 0.0979795886), (100, 0.096), (250, 0.0902979848)],
        );
        goes(exponential.staircase(), &[(0, 0.1), (99, 0.1), (100, 0.096), (250, 0.09216)]);
        let polynomial = PolynomialDecay::new(0.1, 100);
        goes(polynomial.clone(), &[(0, 0.1), (1, 0.099001), (50, 0.05005), (100, 1e-4), (250, 1e-4)]);
        let root = polynomial.clone().end(0.01).power(0.5);
        goes(root, &[(0, 0.1), (1, 0.0995488693), (50, 0.0736396102), (99, 0.019), (100, 0.01), (250, 0.01)]);
        let cycle = polynomial.end(0.01).power(2.0).cycle();
        goes(
            cycle,
            &[(0, 0.1), (1, 0.098209), (99, 0.010009), (100, 0.01), (101, 0.0320522498), (200, 0.01), (250, 0.0125)],
        );
        let pieces = PiecewiseConstant::new([10, 20], [0.1, 0.05, 0.01]);
        goes(pieces, &[(0, 0.1), (10, 0.1), (11, 0.05), (20, 0.05), (21, 0.01), (100, 0.01)]);
        let cosine = CosineDecay::new(0.1, 100);
        goes(cosine.clone(), &[(0, 0.1), (1, 0.099975328), (50, 0.05), (99, 2.46719817e-5), (100, 0.0), (150, 0.0)]);
        goes(cosine.alpha(0.1), &[(0, 0.1), (25, 0.0868198052), (100, 0.01), (150, 0.01)]);
        goes(
            CosineDecay::new(0.01, 100).alpha(0.1).warm_up(0.2, 10),
            &[(0, 0.01), (5, 0.105), (9, 0.181), (10, 0.2), (60, 0.11), (109, 0.0200444099), (110, 0.02), (200, 0.02)],
        );
        goes(
            CosineDecayRestarts::new(0.1, 100),
            &[
                (0, 0.1),
                (50, 0.05),
                (99, 2.46719817e-5),
                (100, 0.1),
                (200, 0.05),
                (299, 6.16837592e-6),
                (301, 0.0999984579),
                (650, 0.00380602337),
                (701, 0.0999996145),
            ],
        );
        goes(
            CosineDecayRestarts::new(0.1, 10).t_mul(1.0).m_mul(0.5).alpha(0.05),
            &[(0, 0.1), (5, 0.0525), (9, 0.00732481555), (10, 0.0525), (25, 0.016875), (39, 0.00529060201)],
        );
        goes(
            CosineDecayRestarts::new(0.1, 10).t_mul(1.5).m_mul(0.8),
            &[
                (0, 0.1),
                (9, 0.00244717419),
                (12, 0.0765418194),
                (24, 0.000874095984),
                (26, 0.0636885801),
                (46, 0.000699276797),
                (50, 0.0505099509),
            ],
        );
    }

    /// Computed by hand from the formulas.
    #[test]
    fn the_others_go_by_their_formulas() {
        goes(0.25f32, &[(0, 0.25), (1_000_000, 0.25)]);
        goes(StepDecay::new(0.8, 3, 0.5), &[(0, 0.8), (2, 0.8), (3, 0.4), (6, 0.2), (8, 0.2)]);
        goes(Schedule::custom(|step| 1.0 / (step + 1) as f32), &[(0, 1.0), (3, 0.25)]);
        goes(WarmUp::new(4, StepDecay::new(0.8, 3, 0.5)), &[(0, 0.0), (1, 0.2), (4, 0.8), (6, 0.8), (7, 0.4)]);
        // Ten steps: from 0.04 up to 1 in step 2, then down to 0.000004 in step 9.
        let half = 0.04 + 0.96 * 0.5;
        let down = |part: f64| 4e-6 + (1.0 - 4e-6) * 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
        let cycle = OneCycle::new(1.0, 10);
        goes(
            cycle,
            &[(0, 0.04), (1, half), (2, 1.0), (3, down(1.0 / 7.0)), (8, down(6.0 / 7.0)), (9, 4e-6), (20, 4e-6)],
        );
        goes(OneCycle::new(1.0, 1), &[(0, 1.0), (5, 1.0)]);
        goes(OneCycle::new(1.0, 10).rise(0.0).final_div_factor(4.0), &[(0, 1.0), (9, 0.01)]);
        goes(OneCycle::new(1.0, 10).rise(1.0).div_factor(2.0), &[(0, 0.5), (9, 1.0), (10, 1.0)]);
    }

    #[test]
    fn a_cosine_begins_where_the_one_before_ended_whatever_the_rounding() {
        for t_mul in [1.0, 1.1, 1.5, 2.0, 3.0] {
            let schedule = CosineDecayRestarts::new(1.0, 7).t_mul(t_mul);
            let (mut i, mut start) = (0, 0.0f64);
            while start < 1e6 {
                let (length, first) = (7.0 * f64::powi(t_mul, i), start.ceil());
                let part = (first - start) / length;
                let expected = (0.5 * (1.0 + (std::f64::consts::PI * part).cos())) as f32;
                let at = Schedule::from(schedule.clone()).at(first as usize);
                // A start that is a whole number may be seen as the end of the cosine before.
                assert!(
                    (at - expected).abs() < 1e-5 || (part < 1e-9 && at < 1e-5),
                    "{t_mul}, {first}: {at}, {expected}"
                );
                (i, start) = (i + 1, start + length);
            }
        }
    }

    #[test]
    fn senseless_settings_are_refused() {
        let refused: Vec<(Schedule, &str)> = vec![
            (0.0f32.into(), "a positive number"),
            ((-1.0f32).into(), "a positive number"),
            (f32::NAN.into(), "a positive number"),
            (f64::INFINITY.into(), "a positive number"),
            (1e300.into(), "a positive number"),
            (StepDecay::new(0.1, 0, 0.5).into(), "steps of a stair"),
            (StepDecay::new(0.1, 1, -0.5).into(), "factor"),
            (ExponentialDecay::new(0.1, 0, 0.5).into(), "decay steps"),
            (ExponentialDecay::new(0.1, 1, 0.0).into(), "decay rate"),
            (PolynomialDecay::new(0.1, 10).end(-1.0).into(), "end"),
            (PolynomialDecay::new(0.1, 10).power(f64::NAN).into(), "power"),
            (PiecewiseConstant::new([1, 2], [0.1, 0.2]).into(), "one value more"),
            (PiecewiseConstant::new([2, 1], [0.1, 0.2, 0.3]).into(), "ascending"),
            (PiecewiseConstant::new([1], [0.1, -0.2]).into(), "not below 0"),
            (CosineDecay::new(0.0, 10).into(), "a positive number"),
            (CosineDecay::new(0.0, 10).warm_up(0.0, 5).into(), "warm-up target"),
            (CosineDecay::new(0.1, 0).into(), "decay steps"),
            (CosineDecay::new(0.1, 10).alpha(2.0).into(), "alpha"),
            (CosineDecayRestarts::new(0.1, 10).t_mul(0.5).into(), "t_mul"),
            (CosineDecayRestarts::new(0.1, 10).m_mul(0.0).into(), "m_mul"),
            (OneCycle::new(0.1, 0).into(), "steps of the cycle"),
            (OneCycle::new(0.1, 10).rise(1.5).into(), "rising"),
            (OneCycle::new(0.1, 10).div_factor(0.0).into(), "div factor"),
            (WarmUp::new(10, 0.0).into(), "a positive number"),
            (Schedule::custom(|_| f32::NAN), "not below 0"),
        ];
        for (schedule, part) in refused {
            let error = schedule.check("adam").expect_err("a senseless setting").to_string();
            assert!(error.contains("adam: learning rate") && error.contains(part), "{schedule:?}: {error}");
        }
    }
}

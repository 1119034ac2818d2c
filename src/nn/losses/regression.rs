use super::Loss;
use super::targets::{check_positive, like};
use crate::error::Result;
use crate::graph::Var;

/// Losses without settings, of predictions and targets of one shape, element by element.
macro_rules! plain {
    ($($(#[$doc:meta])* $loss:ident, $name:literal: |$y:ident, $t:ident| $values:expr;)*) => {
        $($(#[$doc])*
        ///
        /// Targets are `f32` in the predictions' shape; one value per sample may come as `[n]` or as `[n, 1]`.
        #[derive(Clone, Debug, Default)]
        pub struct $loss;

        impl $loss {
            /// The loss; it has no settings.
            pub fn new() -> Self {
                $loss
            }
        }

        impl Loss for $loss {
            fn name(&self) -> &'static str {
                $name
            }

            fn values(&self, $y: &Var, targets: &Var) -> Result<Var> {
                let $t = &like($name, $y, targets)?;
                $values
            }
        })*
    };
}

plain! {
    /// `(y − t)²`, element by element.
    MeanSquaredError, "mse": |y, t| y.sub(t)?.square();
    /// `|y − t|`, element by element, with slope 0 at 0.
    MeanAbsoluteError, "mae": |y, t| y.sub(t)?.abs();
    /// `100 |t − y| / max(|t|, 1e-7)`, element by element.
    MeanAbsolutePercentageError, "mape": |y, t| {
        y.sub(t)?.abs()?.div(&t.abs()?.clip(1e-7, f32::MAX)?)?.scale(100.0)
    };
    /// `(ln(1 + y) − ln(1 + t))²`, element by element; what is below 1e-7 counts as 1e-7. For amounts over several orders of magnitude.
    MeanSquaredLogarithmicError, "msle": |y, t| {
        let log = |x: &Var| x.clip(1e-7, f32::MAX)?.log1p();
        log(y)?.sub(&log(t)?)?.square()
    };
    /// `ln cosh(y − t)`, element by element: half the square where the error is small, its magnitude less `ln 2` where it is large. As
    /// `e + ln(1 + e⁻²ᵉ) − ln 2`, which does not overflow.
    LogCosh, "log_cosh": |y, t| {
        let e = y.sub(t)?.abs()?;
        e.add(&e.scale(-2.0)?.softplus()?)?.shift(-std::f32::consts::LN_2)
    };
}

/// Half the square of the error `e = y − t` where `|e| ≤ δ`, else `δ |e| − δ²/2`, element by element: outliers pull with a force of `δ` at
/// most. Source: P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).
///
/// Targets are `f32` in the predictions' shape; one value per sample may come as `[n]` or as `[n, 1]`.
#[derive(Clone, Debug)]
pub struct Huber {
    delta: f32,
}

impl Huber {
    /// Where the square ends; 1 in Keras.
    pub fn new(delta: f32) -> Self {
        Huber { delta }
    }
}

impl Default for Huber {
    fn default() -> Self {
        Huber::new(1.0)
    }
}

impl Loss for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_positive("huber", "delta", self.delta)?;
        let size = y.sub(&like("huber", y, targets)?)?.abs()?;
        // q = min(|e|, δ): q²/2 + δ (|e| − q)
        let square = size.clip(0.0, self.delta)?;
        square.square()?.scale(0.5)?.add(&size.sub(&square)?.scale(self.delta)?)
    }
}

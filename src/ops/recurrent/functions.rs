//! The functions of the twins' cells, in forms of which a compiler computes several at once: a recurrence spends more time in them
//! than in its products.
//!
//! Source: S. Moshier, Cephes Mathematical Library (1989), `expf` and `tanhf`; off by at most 3 units in the last place.

use crate::contract::Real;

/// `1 / (1 + e⁻ˣ)`
pub(crate) fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + exp(-x))
}

/// The slope of the sigmoid where its value is `y`.
pub(crate) fn sigmoid_slope<T: Real>(y: T) -> T {
    y * (T::one() - y)
}

/// The hyperbolic tangent.
pub(crate) fn tanh<T: Real>(x: T) -> T {
    // The way through f64 is one on paper only: of a conversion to f64 and back nothing is left in the program.
    if is_f32::<T>() { T::of(f64::from(tanh32(x.f64() as f32))) } else { x.tanh() }
}

/// The slope of the hyperbolic tangent where its value is `y`.
pub(crate) fn tanh_slope<T: Real>(y: T) -> T {
    T::one() - y * y
}

fn exp<T: Real>(x: T) -> T {
    if is_f32::<T>() { T::of(f64::from(exp32(x.f64() as f32))) } else { x.exp() }
}

fn is_f32<T: Real>() -> bool {
    size_of::<T>() == size_of::<f32>()
}

/// `eˣ = 2ⁿ eʳ` with whole `n` and `|r| ≤ ln 2 / 2`, for `x` of -87 to 88; those beyond give what the nearer end gives.
#[inline(always)]
fn exp32(x: f32) -> f32 {
    // A NaN is neither below nor above, and stays.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    // Beside this number there is no room for fractions, so that a sum with it is rounded, and its last bits are n.
    const ROUND: f32 = 12_582_912.0;
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, of which the first times n is exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        series = series * r + c;
    }
    let power = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    (series * (r * r) + r + 1.0) * f32::from_bits(power)
}

#[inline(always)]
fn tanh32(x: f32) -> f32 {
    let square = x * x;
    let mut series = -5.704_988_7e-3;
    for c in [2.063_909e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_8] {
        series = series * square + c;
    }
    let (near_0, beyond) = (series * square * x + x, 1.0 - 2.0 / (exp32(2.0 * x.abs()) + 1.0));
    if x.abs() < 0.625 { near_0 } else { beyond.copysign(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_close_to_those_of_f64() {
        let near = |y: f32, truth: f64, x: f32| {
            let off = (f64::from(y) - truth).abs() / (truth.abs() * f64::from(f32::EPSILON) / 2.0);
            assert!(off <= 3.0 || (f64::from(y) - truth).abs() < 1e-37, "{x}: {y}, expected {truth}: off by {off}");
        };
        for i in -40_000..=40_000 {
            let x = i as f32 / 1000.0;
            near(sigmoid(x), sigmoid(f64::from(x)), x);
            near(tanh(x), f64::from(x).tanh(), x);
            let small = x * 1e-6;
            near(tanh(small), f64::from(small).tanh(), small);
        }
    }

    #[test]
    fn they_saturate_and_keep_a_nan() {
        for x in [20.0f32, 88.0, 1e30, f32::INFINITY] {
            assert_eq!((sigmoid(x), tanh(x), tanh(-x)), (1.0, 1.0, -1.0), "{x}");
            assert!((0.0..1e-8).contains(&sigmoid(-x)), "{x}");
        }
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }
}

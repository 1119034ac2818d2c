//! The normal distribution's function, its tail and its inverse.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

/// The probability of a value below `x`.
pub(super) fn below(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

/// The probability of a value further from 0 than `x`, on either side.
pub(super) fn beyond(x: f64) -> f64 {
    libm::erfc(x.abs() * FRAC_1_SQRT_2)
}

/// The value below which a share `p` lies; ±∞ for 0 and 1.
pub(super) fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    // A first guess within 4.5e-4 (M. Abramowitz, I. Stegun, 26.2.23), then Halley's steps, each of which triples the right digits.
    let t = (-2.0 * p.ln()).sqrt();
    let above = 2.515517 + t * (0.802853 + t * 0.010328);
    let mut x = above / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for _ in 0..3 {
        let step = (below(x) - p) * TAU.sqrt() * (x * x / 2.0).exp();
        x -= step / (1.0 + x * step / 2.0);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SciPy 1.17, `scipy.special.ndtri`.
    #[test]
    fn quantiles_are_those_of_scipy() {
        let known = [
            (0.025, -1.9599639845400545),
            (0.5, 0.0),
            (0.9, 1.2815515655446004),
            (1e-10, -6.361340902404056),
            (1e-300, -37.0470962993612),
            (0.999, 3.090232306167813),
        ];
        for (p, x) in known {
            assert!((quantile(p) - x).abs() <= 1e-14 * f64::max(1.0, f64::abs(x)), "{p}: {}, not {x}", quantile(p));
        }
        assert_eq!([quantile(0.0), quantile(1.0)], [f64::NEG_INFINITY, f64::INFINITY]);
        assert!((below(quantile(0.3)) - 0.3).abs() < 1e-16 && (beyond(1.959963984540054) - 0.05).abs() < 1e-16);
    }
}

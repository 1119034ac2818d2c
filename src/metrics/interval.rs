use std::fmt;

use serde::Serialize;

use super::{check, normal};
use crate::error::{Error, Result};

/// A number with what it could as well have been.
///
/// ```
/// let interval = galen::metrics::Interval { value: 0.8941, low: 0.842, high: 0.94, level: 0.95 };
/// assert_eq!(interval.to_string(), "0.894 (95 % CI 0.842 to 0.940)");
/// assert_eq!(format!("{interval:.2}"), "0.89 (95 % CI 0.84 to 0.94)");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// What was measured.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The share of such intervals that hold the true value: 0.95.
    pub level: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        // 0.999 · 100 is not 99.9 to the last bit.
        let percent = (self.level * 1e6).round() / 1e4;
        let Interval { value, low, high, .. } = self;
        write!(f, "{value:.digits$} ({percent} % CI {low:.digits$} to {high:.digits$})")
    }
}

/// Wilson's score interval of a share: of a sensitivity found in `part` of `whole` patients. It stays in 0..1 and is sound for few
/// samples and for shares near 0 and 1. Source: E. Wilson (1927), without continuity correction; SciPy, `binomtest(part,
/// whole).proportion_ci(method="wilson")`.
///
/// # Errors
/// [`Error::Data`] where the whole is zero or smaller than the part; [`Error::Parameter`] where `level` is not in (0, 1).
pub fn wilson(part: usize, whole: usize, level: f64) -> Result<Interval> {
    check::level("Wilson's interval", level)?;
    if whole == 0 || part > whole {
        return Err(Error::data("share", "a part of at least one", format!("{part} of {whole}")));
    }
    let (n, z) = (whole as f64, normal::quantile(0.5 + level / 2.0));
    let p = part as f64 / n;
    let (middle, scale) = (p + z * z / (2.0 * n), 1.0 + z * z / n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    // At the ends the roots are exactly 0 and 1; computed they miss them by rounding.
    let low = if part == 0 { 0.0 } else { (middle - half) / scale };
    let high = if part == whole { 1.0 } else { (middle + half) / scale };
    Ok(Interval { value: p, low, high, level })
}

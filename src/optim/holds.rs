use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::contract::exact;
use crate::error::{Error, Result};
use crate::graph::SlotSpec;
use crate::ops::max_norm;

/// A penalty on numbers `w`, added to the loss: `l1 · Σ|w| + l2 · Σw²`, as in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    /// The factor of the sum of magnitudes; drives weights to zero.
    #[serde(with = "exact")]
    pub l1: f32,
    /// The factor of the sum of squares; keeps weights small.
    #[serde(with = "exact")]
    pub l2: f32,
}

impl Penalty {
    /// No penalty.
    pub const NONE: Penalty = Penalty { l1: 0.0, l2: 0.0 };

    /// `factor · Σ|w|`
    pub const fn l1(factor: f32) -> Penalty {
        Penalty { l1: factor, l2: 0.0 }
    }

    /// `factor · Σw²`
    pub const fn l2(factor: f32) -> Penalty {
        Penalty { l1: 0.0, l2: factor }
    }

    /// `l1 · Σ|w| + l2 · Σw²`
    pub const fn l1_l2(l1: f32, l2: f32) -> Penalty {
        Penalty { l1, l2 }
    }

    /// Refuses factors that make no sense; `what` is what they are a penalty on.
    pub(crate) fn check(self, what: &str) -> Result<()> {
        for (name, factor) in [("l1", self.l1), ("l2", self.l2)] {
            if !factor.is_finite() || factor < 0.0 {
                return Err(Error::parameter(format!("the {what} penalty"), name, "a number not below 0", factor));
            }
        }
        Ok(())
    }
}

/// How a parameter's units lie in its tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Units {
    /// `[inputs, units]`: a unit is a column, as in dense and recurrent layers.
    Columns,
    /// `[units, ..]`: a unit is a row, as in convolutions.
    Rows,
}

/// After every update the weights of each unit are scaled so that their norm is at most `limit`. Source: N. Srivastava et al.,
/// JMLR 15, 2014.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxNorm {
    /// The largest norm.
    #[serde(with = "exact")]
    pub limit: f32,
    /// Where the units lie.
    pub units: Units,
}

/// What holds a parameter back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The parameter's name: `dense/kernel`.
    pub slot: String,
    /// Its penalty.
    pub penalty: Penalty,
    /// The largest norm of its units.
    pub max_norm: Option<MaxNorm>,
}

/// What holds each slot back, by its name.
pub(super) fn by_slot(holds: &[Hold]) -> HashMap<&str, &Hold> {
    // Of several for one slot the first counts.
    holds.iter().rev().map(|hold| (hold.slot.as_str(), hold)).collect()
}

/// Refuses holds of parameters that are not there.
pub(super) fn check(holds: &[Hold], slots: &[SlotSpec]) -> Result<()> {
    for hold in holds {
        hold.penalty.check(&hold.slot)?;
        if let Some(MaxNorm { limit, .. }) = hold.max_norm.filter(|norm| !norm.limit.is_finite() || norm.limit <= 0.0) {
            return Err(Error::parameter(&hold.slot, "max norm", "a positive number", limit));
        }
    }
    let names: HashSet<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    match holds.iter().find(|hold| !names.contains(hold.slot.as_str())) {
        Some(hold) => Err(Error::usage(format!("parameter \"{}\"", hold.slot), "it is held back, and is not there")),
        None => Ok(()),
    }
}

/// Where the units of a parameter lie in the arena.
pub(super) fn units_of(slot: &SlotSpec, max_norm: MaxNorm) -> max_norm::Units {
    let shape = &slot.spec.shape;
    let edge = if max_norm.units == Units::Columns { shape.last() } else { shape.first() };
    let units = edge.copied().unwrap_or(1);
    let elements = shape.elements() / units;
    let (unit_stride, element_stride) = if max_norm.units == Units::Columns { (1, units) } else { (elements, 1) };
    max_norm::Units { offset: slot.offset, units, unit_stride, elements, element_stride, limit: max_norm.limit }
}

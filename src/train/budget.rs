//! How a pass fits into memory; and where it does not, what would.

use super::feed::Feed;
use super::program::Recipe;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::graph::{BUDGET, Limits, Plan};

/// The plan of a full batch of `feed`, and where its data lies: on the device, or where it does not fit beside everything else, streamed.
///
/// # Errors
/// Those of building the step. [`Error::Limit`] where it does not fit even so: with the smallest budget for batches of this size, and the
/// largest batch for this budget and device.
pub(super) fn fit(recipe: &Recipe<'_>, session: &Session, feed: &Feed, limits: &Limits) -> Result<(Plan, Feed)> {
    let fits = |feed: &Feed, budget: u64| placed(recipe, session, feed, &Limits { budget, ..limits.clone() });
    fits(feed, limits.budget).map_err(|error| match error {
        Error::Limit { node, needed, allowed, unit, limit, .. } => {
            let budget = || smallest_budget(recipe, session, feed, |budget| fits(feed, budget).is_ok());
            let budget = if limit == BUDGET { budget() } else { None };
            let batch = largest(feed.batch, |batch| fits(&feed.with_batch(batch), limits.budget).is_ok());
            let remedy = remedy(feed.batch, budget, batch);
            Error::Limit { node, needed, allowed, unit, limit, remedy }
        }
        other => other,
    })
}

fn placed(recipe: &Recipe<'_>, session: &Session, feed: &Feed, limits: &Limits) -> Result<(Plan, Feed)> {
    let resident = recipe.plan(session, feed, feed.batch)?;
    if resident.check(limits).is_ok() {
        return Ok((resident, feed.clone()));
    }
    let data = feed.rows as u64 * feed.bytes_per_row();
    let rest = resident.bytes().saturating_sub(data);
    let feed = feed.streamed(limits.budget.saturating_sub(rest), limits.binding.min(limits.buffer));
    let plan = recipe.plan(session, &feed, feed.batch)?;
    plan.check(limits)?;
    Ok((plan, feed))
}

/// The smallest budget in which `fits` is true; nothing where another limit is in the way.
fn smallest_budget(recipe: &Recipe<'_>, session: &Session, feed: &Feed, fits: impl Fn(u64) -> bool) -> Option<u64> {
    // Less than two shards of the smallest size there cannot be.
    let least = feed.streamed(0, u64::MAX);
    let least = recipe.plan(session, &least, feed.batch).ok()?.bytes();
    let high = (0..8).map(|doubled| least << doubled).find(|budget| fits(*budget))?;
    let (mut low, mut high) = (if high == least { high - 1 } else { high / 2 }, high);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The largest batch, below one that is too large, for which `fits` is true.
fn largest(too_large: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut low, mut high) = (0, too_large);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    Some(low).filter(|low| *low > 0)
}

/// What to do about it.
fn remedy(batch: usize, budget: Option<u64>, fitting: Option<usize>) -> String {
    let budget = budget.map(|bytes| format!("; the smallest budget for batches of {batch} is {bytes} bytes"));
    let batch = match fitting {
        Some(batch) => format!("; the largest batch that fits is {batch}"),
        None => "; no batch fits, not even one sample".to_owned(),
    };
    budget.unwrap_or_default() + &batch
}

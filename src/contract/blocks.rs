//! Settings of parameters, block by block: slots of an arena start at multiples of [`BLOCK`] elements, so that a block belongs to
//! one parameter and whole layers can have settings of their own in one dispatch.
//!
//! A table is `u32` words: for every *group* of parameters its [`SETTINGS`] numbers as bits of `f32`, then for every block of the
//! arena the group that it belongs to. The WGSL twin is `shaders/shared/blocks.wgsl`.

use crate::error::{Error, Result};
use crate::graph::SLOT_ALIGN;
use crate::shape::TensorSpec;

/// Elements of a block.
pub const BLOCK: usize = SLOT_ALIGN;
/// Numbers that a group has.
pub const SETTINGS: usize = 2;

/// The table of an arena whose i-th block belongs to the group `blocks[i]`.
pub fn table(groups: &[[f32; SETTINGS]], blocks: &[u32]) -> Vec<u32> {
    groups.iter().flatten().map(|setting| setting.to_bits()).chain(blocks.iter().copied()).collect()
}

/// A table that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks<'a> {
    groups: &'a [u32],
    blocks: &'a [u32],
}

impl<'a> Blocks<'a> {
    /// The table `words` of an arena of `len` elements.
    pub(crate) fn of(words: &'a [u32], len: usize) -> Self {
        let (groups, blocks) = words.split_at(words.len() - len / BLOCK);
        Blocks { groups, blocks }
    }

    /// The settings of a block. A group that is not there is the last.
    pub(crate) fn settings(&self, block: usize) -> [f32; SETTINGS] {
        let last = self.groups.len() / SETTINGS - 1;
        let at = (self.blocks[block] as usize).min(last) * SETTINGS;
        [0, 1].map(|i| f32::from_bits(self.groups[at + i]))
    }
}

/// Refuses what is not a table for an arena of `len` elements, and gives its number of groups.
pub(crate) fn expect_table(op: &str, spec: &TensorSpec, len: usize) -> Result<usize> {
    let words = spec.shape.elements();
    let settings = words.saturating_sub(len / BLOCK);
    if *spec == TensorSpec::u32([words]) && settings != 0 && settings.is_multiple_of(SETTINGS) {
        return Ok(settings / SETTINGS);
    }
    let expected = format!("a table of groups, u32[{SETTINGS} * groups + {}]", len / BLOCK);
    Err(Error::shape(op, expected, spec.to_string()))
}

/// Refuses what are not whole arenas of one layout, and gives their length.
pub(crate) fn expect_arenas(op: &str, arenas: &[TensorSpec]) -> Result<usize> {
    let len = arenas.first().map_or(0, |a| a.shape.elements());
    let expected = TensorSpec::f32([len]);
    if arenas.iter().any(|a| *a != expected) || !len.is_multiple_of(BLOCK) {
        let actual: Vec<String> = arenas.iter().map(ToString::to_string).collect();
        let expected = format!("{} times f32[len], whole arenas of the same layout", arenas.len());
        return Err(Error::shape(op, expected, actual.join(", ")));
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_the_settings_of_its_group() {
        let words = table(&[[1.0, 0.5], [0.0, -2.0]], &[1, 0, 7]);
        let blocks = Blocks::of(&words, 3 * BLOCK);
        assert_eq!([0, 1, 2].map(|b| blocks.settings(b)), [[0.0, -2.0], [1.0, 0.5], [0.0, -2.0]]);
        let spec = |words: usize| TensorSpec::u32([words]);
        assert_eq!(expect_table("op", &spec(words.len()), 3 * BLOCK).expect("a table"), 2);
        for wrong in [3, 4, 6, 0] {
            let error = expect_table("op", &spec(wrong), 3 * BLOCK).expect_err("too few or too many words").to_string();
            assert!(error.contains("table of groups"), "{error}");
        }
    }
}

//! Where activations lie: each tensor that needs memory gets a stretch of one of a few buffers. A function of the graph alone.
//!
//! Everything is known before anything runs, so this is packing of rectangles, time along one axis and bytes along the other, with one
//! more rule: what an op writes lies in another buffer than everything else that the op touches. wgpu refuses a dispatch that has a
//! buffer both ways, and the CPU's twins borrow what they write beside what they read. Packing is hard in general; here large tensors
//! are placed first, each where it lets a buffer grow least, for several meanings of "large", and the best result counts. Source of
//! the idea: Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference", 2020.

use super::plan::BufferSpec;
use crate::shape::{DType, TensorSpec};

/// Bytes that a stretch of a buffer is a multiple of, and begins at a multiple of: what any adapter takes as an offset.
const ALIGN: u64 = 256;
/// Bytes of a buffer that holds several tensors, at most: what WebGPU gives everybody.
const LARGEST: u64 = 256 << 20;
/// Tensors from which on only the best two orders are tried: placing takes time that grows with their square.
const MANY: usize = 3_000;

/// Which blocks are placed first: those for which this is largest.
type Rank = fn(&Block) -> (u64, u64);

const RANKS: [Rank; 4] = [
    |b| (b.bytes(), b.length()),
    |b| (b.bytes().saturating_mul(b.length()), b.bytes()),
    |b| (b.length(), b.bytes()),
    |b| (u64::MAX - b.first as u64, b.bytes()),
];

/// A tensor that needs memory from step `first` to step `last`, both included; what the host gives or gets stays for one step more than
/// there are.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) spec: TensorSpec,
    pub(super) first: usize,
    pub(super) last: usize,
    /// The blocks that must lie in other buffers, by index.
    pub(super) apart: Vec<usize>,
}

impl Block {
    /// Bytes that it takes in a buffer.
    fn bytes(&self) -> u64 {
        self.spec.bytes().next_multiple_of(ALIGN)
    }

    /// Steps for which it is alive.
    fn length(&self) -> u64 {
        (self.last - self.first + 1) as u64
    }

    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Where every block lies: the index of its buffer and its first element there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) buffers: Vec<BufferSpec>,
    pub(super) places: Vec<(usize, usize)>,
}

impl Layout {
    fn bytes(&self) -> u64 {
        self.buffers.iter().map(BufferSpec::bytes).sum()
    }
}

/// The largest sum of blocks that are alive at once, in bytes.
pub(super) fn lower_bound(blocks: &[Block]) -> u64 {
    let mut changes: Vec<(usize, i64)> = Vec::new();
    for block in blocks {
        let bytes = block.spec.bytes() as i64;
        changes.push((block.first, bytes));
        changes.push((block.last.saturating_add(1), -bytes));
    }
    // At one step what ends comes before what begins.
    changes.sort_unstable();
    let sums = changes.iter().scan(0, |alive, (_, change)| {
        *alive += change;
        Some(*alive)
    });
    sums.max().unwrap_or(0) as u64
}

/// Places every block. Words of different types share buffers where `words_mix`.
pub(super) fn assign(blocks: &[Block], words_mix: bool) -> Layout {
    let tried = if blocks.len() > MANY { 2 } else { RANKS.len() };
    let mut best: Option<Layout> = None;
    for rank in &RANKS[..tried] {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(rank(&blocks[i])), i));
        for spread in [true, false] {
            let layout = Placing { blocks, words_mix, spread, buffers: Vec::new() }.place(&order);
            if best.as_ref().is_none_or(|best| layout.bytes() < best.bytes()) {
                best = Some(layout);
            }
        }
    }
    best.unwrap_or_default()
}

/// A buffer while blocks are placed.
struct Filling {
    dtype: DType,
    bytes: u64,
    /// Blocks and their first bytes, by that byte.
    placed: Vec<(u64, usize)>,
}

struct Placing<'a> {
    blocks: &'a [Block],
    words_mix: bool,
    /// Whether a block that finds no room anywhere gets a buffer of its own, rather than a place at the end of another.
    spread: bool,
    buffers: Vec<Filling>,
}

impl Placing<'_> {
    fn place(mut self, order: &[usize]) -> Layout {
        let mut places: Vec<Option<(usize, u64)>> = vec![None; self.blocks.len()];
        for &i in order {
            let block = &self.blocks[i];
            let own = (block.bytes(), self.buffers.len(), 0);
            let offers = (0..self.buffers.len()).filter_map(|b| self.offer(block, b, &places));
            // The least growth; then the first buffer.
            let best = offers.min_by_key(|(growth, buffer, _)| (*growth, *buffer)).unwrap_or(own);
            let (_, buffer, start) = if self.spread && best.0 == own.0 { own } else { best };
            if buffer == self.buffers.len() {
                self.buffers.push(Filling { dtype: self.class(block), bytes: 0, placed: Vec::new() });
            }
            let filling = &mut self.buffers[buffer];
            filling.bytes = filling.bytes.max(start + block.bytes());
            let at = filling.placed.partition_point(|placed| *placed < (start, i));
            filling.placed.insert(at, (start, i));
            places[i] = Some((buffer, start));
        }
        let unit = |dtype| if dtype == DType::U8 { 1 } else { 4 };
        let spec = |f: &Filling| BufferSpec { dtype: f.dtype, len: f.bytes as usize / unit(f.dtype) };
        let buffers: Vec<BufferSpec> = self.buffers.iter().map(spec).collect();
        let element = |(buffer, start): (usize, u64)| (buffer, start as usize / unit(buffers[buffer].dtype));
        let places = places.into_iter().map(|place| element(place.unwrap_or_default())).collect();
        Layout { buffers, places }
    }

    /// The type of the buffers that a block may lie in.
    fn class(&self, block: &Block) -> DType {
        if self.words_mix && block.spec.dtype == DType::U32 { DType::F32 } else { block.spec.dtype }
    }

    /// By how much buffer `b` would grow for a block, and where the block would begin; nothing where it must not lie there.
    fn offer(&self, block: &Block, b: usize, places: &[Option<(usize, u64)>]) -> Option<(u64, usize, u64)> {
        let filling = &self.buffers[b];
        let is_here = |other: &usize| places[*other].is_some_and(|(buffer, _)| buffer == b);
        if filling.dtype != self.class(block) || block.apart.iter().any(is_here) {
            return None;
        }
        // The tightest gap between what is alive at the same time, else behind all of it.
        let (bytes, mut behind, mut tightest) = (block.bytes(), 0, None::<(u64, u64)>);
        let mut gap = |from: u64, to: u64| {
            if to >= from + bytes {
                tightest = Some(tightest.map_or((to - from, from), |best| best.min((to - from, from))));
            }
        };
        for &(at, other) in filling.placed.iter().filter(|(_, other)| self.blocks[*other].meets(block)) {
            gap(behind, at);
            behind = behind.max(at + self.blocks[other].bytes());
        }
        gap(behind, filling.bytes);
        let start = tightest.map_or(behind, |(_, start)| start);
        let end = start + bytes;
        (end <= LARGEST.max(filling.bytes)).then(|| (end.saturating_sub(filling.bytes), b, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Threefry;

    /// Tensors of a made-up program: each step reads some of those before it and writes one to three.
    fn program(seed: u64, steps: usize) -> Vec<Block> {
        let mut random = Threefry::new(seed, 77);
        let mut blocks: Vec<Block> = Vec::new();
        for step in 0..steps {
            let read: Vec<usize> = (0..random.below(4))
                .filter(|_| !blocks.is_empty())
                .map(|_| random.below(blocks.len() as u32) as usize)
                .collect();
            read.iter().for_each(|&b| blocks[b].last = step);
            let written: Vec<usize> = (0..1 + random.below(3) as usize).map(|i| blocks.len() + i).collect();
            for _ in &written {
                let spec = match random.below(5) {
                    0 => TensorSpec::u32([1 + random.below(900) as usize]),
                    1 => TensorSpec::new([1 + random.below(5_000) as usize], DType::U8),
                    _ => TensorSpec::f32([1 + random.below(40_000) as usize]),
                };
                blocks.push(Block { spec, first: step, last: step, apart: Vec::new() });
            }
            for &w in &written {
                for &t in read.iter().chain(&written).filter(|t| **t != w) {
                    blocks[w].apart.push(t);
                    blocks[t].apart.push(w);
                }
            }
        }
        blocks
    }

    /// Bytes from and to which a block lies in its buffer.
    fn stretch(layout: &Layout, blocks: &[Block], i: usize) -> (u64, u64) {
        let unit = if blocks[i].spec.dtype == DType::U8 { 1 } else { 4 };
        let start = layout.places[i].1 as u64 * unit;
        (start, start + blocks[i].spec.bytes())
    }

    #[test]
    fn nothing_that_is_alive_is_overwritten() {
        for (seed, words_mix) in (0..40).flat_map(|seed| [(seed, true), (seed, false)]) {
            let blocks = program(seed, 3 + seed as usize * 2);
            let layout = assign(&blocks, words_mix);
            assert_eq!(layout, assign(&blocks, words_mix), "seed {seed}: not the same twice");
            assert!(layout.bytes() >= lower_bound(&blocks), "seed {seed}");
            for (i, block) in blocks.iter().enumerate() {
                let (buffer, (start, end)) = (layout.places[i].0, stretch(&layout, &blocks, i));
                let BufferSpec { dtype, .. } = layout.buffers[buffer];
                assert!(end <= layout.buffers[buffer].bytes() && start.is_multiple_of(ALIGN), "seed {seed}, block {i}");
                let is_mixed = words_mix && (dtype, block.spec.dtype) == (DType::F32, DType::U32);
                assert!(dtype == block.spec.dtype || is_mixed, "seed {seed}, block {i} in a buffer of {dtype}");
                assert!(block.apart.iter().all(|other| layout.places[*other].0 != buffer), "seed {seed}, block {i}");
                for (j, other) in blocks.iter().enumerate().take(i).filter(|(j, _)| layout.places[*j].0 == buffer) {
                    let (from, to) = stretch(&layout, &blocks, j);
                    assert!(!block.meets(other) || to <= start || end <= from, "seed {seed}: {i} and {j} overlap");
                }
            }
        }
    }

    #[test]
    fn the_lower_bound_is_what_is_alive_at_once() {
        let block = |words, first, last| Block { spec: TensorSpec::f32([words]), first, last, apart: Vec::new() };
        assert_eq!(lower_bound(&[]), 0);
        // 3 and 5 words meet at step 1; the 9 words come when both are gone.
        assert_eq!(lower_bound(&[block(3, 0, 1), block(5, 1, 1), block(1, 2, 2)]), 32);
        assert_eq!(lower_bound(&[block(3, 0, 1), block(5, 1, 1), block(9, 2, 2)]), 36);
    }

    #[test]
    fn a_buffer_is_not_filled_beyond_what_every_adapter_takes() {
        let block = |first, last| Block { spec: TensorSpec::f32([40 << 20]), first, last, apart: Vec::new() };
        let layout = assign(&[block(0, 3), block(1, 3), block(2, 3)], true);
        assert_eq!(layout.buffers.iter().map(BufferSpec::bytes).max(), Some(160 << 20));
    }
}

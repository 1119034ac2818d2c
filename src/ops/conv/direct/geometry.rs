//! A convolution as a *correlation of planes*: the image is laid out flat, with zeros between its rows, so that moving a tap of the
//! window is adding a constant to the flat index. Then no image is ever gathered: the products read the planes themselves.
//!
//! Strides are taken apart first. Every `stride`-th element, from each *phase* on, is an image of its own, over which the window
//! moves in steps of one; and the results of a transposed convolution fall into phases that have taps of their own.

use smallvec::SmallVec;

use super::super::Sizes;
use super::winograd::{MOST_TAPS, Shared};

/// A tap of the window: which it is, which phase of the source it meets, and where from the result's position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Its index in the window; of rows that share products, all of them in the order in which they meet the source.
    indices: [usize; MOST_TAPS],
    pub(super) phase: usize,
    pub(super) shift: [isize; 3],
}

/// Rows that share products: see [`super::winograd`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    pub(super) shared: Shared,
    /// Rows of the source and of the results, before they were taken together.
    pub(super) source: usize,
    pub(super) result: usize,
    /// The row of the source that the first result's first tap meets.
    pub(super) first: isize,
}

/// A correlation with steps of one.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    /// Slices, rows and columns of the source; rows that share products are one.
    pub(super) source: [usize; 3],
    /// Steps between the elements of a phase of the source.
    pub(super) step: [usize; 3],
    /// Where the phases that taps meet begin.
    pub(super) phases: SmallVec<[[usize; 3]; 4]>,
    /// Slices, rows and columns of the results.
    pub(super) result: [usize; 3],
    pub(super) taps: SmallVec<[Tap; 32]>,
    pub(super) least: [isize; 3],
    pub(super) most: [isize; 3],
    pub(super) fold: Option<Fold>,
    /// Whether a line stands upright: its elements are rows here, with one column, so that neighbours share products.
    pub(super) upright: bool,
}

/// Rows and columns of a line that stands upright.
fn upright([slices, rows, columns]: [usize; 3]) -> [usize; 3] {
    [slices, columns, rows]
}

/// Every tap of a window, in order.
fn window(kernel: [usize; 3]) -> impl Iterator<Item = (usize, [usize; 3])> {
    let [_, kh, kw] = kernel;
    (0..kernel.iter().product()).map(move |k| (k, [k / kw / kh, k / kw % kh, k % kw]))
}

impl Geometry {
    fn new(source: [usize; 3], step: [usize; 3], result: [usize; 3]) -> Self {
        let (phases, taps) = (SmallVec::new(), SmallVec::new());
        let (least, most) = ([isize::MAX; 3], [isize::MIN; 3]);
        Geometry { source, step, phases, result, taps, least, most, fold: None, upright: false }
    }

    /// The geometry that `of` makes of these sizes, or of a line that stands upright, where products are shared then.
    fn of_line(s: &Sizes, of: impl Fn(&Sizes) -> Self) -> Self {
        // With less on either side, mixing takes what it gives.
        const WORTH: usize = 16;
        let w = &s.window;
        let line = [s.input, s.output, w.kernel].iter().all(|n| n[..2] == [1; 2]) && w.padding[..2] == [[0; 2]; 2];
        if line && s.group_in().min(s.group_out()) >= WORTH {
            let mut standing = *s;
            (standing.input, standing.output) = (upright(s.input), upright(s.output));
            standing.window.kernel = upright(w.kernel);
            standing.window.stride = upright(w.stride);
            standing.window.dilation = upright(w.dilation);
            standing.window.padding.swap(1, 2);
            let geometry = of(&standing);
            if geometry.fold.is_some() {
                return Geometry { upright: true, ..geometry };
            }
        }
        of(s)
    }

    /// Extents of the source or the result as they are here.
    pub(super) fn seen(&self, extents: [usize; 3]) -> [usize; 3] {
        if self.upright { upright(extents) } else { extents }
    }

    fn push(&mut self, index: usize, phase: [usize; 3], shift: [isize; 3]) {
        let known = self.phases.iter().position(|p| *p == phase);
        let phase = known.unwrap_or_else(|| {
            self.phases.push(phase);
            self.phases.len() - 1
        });
        let along = shift.iter().zip(&mut self.least).zip(&mut self.most);
        along.for_each(|((shift, least), most)| (*least, *most) = ((*shift).min(*least), (*shift).max(*most)));
        self.taps.push(Tap { indices: [index; MOST_TAPS], phase, shift });
    }

    /// The convolution forwards; the gradient of its weights reads the same planes.
    pub(super) fn forward(s: &Sizes) -> Self {
        Geometry::of_line(s, Geometry::forward_of)
    }

    fn forward_of(s: &Sizes) -> Self {
        let w = &s.window;
        let mut geometry = Geometry::new(s.input, w.stride, s.output);
        for (index, tap) in window(w.kernel) {
            let at = |axis: usize| (tap[axis] * w.dilation[axis]) as isize - w.before(axis) as isize;
            let phase = std::array::from_fn(|axis| at(axis).rem_euclid(w.stride[axis] as isize) as usize);
            geometry.push(index, phase, std::array::from_fn(|axis| at(axis).div_euclid(w.stride[axis] as isize)));
        }
        geometry.folded(s)
    }

    /// The gradient of the input in one phase of it: which elements of `dy` reach every `stride`-th element of `dx` from `phase` on.
    pub(super) fn backward(s: &Sizes, phase: [usize; 3]) -> Self {
        Geometry::of_line(s, |s| Geometry::backward_of(s, phase))
    }

    fn backward_of(s: &Sizes, phase: [usize; 3]) -> Self {
        let w = &s.window;
        let result = std::array::from_fn(|axis| (s.input[axis].saturating_sub(phase[axis])).div_ceil(w.stride[axis]));
        let mut geometry = Geometry::new(s.output, [1; 3], result);
        for (index, tap) in window(w.kernel) {
            let at = |axis: usize| (phase[axis] + w.before(axis)) as isize - (tap[axis] * w.dilation[axis]) as isize;
            if (0..3).all(|axis| at(axis).rem_euclid(w.stride[axis] as isize) == 0) {
                geometry.push(index, [0; 3], std::array::from_fn(|axis| at(axis).div_euclid(w.stride[axis] as isize)));
            }
        }
        geometry.folded(s)
    }

    /// The same with rows that share products, where that pays: neighbouring rows of taps, steps of one, and so many channels that the
    /// products are the work.
    fn folded(mut self, s: &Sizes) -> Self {
        const WORTH: usize = 256;
        let rows = s.window.kernel[1];
        let neighbours = self.taps.len().is_multiple_of(rows) && s.window.dilation[1] == 1;
        let few = s.window.stride != [1; 3] || s.group_in() * s.group_out() < WORTH;
        if !neighbours || few || self.taps.is_empty() {
            return self;
        }
        // Every row of results must meet a row of the source: of padding alone the mixed rows would not make exactly zero.
        let (after, allowed) =
            (self.result[1] as isize - 1 + self.most[1] - (self.source[1] as isize - 1), rows as isize - 1);
        // And of a source with hardly any rows a tile would be padding for the most part: what it rounds is more than its sums are.
        if self.least[1] < -allowed || after > allowed || self.source[1] + 1 < rows {
            return self;
        }
        let cost = |shared: Shared| self.result[1].div_ceil(shared.rows()) * shared.products();
        let best = Shared::of(rows).iter().copied().min_by_key(|shared| cost(*shared));
        let Some(shared) = best.filter(|best| cost(*best) * 5 < self.result[1] * rows * 4) else { return self };
        let first = self.least[1];
        let mut taps: SmallVec<[Tap; 32]> = self.taps.iter().copied().filter(|tap| tap.shift[1] == first).collect();
        for tap in &mut taps {
            for row in 0..rows {
                let same = |other: &&Tap| {
                    [other.shift[0], other.shift[2]] == [tap.shift[0], tap.shift[2]]
                        && other.shift[1] == first + row as isize
                };
                tap.indices[row] = self.taps.iter().find(same).map_or(0, |tap| tap.indices[0]);
            }
            tap.shift[1] = 0;
        }
        self.fold = Some(Fold { shared, source: self.source[1], result: self.result[1], first });
        let tiles = self.result[1].div_ceil(shared.rows());
        (self.source[1], self.result[1], self.least[1], self.most[1]) = (tiles, tiles, 0, 0);
        self.taps = taps;
        self
    }

    /// How many planes a channel of the source becomes.
    pub(super) fn planes(&self) -> usize {
        self.fold.map_or(self.phases.len(), |fold| fold.shared.products())
    }

    /// How many products there are of each tap: one, or one for each mixed row.
    pub(super) fn products(&self) -> usize {
        self.fold.map_or(1, |fold| fold.shared.products())
    }

    /// About how many taps an element of the planes meets.
    pub(super) fn taps_of_element(&self) -> usize {
        (self.taps.len() * self.products()).div_ceil(self.planes().max(1)).max(1)
    }

    /// Row by row of a block of weights, those of a tap in every product: `to(u, weights)`, from those `of` the window.
    pub(super) fn weights<const N: usize>(
        &self,
        tap: &Tap,
        of: impl Fn(usize) -> [f32; N],
        mut to: impl FnMut(usize, [f32; N]),
    ) {
        let Some(Fold { shared, .. }) = self.fold else { return to(0, of(tap.indices[0])) };
        let mut window = [[0.0; N]; MOST_TAPS];
        let taps = &mut window[..shared.weights(0).len()];
        taps.iter_mut().zip(tap.indices).for_each(|(weights, index)| *weights = of(index));
        for u in 0..shared.products() {
            let mut mixed = [0.0; N];
            for (factor, weights) in shared.weights(u).iter().zip(&*taps) {
                mixed.iter_mut().zip(weights).for_each(|(mixed, weight)| *mixed += factor * weight);
            }
            to(u, mixed);
        }
    }

    /// Adds the gradient of a tap's weights in product `u` to those of the window: the transpose of [`Geometry::weights`].
    pub(super) fn add_gradient(&self, tap: &Tap, u: usize, d: f32, window: &mut [f32]) {
        match self.fold {
            None => window[tap.indices[0]] += d,
            Some(fold) => {
                for (index, factor) in tap.indices.into_iter().zip(fold.shared.weights(u)) {
                    window[index] += factor * d;
                }
            }
        }
    }

    /// Extents of the largest phase.
    pub(super) fn content(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.source[axis].div_ceil(self.step[axis]))
    }

    /// The axis along which results are cut into bands: the first that has more than one.
    fn long_axis(&self) -> usize {
        if self.result[0] > 1 { 0 } else { 1 }
    }

    /// Bands of about `rows` of the results along the long axis.
    pub(super) fn bands(&self, rows: usize) -> impl Iterator<Item = Band> + use<> {
        let (axis, all) = (self.long_axis(), self.result[self.long_axis()]);
        (0..all).step_by(rows).map(move |from| Band { axis, from, to: (from + rows).min(all) })
    }

    /// All results as one band.
    pub(super) fn whole(&self) -> Band {
        Band { axis: self.long_axis(), from: 0, to: self.result[self.long_axis()] }
    }
}

/// Results `from..to` along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    pub(super) axis: usize,
    pub(super) from: usize,
    to: usize,
}

impl Band {
    pub(super) fn rows(&self) -> usize {
        self.to - self.from
    }
}

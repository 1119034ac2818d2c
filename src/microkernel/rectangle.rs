//! Parts of a matrix that threads write at once, each its own.
//!
//! Two rectangles of a matrix that lie side by side interleave in memory, so no pair of slices can stand for them. This is one of the
//! modules with `unsafe`: a rectangle keeps a pointer, and all that are made of one matrix are disjoint.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use rayon::prelude::*;

/// A rectangle of a matrix that is stored row by row, for its holder alone.
#[derive(Debug)]
pub struct Rectangle<'a, T = f32> {
    first: *mut T,
    stride: usize,
    size: [usize; 2],
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: it is what `&mut [T]` would be, and no other rectangle shares an element with it.
unsafe impl<T: Send> Send for Rectangle<'_, T> {}

impl<'a, T: Send> Rectangle<'a, T> {
    /// Rows and columns at the start of `y`, whose rows start `stride` apart.
    ///
    /// # Panics
    /// Where `y` is too short.
    #[inline]
    pub fn new(y: &'a mut [T], stride: usize, [rows, columns]: [usize; 2]) -> Self {
        let needed = rows.saturating_sub(1) * stride + columns;
        assert!(rows * columns == 0 || needed <= y.len(), "a rectangle reaches over the end of its matrix");
        assert!(rows <= 1 || columns <= stride, "the rows of a rectangle overlap");
        Rectangle { first: y.as_mut_ptr(), stride, size: [rows, columns], of: PhantomData }
    }

    /// Rows and columns.
    #[inline]
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// From row to row.
    #[inline]
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The first element.
    #[inline]
    pub(super) fn pointer(&mut self) -> *mut T {
        self.first
    }

    /// The part of `size` from element `(i, j)` on.
    ///
    /// # Panics
    /// Where that is not within.
    #[inline]
    pub fn part(&mut self, [i, j]: [usize; 2], size: [usize; 2]) -> Rectangle<'_, T> {
        assert!(i + size[0] <= self.size[0] && j + size[1] <= self.size[1], "a part is not within its rectangle");
        // SAFETY: the part lies within, and this rectangle is not used as long as it lives.
        unsafe { self.there([i, j], size) }
    }

    /// One row.
    ///
    /// # Panics
    /// Where there is none.
    #[inline]
    pub fn row(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.size[0], "there is no such row");
        // SAFETY: the row lies within.
        unsafe { std::slice::from_raw_parts_mut(self.first.wrapping_add(i * self.stride), self.size[1]) }
    }

    /// All of it in tiles of at most `size`, row by row, with the place of the first element of each.
    pub fn tiles(
        self,
        size: [usize; 2],
    ) -> impl IndexedParallelIterator<Item = ([usize; 2], Rectangle<'a, T>)> + use<'a, T> {
        let size = size.map(|n| n.max(1));
        let across = self.size[1].div_ceil(size[1]);
        let whole = Shared(self);
        (0..across * whole.0.size[0].div_ceil(size[0])).into_par_iter().map(move |index| {
            let whole = &whole;
            let at = [index / across * size[0], index % across * size[1]];
            let size = std::array::from_fn(|d| size[d].min(whole.0.size[d] - at[d]));
            // SAFETY: tiles are within and disjoint, each is made once, and the whole, which nobody else has, is used for nothing else.
            (at, unsafe { whole.0.there(at, size) })
        })
    }

    /// # Safety
    /// The part lies within, and no two that are in use share an element.
    unsafe fn there<'b>(&self, [i, j]: [usize; 2], size: [usize; 2]) -> Rectangle<'b, T>
    where
        'a: 'b,
    {
        Rectangle { first: self.first.wrapping_add(i * self.stride + j), stride: self.stride, size, of: PhantomData }
    }
}

/// A rectangle of which threads take tiles.
struct Shared<'a, T>(Rectangle<'a, T>);

// SAFETY: all that is done with it is to make disjoint tiles.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

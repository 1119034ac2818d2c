//! The innermost loops of matrix products and convolutions on the processor: register tiles, in the widest instructions that the
//! processor has, found at run time. Everything above (which operand lies where, how work is shared out) is plain Rust.
//!
//! Two forms suffice. An *outer* product sums `a[k, i] · b[offset(k) + j]` over `k`: with offsets that are multiples of a row it is the
//! core of a matrix product, and with offsets that are the taps of a window it is a convolution of an image that was never gathered.
//! An *inner* product sums `a[i][p] · b[j][p]` over `p`, for the gradient of a convolution's weights. What comes before and after them
//! passes over rows: [`strips`] for rows of an image, [`lines`] for neighbours in a line.
//!
//! Source: K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008; E. Georganas et al.,
//! "Anatomy of high-performance deep learning convolutions on SIMD architectures", SC 2018.
//!
//! The order of every sum depends on the sizes and on the kind of processor alone. This is one of the modules with `unsafe`: vector
//! loads and stores have no safe form. Each function here checks the bounds of all that it will touch before the loop.
#![allow(unsafe_code)]

pub mod lanes;
pub mod lines;
pub mod product;
pub mod rectangle;
pub mod strips;
pub mod sums;

use std::sync::OnceLock;

use crate::error::{Error, Result};
use lanes::{Lanes, Portable};
use rectangle::Rectangle;

/// Rows of the largest outer tile, on any processor.
pub const MOST_ROWS: usize = 8;
/// Vectors side by side in the largest outer tile.
pub const VECTORS: usize = 3;
/// Lanes of the widest vector.
pub const MOST_LANES: usize = 16;
/// Columns of the widest outer tile, on any processor.
pub const MOST_COLUMNS: usize = VECTORS * MOST_LANES;
/// Rows and columns of what [`turn`] takes at once.
pub const SQUARE: usize = 8;
/// Rows and columns of the largest inner tile.
pub const INNER: [usize; 2] = [4, 6];

/// The instructions that the kernels use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// 16 lanes, 32 registers.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 8 lanes, 16 registers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of 8 lanes.
    Portable,
}

impl Isa {
    /// The widest that this processor has; `GALEN_ISA` (`avx2`, `portable`) asks for less. Of a wish that cannot be met see [`Isa::wished`].
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Isa::wished().unwrap_or(Isa::Portable))
    }

    /// What `GALEN_ISA` asks for; every device asks when it is made.
    ///
    /// # Errors
    /// Where it names instructions that are unknown, or that this processor has not.
    pub fn wished() -> Result<Isa> {
        Isa::named(&std::env::var("GALEN_ISA").unwrap_or_default())
    }

    /// What the processor has under this name; the widest under none.
    fn named(wished: &str) -> Result<Isa> {
        let all = Isa::available();
        let found = all.iter().find(|isa| wished.is_empty() || isa.name() == wished).copied();
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|isa| isa.name()).collect();
            Error::parameter("cpu", "GALEN_ISA", format!("one of {} on this processor", names.join(", ")), wished)
        })
    }

    /// All that this processor has, the widest first.
    pub fn available() -> Vec<Isa> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let wide = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512bw");
            if avx2 && wide && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                all.push(Isa::Avx512);
            }
            if avx2 {
                all.push(Isa::Avx2);
            }
        }
        all.push(Isa::Portable);
        all
    }

    /// Its name in `GALEN_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            Isa::Portable => "portable",
        }
    }

    /// Floats of a vector.
    pub const fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 16,
            _ => 8,
        }
    }

    /// Rows of its outer tile: as many as leave no register unused.
    pub const fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 8,
            _ => 4,
        }
    }

    /// Rows and columns of its inner tile.
    pub const fn inner(self) -> [usize; 2] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => INNER,
            _ => [3, 4],
        }
    }
}

/// Where the rows of the second operand of an outer product start.
#[derive(Clone, Copy, Debug)]
pub struct Offsets<'a> {
    list: &'a [u32],
    most: usize,
}

impl<'a> Offsets<'a> {
    /// Rows that start at `list`.
    pub fn new(list: &'a [u32]) -> Self {
        Offsets { list, most: list.iter().copied().max().unwrap_or(0) as usize }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }
}

/// The first operand of an outer product.
#[derive(Clone, Copy, Debug)]
pub enum First<'a> {
    /// Packed: element `(i, k)` lies at `k · step + i`.
    Packed(&'a [f32], usize),
    /// As a matrix lies in memory: element `(i, k)` at `i · stride + k`.
    Rows(&'a [f32], usize),
}

/// `y(i, j) = Σₖ a(i, k) · b[offset(k) + j]` (`+ y` where `add`) for `i < rows`, `j < vectors · lanes`, `k` ascending.
///
/// # Panics
/// Where an operand is too short, `rows` is not 1, 2, 4 or 8, or `vectors` not 1 to 3.
#[allow(clippy::too_many_arguments)]
#[inline]
pub fn outer(
    isa: Isa,
    [rows, vectors]: [usize; 2],
    a: First<'_>,
    b: &[f32],
    offsets: Offsets<'_>,
    mut y: Rectangle<'_>,
    add: bool,
) {
    let (n, columns) = (offsets.len(), vectors * isa.lanes());
    let (a, step, needed) = match a {
        First::Packed(a, step) => (a, [1, step], n.saturating_sub(1) * step + rows),
        First::Rows(a, stride) => (a, [stride, 1], (rows - 1) * stride + n),
    };
    assert!(n == 0 || needed <= a.len(), "an outer product's first operand is too short");
    assert!(offsets.most + columns <= b.len(), "an outer product's second operand is too short");
    assert!(y.size() == [rows, columns], "an outer product's result has another size");
    let stride = y.stride();
    let call = Outer { a: a.as_ptr(), step, b: b.as_ptr(), offsets: offsets.list, y: y.pointer(), stride, add };
    macro_rules! tiles {
        ($run:path, $lanes:ty) => {
            match (rows, vectors) {
                (8, 3) => $run(Tile::<$lanes, 8, 3>::NEW, call),
                (8, 2) => $run(Tile::<$lanes, 8, 2>::NEW, call),
                (8, 1) => $run(Tile::<$lanes, 8, 1>::NEW, call),
                (4, 3) => $run(Tile::<$lanes, 4, 3>::NEW, call),
                (4, 2) => $run(Tile::<$lanes, 4, 2>::NEW, call),
                (4, 1) => $run(Tile::<$lanes, 4, 1>::NEW, call),
                (2, 3) => $run(Tile::<$lanes, 2, 3>::NEW, call),
                (2, 2) => $run(Tile::<$lanes, 2, 2>::NEW, call),
                (2, 1) => $run(Tile::<$lanes, 2, 1>::NEW, call),
                (1, 3) => $run(Tile::<$lanes, 1, 3>::NEW, call),
                (1, 2) => $run(Tile::<$lanes, 1, 2>::NEW, call),
                (1, 1) => $run(Tile::<$lanes, 1, 1>::NEW, call),
                _ => panic!("there is no outer tile of {rows} rows and {vectors} vectors"),
            }
        };
    }
    // SAFETY: the processor has the instructions (`Isa` values of others are not made), and the bounds were checked above.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => tiles!(lanes::outer_avx512, lanes::Avx512),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => tiles!(lanes::outer_avx2, lanes::Avx2),
            Isa::Portable => tiles!(lanes::outer_portable, Portable),
        }
    }
}

/// The transpose of a square of [`SQUARE`] rows and columns: `to[j · apart + i] = x[i · stride + j]`.
///
/// # Panics
/// Where a slice is too short.
#[inline]
pub fn turn(isa: Isa, x: &[f32], stride: usize, to: &mut [f32], apart: usize) {
    assert!(
        (SQUARE - 1) * stride + SQUARE <= x.len() && (SQUARE - 1) * apart + SQUARE <= to.len(),
        "a square is too short"
    );
    match isa {
        // SAFETY: the processor has the instructions, and the bounds were checked.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx2 => unsafe { lanes::turn_avx2(x.as_ptr(), stride, to.as_mut_ptr(), apart) },
        Isa::Portable => {
            for (i, j) in (0..SQUARE).flat_map(|i| (0..SQUARE).map(move |j| (i, j))) {
                to[j * apart + i] = x[i * stride + j];
            }
        }
    }
}

/// `y[i · stride + j] += Σₚ a[a_at[i] + p] · b[b_at[j] + p]` for `p < len`; every lane sums its own `p`, then lanes are added, in an
/// order that the sizes and the kind of processor decide.
///
/// # Panics
/// Where an operand is too short, `len` is not a multiple of the lanes, or there are more rows or columns than [`Isa::inner`] says.
pub fn inner(
    isa: Isa,
    (a, a_at): (&[f32], &[u32]),
    (b, b_at): (&[f32], &[u32]),
    len: usize,
    (y, stride): (&mut [f32], usize),
) {
    let most = |at: &[u32]| at.iter().copied().max().unwrap_or(0) as usize;
    assert!(len.is_multiple_of(isa.lanes()), "an inner product of {len} elements, which is no multiple of the lanes");
    assert!(most(a_at) + len <= a.len() && most(b_at) + len <= b.len(), "an inner product's operand is too short");
    assert!((a_at.len() - 1) * stride + b_at.len() <= y.len(), "an inner product's result is too short");
    let call = Inner { a: a.as_ptr(), a_at, b: b.as_ptr(), b_at, len, y: y.as_mut_ptr(), stride };
    macro_rules! columns {
        ($run:path, $lanes:ty, $rows:literal, [$($columns:literal),*]) => {
            match b_at.len() {
                $($columns => $run(Tile::<$lanes, $rows, $columns>::NEW, call),)*
                n => panic!("there is no inner tile of {n} columns"),
            }
        };
    }
    macro_rules! tiles {
        ($run:path, $lanes:ty, [$($rows:literal),*], $columns:tt) => {
            match a_at.len() {
                $($rows => columns!($run, $lanes, $rows, $columns),)*
                n => panic!("there is no inner tile of {n} rows"),
            }
        };
    }
    // SAFETY: as in `outer`.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => tiles!(lanes::inner_avx512, lanes::Avx512, [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => tiles!(lanes::inner_avx2, lanes::Avx2, [1, 2, 3], [1, 2, 3, 4]),
            Isa::Portable => tiles!(lanes::inner_portable, Portable, [1, 2, 3], [1, 2, 3, 4]),
        }
    }
}

/// A function that is compiled once for each [`Isa`] and runs in the widest form that the processor has: for loops over elements that the
/// compiler vectorises. The operations and their order are the same in each, so no bit differs.
macro_rules! wide_fn {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$t:ident: $bound:path $(, const $c:ident: usize)?>($($x:ident: $type:ty),* $(,)?)
        $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        #[allow(unsafe_code)]
        $visibility fn $name<$t: $bound $(, const $c: usize)?>($($x: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body<$t: $bound $(, const $c: usize)?>($($x: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            fn avx512<$t: $bound $(, const $c: usize)?>($($x: $type),*) $(-> $result)? {
                body::<$t $(, $c)?>($($x),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$t: $bound $(, const $c: usize)?>($($x: $type),*) $(-> $result)? {
                body::<$t $(, $c)?>($($x),*)
            }

            match $crate::microkernel::Isa::best() {
                // SAFETY: the processor has the instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::microkernel::Isa::Avx512 => unsafe { avx512::<$t $(, $c)?>($($x),*) },
                // SAFETY: the processor has the instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::microkernel::Isa::Avx2 => unsafe { avx2::<$t $(, $c)?>($($x),*) },
                $crate::microkernel::Isa::Portable => body::<$t $(, $c)?>($($x),*),
            }
        }
    };
}
pub(crate) use wide_fn;

/// The arguments of [`outer`], checked.
#[derive(Clone, Copy)]
struct Outer<'a> {
    a: *const f32,
    /// From row to row and from `k` to `k`: one of the two is 1.
    step: [usize; 2],
    b: *const f32,
    offsets: &'a [u32],
    y: *mut f32,
    stride: usize,
    add: bool,
}

/// The arguments of [`inner`], checked.
#[derive(Clone, Copy)]
struct Inner<'a> {
    a: *const f32,
    a_at: &'a [u32],
    b: *const f32,
    b_at: &'a [u32],
    len: usize,
    y: *mut f32,
    stride: usize,
}

/// A tile of `R` rows and `C` columns (vectors of them for [`outer`]).
struct Tile<S, const R: usize, const C: usize>(std::marker::PhantomData<S>);

impl<S: Lanes, const R: usize, const C: usize> Tile<S, R, C> {
    const NEW: Self = Tile(std::marker::PhantomData);

    /// # Safety
    /// The bounds that [`outer`] checks, and the instructions of `S`.
    #[inline(always)]
    unsafe fn outer(self, call: Outer<'_>) {
        // Told apart out here, the steps that are 1 cost nothing in the loop.
        // SAFETY: see the function.
        unsafe {
            match call.step {
                [1, along] => self.outer_by(call, [1, along]),
                [across, _] => self.outer_by(call, [across, 1]),
            }
        }
    }

    /// # Safety
    /// As [`Tile::outer`].
    #[inline(always)]
    unsafe fn outer_by(self, call: Outer<'_>, [across, along]: [usize; 2]) {
        let Outer { a, b, offsets, y, stride, add, .. } = call;
        // SAFETY: see the function.
        unsafe {
            let mut sums = [[S::zero(); C]; R];
            for i in 0..R {
                for j in 0..C {
                    S::fetch(y.wrapping_add(i * stride + j * S::LANES));
                }
            }
            let mut a = a;
            for &offset in offsets {
                let from = b.add(offset as usize);
                let mut row = [S::zero(); C];
                for (j, v) in row.iter_mut().enumerate() {
                    *v = S::load(from.add(j * S::LANES));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = S::splat(*a.add(i * across));
                    for (sum, v) in sums.iter_mut().zip(row) {
                        *sum = S::fma(factor, v, *sum);
                    }
                }
                a = a.add(along);
            }
            for (i, sums) in sums.iter().enumerate() {
                for (j, sum) in sums.iter().enumerate() {
                    let to = y.add(i * stride + j * S::LANES);
                    S::store(to, if add { S::add(S::load(to), *sum) } else { *sum });
                }
            }
        }
    }

    /// # Safety
    /// The bounds that [`inner`] checks, and the instructions of `S`.
    #[inline(always)]
    unsafe fn inner(self, call: Inner<'_>) {
        let Inner { a, a_at, b, b_at, len, y, stride } = call;
        // SAFETY: see the function.
        unsafe {
            let a: [*const f32; R] = std::array::from_fn(|i| a.add(a_at[i] as usize));
            let b: [*const f32; C] = std::array::from_fn(|j| b.add(b_at[j] as usize));
            let mut sums = [[S::zero(); C]; R];
            let mut p = 0;
            while p < len {
                let mut left = [S::zero(); R];
                for (v, a) in left.iter_mut().zip(a) {
                    *v = S::load(a.add(p));
                }
                for (j, b) in b.iter().enumerate() {
                    let right = S::load(b.add(p));
                    for (sums, left) in sums.iter_mut().zip(left) {
                        sums[j] = S::fma(left, right, sums[j]);
                    }
                }
                p += S::LANES;
            }
            // Lanes are summed of four vectors at once: of short products that is a good part of the work.
            let mut whole = [0.0; INNER[0] * INNER[1]];
            let sums = sums.as_flattened();
            let (fours, rest) = sums.as_chunks::<4>();
            for (i, four) in fours.iter().enumerate() {
                S::sum_four(whole.as_mut_ptr().add(i * 4), *four);
            }
            for (i, sum) in rest.iter().enumerate() {
                whole[fours.len() * 4 + i] = S::sum(*sum);
            }
            for (i, sums) in whole.chunks_exact(C).take(R).enumerate() {
                for (j, sum) in sums.iter().enumerate() {
                    *y.add(i * stride + j) += *sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

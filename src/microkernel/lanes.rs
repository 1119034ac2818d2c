//! Vectors of floats: one type per kind of processor, and the kernels compiled for each.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::lines::{Collect, Spread};
use super::strips::{Mix, Strips};
use super::{Inner, Outer, Tile};

/// A vector of floats and what the kernels do with it.
///
/// # Safety
/// The functions may be called only where the processor has the type's instructions; pointers must be valid for [`Lanes::LANES`] floats, or for
/// as many as the function says.
#[allow(missing_docs)]
pub trait Lanes {
    type Vector: Copy;
    const LANES: usize;

    /// Asks for the line of memory that will be needed soon; the place need not be valid.
    #[inline(always)]
    fn fetch(from: *const f32) {
        // SAFETY: a hint, which touches nothing, and of which every x86-64 knows.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(from.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = from;
    }
    unsafe fn zero() -> Self::Vector;
    unsafe fn splat(x: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, v: Self::Vector);
    /// `n` floats, fewer than lanes, and zeros.
    unsafe fn load_part(from: *const f32, n: usize) -> Self::Vector;
    /// Which lanes of a vector that begins `at` elements after the start of a line of `len` lie in it: from the first on, up to the second.
    #[inline(always)]
    fn within(at: isize, len: usize) -> [usize; 2] {
        [-at, len as isize - at].map(|lane| lane.clamp(0, Self::LANES as isize) as usize)
    }
    /// What there is of the lanes of a vector that begins `at` elements after `line`, which has `len`; else zeros.
    unsafe fn load_within(line: *const f32, at: isize, len: usize) -> Self::Vector;
    /// The even lanes of two vectors, and the odd ones.
    unsafe fn apart(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// Lanes of `a` and `b` in turn.
    unsafe fn in_turn(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// The first `n` lanes, of which there are more.
    unsafe fn store_part(to: *mut f32, v: Self::Vector, n: usize);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Zero where a lane is negative; NaN and negative zero stay.
    unsafe fn relu(v: Self::Vector) -> Self::Vector;
    /// `a · b + c`
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The sum of the lanes, in pairs: lane `i` and lane `i + LANES / 2` first.
    #[inline(always)]
    unsafe fn sum(v: Self::Vector) -> f32 {
        let mut lanes = [0.0; super::MOST_LANES];
        // SAFETY: there are at least as many floats as lanes.
        unsafe { Self::store(lanes.as_mut_ptr(), v) };
        let mut half = Self::LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }
    /// The sums of four vectors' lanes.
    #[inline(always)]
    unsafe fn sum_four(to: *mut f32, v: [Self::Vector; 4]) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: the caller's promise, for four floats.
            unsafe { *to.add(i) = Self::sum(v) };
        }
    }
}

/// Eight floats, for the compiler to vectorise.
pub(super) struct Portable;

impl Lanes for Portable {
    type Vector = [f32; 8];
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> [f32; 8] {
        [0.0; 8]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 8] {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 8] {
        // SAFETY: the caller's promise; an array of floats is aligned as a float is.
        unsafe { from.cast::<[f32; 8]>().read() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: [f32; 8]) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 8]>().write(v) }
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> [f32; 8] {
        let mut v = [0.0; 8];
        for (i, v) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's promise.
            *v = unsafe { from.add(i).read() };
        }
        v
    }
    #[inline(always)]
    unsafe fn load_within(line: *const f32, at: isize, len: usize) -> [f32; 8] {
        let (mut v, [first, end]) = ([0.0; 8], Self::within(at, len));
        for (v, at) in v.iter_mut().zip(at..).take(end).skip(first) {
            // SAFETY: the caller's promise: the line has so many.
            *v = unsafe { line.offset(at).read() };
        }
        v
    }
    #[inline(always)]
    unsafe fn apart(a: [f32; 8], b: [f32; 8]) -> [[f32; 8]; 2] {
        [[a[0], a[2], a[4], a[6], b[0], b[2], b[4], b[6]], [a[1], a[3], a[5], a[7], b[1], b[3], b[5], b[7]]]
    }
    #[inline(always)]
    unsafe fn in_turn(a: [f32; 8], b: [f32; 8]) -> [[f32; 8]; 2] {
        [[a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]], [a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]]]
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: [f32; 8], n: usize) {
        for (i, v) in v.iter().enumerate().take(n) {
            // SAFETY: the caller's promise.
            unsafe { to.add(i).write(*v) };
        }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn relu(v: [f32; 8]) -> [f32; 8] {
        v.map(|v| if v < 0.0 { 0.0 } else { v })
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 8], b: [f32; 8], c: [f32; 8]) -> [f32; 8] {
        // Where a fused multiply-add is no instruction it would be a call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
        } else {
            std::array::from_fn(|i| a[i] * b[i] + c[i])
        }
    }
}

/// Eight floats in an AVX register.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

/// Sixteen floats in an AVX-512 register.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

/// The methods that are one instruction each.
#[cfg(target_arch = "x86_64")]
macro_rules! instructions {
    ($($name:ident($($x:ident: $type:ty),*) $(-> $result:ty)?: $instruction:ident;)*) => {
        $(#[inline(always)]
        unsafe fn $name($($x: $type),*) $(-> $result)? {
            // SAFETY: the caller's promise.
            unsafe { $instruction($($x),*) }
        })*
    };
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    type Vector = __m256;
    const LANES: usize = 8;

    instructions! {
        zero() -> __m256: _mm256_setzero_ps;
        splat(x: f32) -> __m256: _mm256_set1_ps;
        load(from: *const f32) -> __m256: _mm256_loadu_ps;
        store(to: *mut f32, v: __m256): _mm256_storeu_ps;
        add(a: __m256, b: __m256) -> __m256: _mm256_add_ps;
        sub(a: __m256, b: __m256) -> __m256: _mm256_sub_ps;
        fma(a: __m256, b: __m256, c: __m256) -> __m256: _mm256_fmadd_ps;
        sum(v: __m256) -> f32: sum_avx2;
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> __m256 {
        // SAFETY: the caller's promise; what is masked is not touched.
        unsafe { _mm256_maskload_ps(from, mask_avx2(n)) }
    }
    #[inline(always)]
    unsafe fn load_within(line: *const f32, at: isize, len: usize) -> __m256 {
        let [first, end] = Self::within(at, len);
        // SAFETY: as above.
        unsafe {
            let mask = _mm256_andnot_si256(mask_avx2(first), mask_avx2(end));
            _mm256_maskload_ps(line.wrapping_offset(at), mask)
        }
    }
    #[inline(always)]
    unsafe fn apart(a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(a, b));
            let (even, odd) = (_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd));
            [_mm256_castpd_ps(even), _mm256_castpd_ps(odd)]
        }
    }
    #[inline(always)]
    unsafe fn in_turn(a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: __m256, n: usize) {
        // SAFETY: as above.
        unsafe { _mm256_maskstore_ps(to, mask_avx2(n), v) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m256) -> __m256 {
        // SAFETY: the caller's promise. Of a NaN the instruction gives its second operand.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), v) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    type Vector = __m512;
    const LANES: usize = 16;

    instructions! {
        zero() -> __m512: _mm512_setzero_ps;
        splat(x: f32) -> __m512: _mm512_set1_ps;
        load(from: *const f32) -> __m512: _mm512_loadu_ps;
        store(to: *mut f32, v: __m512): _mm512_storeu_ps;
        add(a: __m512, b: __m512) -> __m512: _mm512_add_ps;
        sub(a: __m512, b: __m512) -> __m512: _mm512_sub_ps;
        fma(a: __m512, b: __m512, c: __m512) -> __m512: _mm512_fmadd_ps;
        sum(v: __m512) -> f32: _mm512_reduce_add_ps;
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, n: usize) -> __m512 {
        // SAFETY: the caller's promise; what is masked is not touched.
        unsafe { _mm512_maskz_loadu_ps((1 << n) - 1, from) }
    }
    #[inline(always)]
    unsafe fn load_within(line: *const f32, at: isize, len: usize) -> __m512 {
        let [first, end] = Self::within(at, len);
        let mask = ((1u32 << end) - 1) & !((1u32 << first) - 1);
        // SAFETY: as above.
        unsafe { _mm512_maskz_loadu_ps(mask as u16, line.wrapping_offset(at)) }
    }
    #[inline(always)]
    unsafe fn apart(a: __m512, b: __m512) -> [__m512; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
        }
    }
    #[inline(always)]
    unsafe fn in_turn(a: __m512, b: __m512) -> [__m512; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            [_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b)]
        }
    }
    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: __m512, n: usize) {
        // SAFETY: as above.
        unsafe { _mm512_mask_storeu_ps(to, (1 << n) - 1, v) }
    }
    #[inline(always)]
    unsafe fn sum_four(to: *mut f32, v: [__m512; 4]) {
        // SAFETY: the caller's promise.
        unsafe { _mm_storeu_ps(to, sum_four_avx512(v)) }
    }
    #[inline(always)]
    unsafe fn relu(v: __m512) -> __m512 {
        // SAFETY: the caller's promise. Of a NaN the instruction gives its second operand.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), v) }
    }
}

/// Ones in the first `n` of eight lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn mask_avx2(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// The sum of eight lanes, in the order of [`Lanes::sum`].
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sum_avx2(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// The sums of the lanes of four vectors: a transposition in which every step halves what is left. Lanes of a quarter come first.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn sum_four_avx512([a, b, c, d]: [__m512; 4]) -> __m128 {
    let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    let all = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    let half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps::<1>(all));
    _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps::<1>(half))
}

/// The transpose of eight rows of eight floats, which lie `stride` apart, into rows `apart` from each other.
///
/// # Safety
/// The instructions, and bounds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn turn_avx2(x: *const f32, stride: usize, to: *mut f32, apart: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let row = |i: usize| _mm256_loadu_ps(x.add(i * stride));
        let [a, b, c, d, e, f, g, h] = [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)];
        // Pairs of rows, then fours: each half of a vector holds what belongs to one column.
        let [ab, ab_high] = [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)];
        let [cd, cd_high] = [_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d)];
        let [ef, ef_high] = [_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f)];
        let [gh, gh_high] = [_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h)];
        let upper = [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ];
        let lower = [
            _mm256_shuffle_ps::<0x44>(ef, gh),
            _mm256_shuffle_ps::<0xee>(ef, gh),
            _mm256_shuffle_ps::<0x44>(ef_high, gh_high),
            _mm256_shuffle_ps::<0xee>(ef_high, gh_high),
        ];
        for j in 0..4 {
            _mm256_storeu_ps(to.add(j * apart), _mm256_permute2f128_ps::<0x20>(upper[j], lower[j]));
            _mm256_storeu_ps(to.add((j + 4) * apart), _mm256_permute2f128_ps::<0x31>(upper[j], lower[j]));
        }
    }
}

/// The kernels, each compiled for the instructions of `$lanes`.
macro_rules! kernels {
    ($lanes:ty, [$outer:ident, $inner:ident, $strips:ident, $spread:ident, $collect:ident], $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(super) unsafe fn $outer<const R: usize, const C: usize>(tile: Tile<$lanes, R, C>, call: Outer<'_>) {
            // SAFETY: the caller's promise.
            unsafe { tile.outer(call) }
        }
        $(#[$attribute])*
        pub(super) unsafe fn $inner<const R: usize, const C: usize>(tile: Tile<$lanes, R, C>, call: Inner<'_>) {
            // SAFETY: the caller's promise.
            unsafe { tile.inner(call) }
        }
        $(#[$attribute])*
        pub(super) unsafe fn $strips<M: Mix<I, O>, const I: usize, const O: usize>(mix: M, call: Strips<I, O>) {
            // SAFETY: the caller's promise.
            unsafe { call.run::<$lanes, M>(mix) }
        }
        $(#[$attribute])*
        pub(super) unsafe fn $spread<M: Mix<I, O>, const I: usize, const O: usize, const STEP: usize>(
            mix: M,
            call: Spread,
        ) {
            // SAFETY: the caller's promise.
            unsafe { call.run::<$lanes, M, I, O, STEP>(mix) }
        }
        $(#[$attribute])*
        pub(super) unsafe fn $collect<M: Mix<I, O>, const I: usize, const O: usize>(mix: M, call: Collect) {
            // SAFETY: the caller's promise.
            unsafe { call.run::<$lanes, M, I, O>(mix) }
        }
    };
}

kernels!(Portable, [outer_portable, inner_portable, strips_portable, spread_portable, collect_portable],);
#[cfg(target_arch = "x86_64")]
kernels!(
    Avx2,
    [outer_avx2, inner_avx2, strips_avx2, spread_avx2, collect_avx2],
    #[target_feature(enable = "avx2,fma")]
);
#[cfg(target_arch = "x86_64")]
kernels!(
    Avx512,
    [outer_avx512, inner_avx512, strips_avx512, spread_avx512, collect_avx512],
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
);

//! Vectors of floats: one type per kind of processor, and the kernels compiled for each.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::{Inner, Outer, Tile};

/// A vector of floats and what the kernels do with it.
///
/// # Safety
/// The functions may be called only where the processor has the type's instructions; pointers must be valid for [`Lanes::LANES`] floats.
pub(super) trait Lanes {
    type Vector: Copy;
    const LANES: usize;

    unsafe fn zero() -> Self::Vector;
    unsafe fn splat(x: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, v: Self::Vector);
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
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
    unsafe fn add(a: [f32; 8], b: [f32; 8]) -> [f32; 8] {
        std::array::from_fn(|i| a[i] + b[i])
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

#[cfg(target_arch = "x86_64")]
macro_rules! x86 {
    ($name:ident, $vector:ty, $lanes:literal, $zero:ident, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident, $sum:ident) => {
        impl Lanes for $name {
            type Vector = $vector;
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn zero() -> $vector {
                // SAFETY: the caller's promise, here and below.
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(x: f32) -> $vector {
                unsafe { $splat(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> $vector {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, v: $vector) {
                unsafe { $store(to, v) }
            }
            #[inline(always)]
            unsafe fn add(a: $vector, b: $vector) -> $vector {
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn fma(a: $vector, b: $vector, c: $vector) -> $vector {
                unsafe { $fma(a, b, c) }
            }
            #[inline(always)]
            unsafe fn sum(v: $vector) -> f32 {
                unsafe { $sum(v) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86!(
    Avx2,
    __m256,
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps,
    sum_avx2
);
#[cfg(target_arch = "x86_64")]
x86!(
    Avx512,
    __m512,
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps,
    _mm512_reduce_add_ps
);

/// The sum of eight lanes, in the order of [`Lanes::sum`].
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sum_avx2(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

macro_rules! kernels {
    ($lanes:ty, $outer:ident, $inner:ident, $(#[$attribute:meta])*) => {
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
    };
}

kernels!(Portable, outer_portable, inner_portable,);
#[cfg(target_arch = "x86_64")]
kernels!(Avx2, outer_avx2, inner_avx2, #[target_feature(enable = "avx2,fma")]);
#[cfg(target_arch = "x86_64")]
kernels!(Avx512, outer_avx512, inner_avx512, #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]);

/// Runs `work`, compiled for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Runs `work`, compiled for AVX-512.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
pub(super) unsafe fn run_avx512<R>(work: impl FnOnce() -> R) -> R {
    work()
}

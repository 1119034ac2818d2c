//! Random numbers that depend on nothing but (seed, stream, step, element).
//!
//! Element `i` has word `i mod 2` of Threefry with the key `(seed_lo ⊕ stream, seed_hi)` and the counter `(i / 2, step)`. Uniform is the
//! word's upper 24 bits times 2⁻²⁴: in [0, 1), exact on every device. Normal is the transform of Box and Muller of the pair
//! `(u, w)` that two neighbours share: `√(−2 ln(1 − u))` times `cos 2πw` and `sin 2πw`.
//! Sources: see `src/contract/random.rs`; G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::clock::expect_clock;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, StreamKey, grid, parallel_chunks, stem,
};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Graph, Var};
use crate::shape::{Shape, TensorSpec};

/// How random numbers are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Distribution {
    /// Uniform in [0, 1), with 24 random bits.
    Uniform,
    /// Standard normal.
    Normal,
}

/// A tensor of random floats, others in every step. Input: the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    /// What tells these numbers from those of other nodes; [`crate::contract::stream_of`] makes one from a name.
    pub stream: u32,
    /// The shape.
    pub shape: Shape,
    /// How they are spread.
    pub distribution: Distribution,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    stream: u32,
}

/// Uniform in [0, 1) from a random word.
fn uniform<T: Real>(word: u32) -> T {
    T::of(f64::from(word >> 8) / 16_777_216.0)
}

/// Two independent normal numbers from two random words.
fn normals<T: Real>(words: [u32; 2]) -> [T; 2] {
    let radius = (T::of(-2.0) * (T::one() - uniform::<T>(words[0])).ln()).sqrt();
    // The angle is reduced to its quarter of the circle while it still is a whole number.
    let quarter = ((words[1] >> 8) + (1 << 21)) >> 22;
    let rest = T::of(f64::from((words[1] >> 8) as i32 - (quarter << 22) as i32) / 16_777_216.0);
    let (s, c) = (rest * T::of(std::f64::consts::TAU)).sin_cos();
    let (cos, sin) = match quarter % 4 {
        0 => (c, s),
        1 => (-s, c),
        2 => (-c, -s),
        _ => (s, -c),
    };
    [radius * cos, radius * sin]
}

impl OpDef for Random {
    stem!("random");

    fn name(&self) -> &str {
        match self.distribution {
            Distribution::Uniform => "random_uniform",
            Distribution::Normal => "random_normal",
        }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [clock] = arity(self.name(), inputs)?;
        expect_clock(self.name(), clock)?;
        Ok(vec![TensorSpec::f32(self.shape.clone())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = self.shape.elements();
        let normal = u32::from(self.distribution == Distribution::Normal);
        let kernel = Kernel::of::<Self>("random").define("NORMAL", normal);
        let params = Params { n: n as u32, stream: self.stream };
        Launch::new(kernel, &params, grid(n.div_ceil(2))).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let key = StreamKey::new(call.x[0].u(), self.stream);
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            for (block, y) in y.chunks_mut(StreamKey::BLOCK).enumerate() {
                let words = key.block(start + block * StreamKey::BLOCK);
                match self.distribution {
                    Distribution::Uniform => y.iter_mut().zip(words).for_each(|(y, word)| *y = uniform(word)),
                    Distribution::Normal => {
                        for (y, words) in y.chunks_mut(2).zip(words.chunks_exact(2)) {
                            y.iter_mut().zip(normals([words[0], words[1]])).for_each(|(y, z)| *y = z);
                        }
                    }
                }
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}

impl Graph {
    /// A tensor of random floats, others in every step of the clock, and others for every `stream`.
    ///
    /// # Errors
    /// Where the shape has no elements or too many dimensions, or `clock` is not a clock.
    pub fn random(
        &self,
        shape: impl Into<Shape>,
        distribution: Distribution,
        stream: u32,
        clock: &Var,
    ) -> Result<Var> {
        self.push1(Random { stream, shape: shape.into(), distribution }, &[clock])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_are_those_of_box_and_muller() {
        for words in [[0, 0], [u32::MAX, u32::MAX], [1 << 8, 1 << 31], [0x9abc_def0, 0x2000_0000], [7 << 28, 0xdfff_ff00]] {
            let [u, w] = words.map(uniform::<f64>);
            let radius = (-2.0 * (1.0 - u).ln()).sqrt();
            let angle = std::f64::consts::TAU * w;
            let expected = [radius * angle.cos(), radius * angle.sin()];
            let (wide, narrow) = (normals::<f64>(words), normals::<f32>(words));
            for i in 0..2 {
                assert!((wide[i] - expected[i]).abs() <= 1e-14, "{words:?}: {wide:?} {expected:?}");
                assert!((f64::from(narrow[i]) - expected[i]).abs() <= 1e-6, "{words:?}: {narrow:?} {expected:?}");
            }
        }
    }
}

//! Random numbers that depend on nothing but (seed, stream, step, element).
//!
//! Element `i` has word `i mod 2` of Threefry with the key `(seed_lo ⊕ stream, seed_hi)` and the counter `(i / 2, step)`. Uniform is the
//! word's upper 24 bits times 2⁻²⁴: in [0, 1), exact on every device. Normal is the transform of Box and Muller of the pair
//! `(u, w)` that two neighbours share: `√(−2 ln(1 − u))` times `cos 2πw` and `sin 2πw`.
//!
//! Numbers that belong to samples, and not to places in a batch, have a key of the sample's own: the two words of Threefry with the
//! key `(seed_lo ⊕ stream, seed_hi)` and the counter `(sample, epoch)`. Element `i` of the sample has word `i mod 2` of the counter
//! `(i / 2, 0)` with that key. So they are the same whatever batch the sample is in, and in whatever order the samples come.
//! Sources: see `src/contract/random.rs`; G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::clock::expect_clock;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, StreamKey, grid, parallel_chunks, parallel_rows,
    stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Graph, Var};
use crate::shape::{DType, Shape, TensorSpec};

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

/// Random floats for every sample of a batch, `[batch, shape..]`: others for every sample and in every epoch, wherever the sample stands.
/// Inputs: the clock, the number of the epoch, u32 `[1]`, and what the samples are called, u32 `[batch]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomPerSample {
    /// As in [`Random`].
    pub stream: u32,
    /// The shape of the numbers of one sample.
    pub shape: Shape,
    /// How they are spread.
    pub distribution: Distribution,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    stream: u32,
    per_sample: u32,
    pad: u32,
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

impl Distribution {
    /// Writes the numbers of elements `first ..` of a stream to `y`, which is at most a block.
    fn write<T: Real>(self, key: &StreamKey, first: usize, y: &mut [T]) {
        let words = key.block(first);
        match self {
            Distribution::Uniform => y.iter_mut().zip(words).for_each(|(y, word)| *y = uniform(word)),
            Distribution::Normal => {
                for (y, words) in y.chunks_mut(2).zip(words.chunks_exact(2)) {
                    y.iter_mut().zip(normals([words[0], words[1]])).for_each(|(y, z)| *y = z);
                }
            }
        }
    }
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
        let params = Params { n: n as u32, stream: self.stream, per_sample: 0, pad: 0 };
        Launch::new(kernel, &params, grid(n.div_ceil(2))).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let key = StreamKey::new(call.x[0].u(), self.stream);
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            for (block, y) in y.chunks_mut(StreamKey::BLOCK).enumerate() {
                self.distribution.write(&key, start + block * StreamKey::BLOCK, y);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}

impl OpDef for RandomPerSample {
    stem!("random");

    fn name(&self) -> &str {
        match self.distribution {
            Distribution::Uniform => "random_uniform_per_sample",
            Distribution::Normal => "random_normal_per_sample",
        }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [clock, epoch, samples] = arity(self.name(), inputs)?;
        expect_clock(self.name(), clock)?;
        expect_dtype(self.name(), samples, DType::U32)?;
        if *epoch != TensorSpec::u32([1]) || samples.shape.len() != 1 {
            let actual = format!("{epoch} and {samples}");
            return Err(Error::shape(self.name(), "the epoch u32[1] and the samples u32[batch]", actual));
        }
        let mut shape = samples.shape.to_vec();
        shape.extend_from_slice(&self.shape);
        let spec = TensorSpec::f32(shape);
        // Kernels count elements in 32 bits.
        if spec.shape.elements() > u32::MAX as usize / 2 {
            return Err(Error::shape(self.name(), "fewer than 2³¹ numbers", spec.to_string()));
        }
        Ok(vec![spec])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (batch, per_sample) = (io.inputs[2].shape[0], self.shape.elements());
        let pairs = batch * per_sample.div_ceil(2);
        let normal = u32::from(self.distribution == Distribution::Normal);
        let kernel = Kernel::of::<Self>("random_per_sample").define("NORMAL", normal).define("PER_SAMPLE", 1);
        let params = Params { n: pairs as u32, stream: self.stream, per_sample: per_sample as u32, pad: 0 };
        Launch::new(kernel, &params, grid(pairs)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (epoch, samples) = (call.x[1].u()[0], call.x[2].u());
        let clock = call.x[0].u();
        parallel_rows(call.y[0].f_mut(), self.shape.elements(), |sample, y| {
            let key = StreamKey::of_sample(clock, self.stream, samples[sample], epoch);
            for (block, y) in y.chunks_mut(StreamKey::BLOCK).enumerate() {
                self.distribution.write(&key, block * StreamKey::BLOCK, y);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 3])
    }
}

impl Graph {
    /// A tensor of random floats, others in every step of the clock, and others for every `stream`.
    ///
    /// # Errors
    /// Where the shape has no elements or too many dimensions, or `clock` is not a clock.
    pub fn random(&self, shape: impl Into<Shape>, distribution: Distribution, stream: u32, clock: &Var) -> Result<Var> {
        self.push1(Random { stream, shape: shape.into(), distribution }, &[clock])
    }

    /// Random floats `[batch, shape..]` that belong to samples: others for every sample, in every epoch and for every `stream`, the same
    /// wherever the sample stands. `epoch` is u32 `[1]`, `samples` u32 `[batch]`.
    ///
    /// # Errors
    /// Where a shape does not fit or `clock` is not a clock.
    pub fn random_per_sample(
        &self,
        shape: impl Into<Shape>,
        distribution: Distribution,
        stream: u32,
        clock: &Var,
        epoch: &Var,
        samples: &Var,
    ) -> Result<Var> {
        self.push1(RandomPerSample { stream, shape: shape.into(), distribution }, &[clock, epoch, samples])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_are_those_of_box_and_muller() {
        for words in
            [[0, 0], [u32::MAX, u32::MAX], [1 << 8, 1 << 31], [0x9abc_def0, 0x2000_0000], [7 << 28, 0xdfff_ff00]]
        {
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

use super::{BuildCtx, Layer, Mode};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::random::Distribution;

/// In training each element is zeroed with probability `rate` and the others are scaled by `1 / (1 − rate)`; in inference
/// nothing happens. Source: N. Srivastava et al., JMLR 15, 2014.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Zeroes with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        Dropout { rate }
    }
}

impl Layer for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("dropout", self.rate)?;
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.dropout(self.rate, ctx.stream(""), ctx.clock()?),
        }
    }
}

fn check_rate(layer: &str, rate: f32) -> Result<()> {
    if (0.0..1.0).contains(&rate) { Ok(()) } else { Err(Error::parameter(layer, "rate", "in [0, 1)", rate)) }
}

/// Dropout of whole channels: in training all elements of a sample's channel are zeroed together with probability `rate`, and the
/// others are scaled by `1 / (1 − rate)`; in inference nothing happens. Shapes stay as they are: `[batch, c, ..]`.
///
/// Neighbouring pixels of a feature map say nearly the same, so that dropping single ones hides little. Source: J. Tompson et al.,
/// "Efficient object localization using convolutional networks", CVPR 2015.
///
/// ```
/// use galen::nn::{Network, Sequential, SpatialDropout};
///
/// let model = Sequential::new([3, 8, 8]).with(SpatialDropout::new(0.2));
/// assert_eq!(model.summary()?.outputs[0], [3, 8, 8].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpatialDropout {
    rate: f32,
    axis: isize,
}

impl SpatialDropout {
    /// Zeroes channels (axis 1) with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        SpatialDropout { rate, axis: 1 }
    }

    /// The axis of the channels, which counts from the end where it is negative: −1 for sequences `[batch, steps, features]`, of which
    /// the same features are dropped in every step (Keras's `SpatialDropout1D`).
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        SpatialDropout { axis, ..self }
    }
}

impl Layer for SpatialDropout {
    fn kind(&self) -> &'static str {
        "spatial_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("spatial_dropout", self.rate)?;
        let axis = crate::shape::resolve_axis("spatial_dropout", self.axis, x.shape().len())?;
        if axis == 0 {
            return Err(Error::parameter("spatial_dropout", "axis", "behind the batch", self.axis));
        }
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.dropout_channels(self.rate, self.axis, ctx.stream(""), ctx.clock()?),
        }
    }
}

/// In training normal noise of standard deviation `deviation` is added to each element, other noise in every step; in inference nothing
/// happens. Shapes stay as they are. Source: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural
/// Computation 7 (1995).
///
/// ```
/// use galen::nn::{GaussianNoise, Network, Sequential};
///
/// let model = Sequential::new([3, 8, 8]).with(GaussianNoise::new(0.1));
/// assert_eq!(model.summary()?.outputs[0], [3, 8, 8].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianNoise {
    deviation: f32,
}

impl GaussianNoise {
    /// Noise of this standard deviation, which must not be below 0.
    pub fn new(deviation: f32) -> Self {
        GaussianNoise { deviation }
    }
}

impl Layer for GaussianNoise {
    fn kind(&self) -> &'static str {
        "gaussian_noise"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if !self.deviation.is_finite() || self.deviation < 0.0 {
            return Err(Error::parameter("gaussian_noise", "deviation", "a number not below 0", self.deviation));
        }
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.add(&normal(ctx, x)?.scale(self.deviation)?),
        }
    }
}

/// In training each element is multiplied with a normal number of mean 1 and variance `rate / (1 − rate)`, so that mean and variance are
/// those of [`Dropout`]; in inference nothing happens. Shapes stay as they are. Source: N. Srivastava et al., JMLR 15, 2014, section 10.
///
/// ```
/// use galen::nn::{GaussianDropout, Network, Sequential};
///
/// let model = Sequential::new([7]).with(GaussianDropout::new(0.2));
/// assert_eq!(model.summary()?.outputs[0], [7].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianDropout {
    rate: f32,
}

impl GaussianDropout {
    /// The noise that dropout of `rate` makes; it must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        GaussianDropout { rate }
    }
}

impl Layer for GaussianDropout {
    fn kind(&self) -> &'static str {
        "gaussian_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("gaussian_dropout", self.rate)?;
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.mul(&normal(ctx, x)?.scale(deviation)?.shift(1.0)?),
        }
    }
}

/// Dropout for networks of [SELU](super::Activation::Selu): in training elements go to SELU's lowest value with probability `rate`, and
/// the whole is scaled and shifted so that mean 0 and variance 1 stay; in inference nothing happens. Shapes stay as they are.
///
/// `y = a (m x + (1 − m) α′) + b` with a mask `m` and `α′ = −λ α = −1.7581`, `a = (q + α′² q (1 − q))^(−1/2)`, `b = −a (1 − q) α′`, where
/// `q = 1 − rate`. Source: G. Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
///
/// ```
/// use galen::nn::{AlphaDropout, Network, Sequential};
///
/// let model = Sequential::new([7]).with(AlphaDropout::new(0.1));
/// assert_eq!(model.summary()?.outputs[0], [7].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AlphaDropout {
    rate: f32,
}

impl AlphaDropout {
    /// Drops with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        AlphaDropout { rate }
    }
}

impl Layer for AlphaDropout {
    fn kind(&self) -> &'static str {
        "alpha_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("alpha_dropout", self.rate)?;
        if ctx.mode == Mode::Infer {
            return Ok(x.clone());
        }
        let (lowest, keep) = (-1.758_099_4_f32, 1.0 - self.rate);
        let a = (keep + lowest * lowest * keep * self.rate).powf(-0.5);
        let b = -a * self.rate * lowest;
        let graph = x.graph();
        let dice = graph.random(x.shape(), Distribution::Uniform, ctx.stream(""), ctx.clock()?)?;
        let stays = dice.greater_equal(&graph.fill([1], self.rate)?)?;
        stays.select(x, &graph.fill([1], lowest)?)?.scale(a)?.shift(b)
    }
}

/// Standard normal noise in the shape of `x`.
fn normal(ctx: &BuildCtx, x: &Var) -> Result<Var> {
    x.graph().random(x.shape(), Distribution::Normal, ctx.stream(""), ctx.clock()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::clock::clock;
    use crate::graph::{Graph, Init};
    use crate::nn::Layer;
    use crate::{DType, Device, Session, Tensor, TensorSpec};

    /// What a layer makes of `x` in training and in inference.
    fn both(layer: &dyn Layer, x: &Tensor) -> Result<[Vec<f32>; 2]> {
        let run = |mode| -> Result<Vec<f32>> {
            let graph = Graph::new();
            let clock = graph.state("clock", "clock", TensorSpec::u32([8]), Init::Words(clock(3, 77).into()))?;
            let input = graph.input("x", x.spec().shape, DType::F32)?;
            // A node of its own, so that inference too has something to run.
            let y = layer.build(&BuildCtx::new(mode, Some(&clock), Vec::new()), &input)?.scale(1.0)?;
            let mut session = Session::new(&Device::cpu_with_threads(1)?, 0, None);
            let program = session.compile(&graph, &[y])?;
            Ok(session.run(&program, &[("x", x)])?.swap_remove(0).into_f32()?.into_raw_vec_and_offset().0)
        };
        Ok([run(Mode::Train)?, run(Mode::Infer)?])
    }

    /// Standard normal numbers.
    fn normal(shape: &[usize]) -> Result<Tensor> {
        let mut random = crate::contract::Threefry::new(5, 6);
        Tensor::f32(shape, (0..shape.iter().product()).map(|_| random.normal()).collect())
    }

    fn moments(x: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
        let n = x.clone().count() as f64;
        let mean = x.clone().sum::<f64>() / n;
        [mean, x.map(|x| (x - mean).powi(2)).sum::<f64>() / n]
    }

    #[test]
    fn noise_has_the_moments_that_it_should() -> Result<()> {
        let x = normal(&[100, 300])?;
        let Tensor::F32(plain) = &x else { panic!("floats") };
        // Means of 30,000 numbers of variance 1 are within 0.03 of the truth.
        let near = |found: [f64; 2], expected: [f64; 2]| {
            let close = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.03);
            assert!(close, "{found:?}, expected {expected:?}");
        };
        let [noisy, quiet] = both(&GaussianNoise::new(0.5), &x)?;
        assert!(plain.iter().eq(&quiet));
        near(moments(noisy.iter().zip(plain).map(|(y, x)| f64::from(y - x))), [0.0, 0.25]);
        let [noisy, quiet] = both(&GaussianDropout::new(0.2), &x)?;
        assert!(plain.iter().eq(&quiet));
        let factors = noisy.iter().zip(plain).filter(|(_, x)| x.abs() > 0.1).map(|(y, x)| f64::from(y / x));
        near(moments(factors), [1.0, 0.25]);
        // Mean and variance stay, and a share of 0.1 is where SELU's lowest value goes.
        let [noisy, quiet] = both(&AlphaDropout::new(0.1), &x)?;
        assert!(plain.iter().eq(&quiet));
        near(moments(noisy.iter().map(|y| f64::from(*y))), [0.0, 1.0]);
        let a = (0.9 + 1.7581f64.powi(2) * 0.09).powf(-0.5);
        let lowest = (a * -1.7581 + a * 0.1 * 1.7581) as f32;
        let share = noisy.iter().filter(|y| (*y - lowest).abs() < 1e-4).count() as f64 / 30_000.0;
        assert!((share - 0.1).abs() < 0.01, "{share}");
        Ok(())
    }

    #[test]
    fn channels_go_or_stay_as_a_whole() -> Result<()> {
        let x = normal(&[20, 30, 4, 5])?;
        let Tensor::F32(plain) = &x else { panic!("floats") };
        let plain = plain.as_slice().unwrap_or_default();
        let [dropped, quiet] = both(&SpatialDropout::new(0.25), &x)?;
        assert_eq!(quiet, plain);
        let mut gone = 0;
        for (y, x) in dropped.chunks(20).zip(plain.chunks(20)) {
            let stays = y.iter().zip(x).all(|(y, x)| (y - x / 0.75).abs() < 1e-5);
            assert!(stays || y.iter().all(|y| *y == 0.0));
            gone += usize::from(!stays);
        }
        assert!((100..200).contains(&gone), "{gone} of 600");
        // Of sequences, features: the same ones in every step.
        let [dropped, _] = both(&SpatialDropout::new(0.5).axis(-1), &normal(&[3, 7, 11])?)?;
        for sample in dropped.chunks(77) {
            for step in sample.chunks(11) {
                assert!(step.iter().zip(sample).all(|(a, b)| (*a == 0.0) == (*b == 0.0)));
            }
        }
        Ok(())
    }
}

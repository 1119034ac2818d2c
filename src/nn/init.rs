use crate::graph::Init;

/// How a layer's weights begin. `fan_in` and `fan_out` are the numbers of inputs and outputs of one weight's neuron.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Initializer {
    /// Uniform in ±√(6 / (fan_in + fan_out)): Keras's default. Source: X. Glorot, Y. Bengio, AISTATS 2010.
    #[default]
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out), cut off at two standard deviations, as in Keras.
    GlorotNormal,
    /// Uniform in ±√(6 / fan_in), for ReLU. Source: K. He et al., ICCV 2015.
    HeUniform,
    /// Normal with variance 2 / fan_in, cut off at two standard deviations, for ReLU.
    HeNormal,
    /// Uniform in ±√(3 / fan_in), for SELU. Source: Y. LeCun et al., "Efficient BackProp", 1998.
    LecunUniform,
    /// Normal with variance 1 / fan_in, cut off at two standard deviations, for SELU.
    LecunNormal,
    /// Orthonormal rows or columns, times this factor. Source: A. Saxe et al., ICLR 2014.
    Orthogonal(f32),
    /// Uniform between the two bounds.
    Uniform(f32, f32),
    /// Normal with this mean and standard deviation.
    Normal(f32, f32),
    /// Normal with this mean and standard deviation, drawn again where it lies more than two of them off.
    TruncatedNormal(f32, f32),
    /// All the same.
    Constant(f32),
}

/// The standard deviation of a standard normal that is cut off at ±2.
const TRUNCATED: f32 = 0.879_625_7;

impl Initializer {
    /// The initial values of a tensor with these fans.
    pub fn init(self, fan_in: usize, fan_out: usize) -> Init {
        let both = fan_in.saturating_add(fan_out);
        let uniform = |scale: f32, n: usize| {
            let limit = (3.0 * scale / n.max(1) as f32).sqrt();
            Init::Uniform(-limit, limit)
        };
        let normal = |scale: f32, n: usize| Init::TruncatedNormal(0.0, (scale / n.max(1) as f32).sqrt() / TRUNCATED);
        match self {
            Initializer::GlorotUniform => uniform(2.0, both),
            Initializer::GlorotNormal => normal(2.0, both),
            Initializer::HeUniform => uniform(2.0, fan_in),
            Initializer::HeNormal => normal(2.0, fan_in),
            Initializer::LecunUniform => uniform(1.0, fan_in),
            Initializer::LecunNormal => normal(1.0, fan_in),
            Initializer::Orthogonal(gain) => Init::Orthogonal(gain),
            Initializer::Uniform(low, high) => Init::Uniform(low, high),
            Initializer::Normal(mean, deviation) => Init::Normal(mean, deviation),
            Initializer::TruncatedNormal(mean, deviation) => Init::TruncatedNormal(mean, deviation),
            Initializer::Constant(c) => Init::Constant(c),
        }
    }
}

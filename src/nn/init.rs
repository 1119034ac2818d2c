use crate::graph::Init;

/// How a layer's weights begin. `fan_in` and `fan_out` are the numbers of inputs and outputs of one weight's neuron.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Initializer {
    /// Uniform in ±√(6 / (fan_in + fan_out)): Keras's default. Source: X. Glorot, Y. Bengio, AISTATS 2010.
    #[default]
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out).
    GlorotNormal,
    /// Uniform in ±√(6 / fan_in), for ReLU. Source: K. He et al., ICCV 2015.
    HeUniform,
    /// Normal with variance 2 / fan_in, for ReLU.
    HeNormal,
    /// All the same.
    Constant(f32),
}

impl Initializer {
    /// The initial values of a tensor with these fans.
    pub fn init(self, fan_in: usize, fan_out: usize) -> Init {
        let uniform = |n: usize| {
            let limit = (6.0 / n as f32).sqrt();
            Init::Uniform(-limit, limit)
        };
        match self {
            Initializer::GlorotUniform => uniform(fan_in.saturating_add(fan_out)),
            Initializer::GlorotNormal => Init::Normal(0.0, (2.0 / fan_in.saturating_add(fan_out) as f32).sqrt()),
            Initializer::HeUniform => uniform(fan_in),
            Initializer::HeNormal => Init::Normal(0.0, (2.0 / fan_in as f32).sqrt()),
            Initializer::Constant(c) => Init::Constant(c),
        }
    }
}

use serde::{Deserialize, Serialize};

use crate::contract::exact;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Which form of the description this is. A reader refuses others.
const VERSION: u32 = 1;

/// What a model does to its inputs before they reach its network. It is taken from the data that the model is trained on, travels in the
/// model's file, and holds for everything that the model is given.
///
/// By now it says how bytes become numbers: `x · scale + shift`, as [`Dataset::scaled`] said in the training. Floats and tokens are taken
/// as they are: floats must come prepared as those of the training were.
///
/// ```
/// use galen::prelude::*;
/// use ndarray::{Array1, Array2};
///
/// let bytes = Array2::from_shape_fn((8, 4), |(i, j)| (32 * i + j) as u8);
/// let data = Dataset::scaled(bytes.clone(), Array1::from_shape_fn(8, |i| u32::from(i > 3)), 2.0 / 255.0, -1.0)?;
/// let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
/// let setup = Setup::on(&Device::cpu_with_threads(1)?);
/// let mut model = network.compile_on(&setup, Adam::new(0.01), CategoricalCrossEntropy::new(), &[])?;
/// model.fit(&data, &Fit::new().verbose(false))?;
/// assert_eq!(model.preparation().bytes(0), Some((2.0 / 255.0, -1.0)));
/// assert_eq!(model.predict(bytes)?, model.predict_dataset(&data)?);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    version: u32,
    inputs: Vec<InputPreparation>,
}

/// What is done to one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputPreparation {
    /// None where the model has not seen bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Scaling>,
}

/// Bytes become `x · scale + shift`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scaling {
    #[serde(with = "exact")]
    scale: f32,
    #[serde(with = "exact")]
    shift: f32,
}

impl Scaling {
    /// Whether both give the same numbers but for rounding.
    fn is_like(self, other: Scaling) -> bool {
        let near = |a: f32, b: f32, size: f32| (a - b).abs() <= 1e-6 * size;
        let size = self.scale.abs().max(other.scale.abs());
        let shift = self.shift.abs().max(other.shift.abs());
        near(self.scale, other.scale, size) && near(self.shift, other.shift, shift.max(255.0 * size))
    }

    fn describe(self) -> String {
        format!("bytes as x · {} + {}", self.scale, self.shift)
    }
}

impl Preparation {
    /// Of a model with so many inputs that has seen nothing.
    pub(super) fn new(inputs: usize) -> Preparation {
        Preparation { version: VERSION, inputs: vec![InputPreparation::default(); inputs] }
    }

    /// Scale and shift of the bytes of the `input`-th input; `None` where the model was not trained on bytes.
    pub fn bytes(&self, input: usize) -> Option<(f32, f32)> {
        self.inputs.get(input)?.bytes.map(|Scaling { scale, shift }| (scale, shift))
    }

    /// The preparation as JSON.
    pub(super) fn written(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::usage("a preparation", e.to_string()))
    }

    /// The preparation of a model with so many inputs, from JSON; what is wrong with it, where it is none.
    pub(super) fn read(text: &str, inputs: usize) -> Result<Preparation, String> {
        let read: Preparation = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if read.version != VERSION {
            return Err(format!("version {}, and this Galen reads {VERSION}", read.version));
        }
        if read.inputs.len() != inputs {
            return Err(format!("one for {} inputs, of a network with {inputs}", read.inputs.len()));
        }
        let scalings = read.inputs.iter().filter_map(|input| input.bytes);
        if scalings.into_iter().any(|s| !s.scale.is_finite() || !s.shift.is_finite()) {
            return Err("a scaling that is not finite".into());
        }
        Ok(read)
    }

    /// Takes bytes of the `input`-th input, called `what`, as scaled so from now on.
    ///
    /// # Errors
    /// Where they were scaled in another way before.
    pub(super) fn learn(&mut self, input: usize, what: &str, (scale, shift): (f32, f32)) -> Result<()> {
        self.expect(input, what, (scale, shift))?;
        self.inputs[input].bytes.get_or_insert(Scaling { scale, shift });
        Ok(())
    }

    /// Refuses bytes that are scaled in another way than those of the training.
    pub(super) fn expect(&self, input: usize, what: &str, (scale, shift): (f32, f32)) -> Result<()> {
        let given = Scaling { scale, shift };
        match self.inputs.get(input).and_then(|input| input.bytes) {
            Some(known) if !known.is_like(given) => {
                let expected = format!("{}, as the model was trained (Dataset::scaled)", known.describe());
                Err(Error::data(what, expected, given.describe()))
            }
            _ => Ok(()),
        }
    }

    /// Scale and shift of what is given as the `input`-th input, called `what`; 1 and 0 of what is no bytes.
    ///
    /// # Errors
    /// Where it is bytes, and nothing is known of how they become numbers.
    pub(super) fn scaling(&self, input: usize, what: &str, given: &Tensor) -> Result<(f32, f32)> {
        if !matches!(given, Tensor::U8(_)) {
            return Ok((1.0, 0.0));
        }
        self.bytes(input).ok_or_else(|| {
            let expected = "f32: the model was not trained on bytes, and does not know how they become numbers (a Dataset \
                            says it, or Model::scale_bytes)";
            Error::data(what, expected, given.spec().to_string())
        })
    }

    /// The scalings of a dataset's inputs of bytes, by their places.
    pub(super) fn of(data: &Dataset) -> impl Iterator<Item = (usize, (f32, f32))> {
        let columns = data.columns().iter().enumerate();
        columns.filter(|(_, column)| column.is_bytes()).map(|(i, column)| (i, column.scaling()))
    }
}

/// Bytes as `x · scale + shift`; other types as they are.
pub(super) fn scaled(tensor: Tensor, (scale, shift): (f32, f32)) -> Tensor {
    match tensor {
        Tensor::U8(x) => x.mapv(|v| f32::from(v) * scale + shift).into(),
        other => other,
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::shape::{DType, Shape};
use crate::tensor::{Elements, Tensor, class_of};

/// One tensor of a dataset: `[n, ..]`, and how its bytes become numbers.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) tensor: Tensor,
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

/// Features and targets of the same samples, in order. Cloning is cheap and shares the data.
///
/// Bytes stay bytes, on the host and on the device, and become `x · scale + shift` when a batch is gathered.
///
/// A model with several inputs or outputs takes a dataset with as many, in the model's order:
///
/// ```
/// use galen::data::Dataset;
/// use ndarray::{Array1, Array2};
///
/// let (image, age, class) = (Array2::<f32>::zeros((5, 64)), Array2::<f32>::zeros((5, 1)), Array1::<u32>::zeros(5));
/// let data = Dataset::new(image, class)?.with_input(age)?.with_weights(vec![1.0, 1.0, 2.0, 1.0, 2.0])?;
/// assert_eq!((data.len(), data.inputs().count()), (5, 2));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dataset {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    id: u64,
    inputs: Vec<Column>,
    targets: Vec<Tensor>,
    weights: Option<Tensor>,
}

impl Inner {
    /// A dataset of this content, which no other has.
    fn into_dataset(mut self) -> Dataset {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.id = NEXT.fetch_add(1, Ordering::Relaxed);
        Dataset { inner: Arc::new(self) }
    }
}

impl Dataset {
    /// `features` `[n, ..]` (`f32`; `u8`, which becomes `x / 255`; or `u32` for tokens) and `targets`: class indices `[n]` (`u32`),
    /// or `[n, ..]` (`f32`): one-hot rows, values.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, the counts differ, a type does not fit, or a float is NaN or infinite.
    pub fn new(features: impl Into<Tensor>, targets: impl Into<Tensor>) -> Result<Dataset> {
        Dataset::scaled(features, targets, 1.0 / 255.0, 0.0)
    }

    /// Like [`Dataset::new`]; byte features become `x · scale + shift`.
    ///
    /// # Errors
    /// See [`Dataset::new`].
    pub fn scaled(features: impl Into<Tensor>, targets: impl Into<Tensor>, scale: f32, shift: f32) -> Result<Dataset> {
        let (features, targets) = (features.into(), targets.into());
        features.expect_rows("features")?;
        let n = features.shape().first().copied().unwrap_or(0);
        if n == 0 || features.elements().is_empty() {
            return Err(Error::data("features", "at least one sample", format!("shape {:?}", features.shape())));
        }
        all_finite("features", &features)?;
        check_targets(n, &targets)?;
        let inputs = vec![Column { tensor: features, scale, shift }];
        Ok(Inner { id: 0, inputs, targets: vec![targets], weights: None }.into_dataset())
    }

    /// The same samples with another input after those that are there.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many samples, or a float is NaN or infinite.
    pub fn with_input(self, features: impl Into<Tensor>) -> Result<Dataset> {
        self.with_scaled_input(features, 1.0 / 255.0, 0.0)
    }

    /// Like [`Dataset::with_input`]; bytes become `x · scale + shift`.
    ///
    /// # Errors
    /// See there.
    pub fn with_scaled_input(self, features: impl Into<Tensor>, scale: f32, shift: f32) -> Result<Dataset> {
        let tensor = features.into();
        tensor.expect_rows("features")?;
        check_count("features", self.len(), &tensor)?;
        all_finite("features", &tensor)?;
        let mut inner = (*self.inner).clone();
        inner.inputs.push(Column { tensor, scale, shift });
        Ok(inner.into_dataset())
    }

    /// The same samples with targets for another output after those that are there.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many, the type does not fit, or a float is NaN or infinite.
    pub fn with_target(self, targets: impl Into<Tensor>) -> Result<Dataset> {
        let targets = targets.into();
        check_targets(self.len(), &targets)?;
        let mut inner = (*self.inner).clone();
        inner.targets.push(targets);
        Ok(inner.into_dataset())
    }

    /// The same samples, each counting this much in the loss.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many, or one is negative, NaN or infinite.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Dataset> {
        if let Some(i) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(Error::data("sample weights", "numbers not below 0", format!("{} in sample {i}", weights[i])));
        }
        let weights = Tensor::from(ndarray::Array1::from(weights));
        check_count("sample weights", self.len(), &weights)?;
        Ok(Inner { weights: Some(weights), ..(*self.inner).clone() }.into_dataset())
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.inner.inputs[0].tensor.shape()[0]
    }

    /// Never true: a dataset has at least one sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The features, `[n, ..]`; of several inputs the first.
    pub fn features(&self) -> &Tensor {
        &self.inner.inputs[0].tensor
    }

    /// The targets, `[n, ..]`; of several outputs the first.
    pub fn targets(&self) -> &Tensor {
        &self.inner.targets[0]
    }

    /// All inputs, each `[n, ..]`.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &Tensor> {
        self.inner.inputs.iter().map(|column| &column.tensor)
    }

    /// The targets of all outputs, each `[n, ..]`.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Tensor> {
        self.inner.targets.iter()
    }

    /// How much each sample counts in the loss, `[n]`.
    pub fn weights(&self) -> Option<&Tensor> {
        self.inner.weights.as_ref()
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.inner.inputs
    }

    /// What byte features are multiplied by and what is then added; of several inputs the first's.
    pub fn scaling(&self) -> (f32, f32) {
        self.inner.inputs[0].scaling()
    }

    /// The shape of one sample; of several inputs the first's.
    pub fn sample_shape(&self) -> Shape {
        Shape::from(&self.features().shape()[1..])
    }

    /// The samples before `at`, and those from `at` on.
    ///
    /// # Errors
    /// [`Error::Data`] where one side would be empty.
    pub fn split_at(&self, at: usize) -> Result<(Dataset, Dataset)> {
        if at == 0 || at >= self.len() {
            return Err(Error::data(
                "split",
                format!("between 1 and {} samples before it", self.len() - 1),
                at.to_string(),
            ));
        }
        let rows = |range: std::ops::Range<usize>| self.select(&range.collect::<Vec<_>>());
        Ok((rows(0..at)?, rows(at..self.len())?))
    }

    /// The samples of these numbers, in this order; one may be named more than once.
    ///
    /// # Errors
    /// [`Error::Data`] where there is none, or one does not exist.
    pub fn select(&self, samples: &[usize]) -> Result<Dataset> {
        if samples.is_empty() {
            return Err(Error::data("a selection of samples", "at least one", "none"));
        }
        if let Some(bad) = samples.iter().find(|i| **i >= self.len()) {
            return Err(Error::data(
                "a selection of samples",
                format!("numbers below {}", self.len()),
                bad.to_string(),
            ));
        }
        let pick = |t: &Tensor| t.select(samples);
        let column = |c: &Column| Column { tensor: pick(&c.tensor), ..*c };
        Ok(Inner {
            id: 0,
            inputs: self.inner.inputs.iter().map(column).collect(),
            targets: self.inner.targets.iter().map(pick).collect(),
            weights: self.inner.weights.as_ref().map(pick),
        }
        .into_dataset())
    }

    /// The class of every sample: the targets themselves, or the largest entry of every one-hot row; of a row with one entry, whether
    /// it is above one half.
    pub fn classes(&self) -> Option<Vec<u32>> {
        match self.targets() {
            Tensor::U32(x) => Some(x.iter().copied().collect()),
            Tensor::F32(x) if x.ndim() == 2 => {
                Some(x.rows().into_iter().map(|row| class_of(row.iter().copied())).collect())
            }
            _ => None,
        }
    }

    /// What tells this dataset's content from any other's in this process.
    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }
}

impl Column {
    /// Factor and addend of bytes; other types are left as they are.
    pub(crate) fn scaling(&self) -> (f32, f32) {
        if self.tensor.spec().dtype == DType::U8 { (self.scale, self.shift) } else { (1.0, 0.0) }
    }
}

fn check_targets(samples: usize, targets: &Tensor) -> Result<()> {
    targets.expect_rows("targets")?;
    check_count("targets", samples, targets)?;
    if targets.spec().dtype == DType::U8 {
        return Err(Error::data("targets", "class indices in u32, or f32", "u8"));
    }
    all_finite("targets", targets)
}

fn check_count(what: &str, samples: usize, tensor: &Tensor) -> Result<()> {
    match tensor.shape().first().copied().unwrap_or(0) {
        n if n == samples => Ok(()),
        n => Err(Error::data(what, format!("{samples} of them, one for each sample"), n.to_string())),
    }
}

fn all_finite(what: &str, tensor: &Tensor) -> Result<()> {
    let Elements::F32(x) = tensor.elements() else { return Ok(()) };
    match x.iter().position(|v| !v.is_finite()) {
        Some(i) => {
            let sample = i / (x.len() / tensor.shape()[0]);
            Err(Error::data(what, "finite numbers", format!("{} in sample {sample}", x[i])))
        }
        None => Ok(()),
    }
}

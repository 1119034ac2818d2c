use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Crc;

use super::source::{Source, all_finite, none_infinite};
use crate::error::{Error, Result};
use crate::shape::{DType, Shape};
use crate::tensor::{Tensor, class_of};

/// Scale and shift of bytes where nobody says others.
const BYTES: (f32, f32) = (1.0 / 255.0, 0.0);

/// One input of a dataset: `[n, ..]`, and how its bytes become numbers.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) source: Source,
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

/// Features and targets of the same samples, in order. Cloning is cheap and shares the data.
///
/// Bytes stay bytes, on the host and on the device, and become `x · scale + shift` when a batch is gathered.
///
/// What does not fit in memory is given as a [`Source`] of [`Rows`](super::Rows), which are made when a batch wants them.
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
    targets: Vec<Source>,
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
    /// or `[n, ..]` (`f32`): one-hot rows, values. A NaN among the targets marks a missing one, for a loss that is told so
    /// ([`Loss::missing`](crate::nn::Loss::missing)); others refuse it before the first step.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, the counts differ, a type does not fit, a feature is NaN or infinite, or a target is
    /// infinite.
    pub fn new(features: impl Into<Source>, targets: impl Into<Source>) -> Result<Dataset> {
        Dataset::of(features.into(), targets.into(), BYTES)
    }

    /// Like [`Dataset::new`], for bytes, which become `x · scale + shift`. What a model was trained on is kept in its file, so that
    /// [`Model::predict`](crate::train::Model::predict) does the same to the bytes that it is given.
    ///
    /// # Errors
    /// See [`Dataset::new`]; also where the features are not bytes (floats are scaled before they are given), where the scale or the shift is
    /// not finite, and where the scale is 0.
    pub fn scaled(features: impl Into<Source>, targets: impl Into<Source>, scale: f32, shift: f32) -> Result<Dataset> {
        let features = features.into();
        check_bytes(&features, scale, shift)?;
        Dataset::of(features, targets.into(), (scale, shift))
    }

    fn of(features: Source, targets: Source, (scale, shift): (f32, f32)) -> Result<Dataset> {
        expect_rows("features", &features)?;
        let n = features.len();
        if n == 0 || features.spec().shape.elements() == 0 {
            return Err(Error::data("features", "at least one sample", format!("shape {}", features.spec().shape)));
        }
        all_finite("features", &features)?;
        check_targets(n, &targets)?;
        let inputs = vec![Column { source: features, scale, shift }];
        Ok(Inner { id: 0, inputs, targets: vec![targets], weights: None }.into_dataset())
    }

    /// The same samples with another input after those that are there.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many samples, or a float is NaN or infinite.
    pub fn with_input(self, features: impl Into<Source>) -> Result<Dataset> {
        self.and_input(features.into(), BYTES)
    }

    /// Like [`Dataset::with_input`], for bytes, which become `x · scale + shift`.
    ///
    /// # Errors
    /// See there, and [`Dataset::scaled`].
    pub fn with_scaled_input(self, features: impl Into<Source>, scale: f32, shift: f32) -> Result<Dataset> {
        let features = features.into();
        check_bytes(&features, scale, shift)?;
        self.and_input(features, (scale, shift))
    }

    fn and_input(self, source: Source, (scale, shift): (f32, f32)) -> Result<Dataset> {
        expect_rows("features", &source)?;
        check_count("features", self.len(), source.len())?;
        all_finite("features", &source)?;
        let mut inner = (*self.inner).clone();
        inner.inputs.push(Column { source, scale, shift });
        Ok(inner.into_dataset())
    }

    /// The same samples with targets for another output after those that are there.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many, the type does not fit, or a float is infinite.
    pub fn with_target(self, targets: impl Into<Source>) -> Result<Dataset> {
        let targets = targets.into();
        check_targets(self.len(), &targets)?;
        let mut inner = (*self.inner).clone();
        inner.targets.push(targets);
        Ok(inner.into_dataset())
    }

    /// The same samples, each counting this much in the loss.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many, one is negative, NaN or infinite, or all are 0.
    pub fn with_weights(self, weights: Vec<f32>) -> Result<Dataset> {
        if let Some(i) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(Error::data("sample weights", "numbers not below 0", format!("{} in sample {i}", weights[i])));
        }
        check_count("sample weights", self.len(), weights.len())?;
        if weights.iter().all(|w| *w == 0.0) {
            return Err(Error::data("sample weights", "at least one above 0", "0 for every sample"));
        }
        let weights = Tensor::from(ndarray::Array1::from(weights));
        Ok(Inner { weights: Some(weights), ..(*self.inner).clone() }.into_dataset())
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.inner.inputs[0].source.len()
    }

    /// Never true: a dataset has at least one sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The features, `[n, ..]`; of several inputs the first.
    pub fn features(&self) -> &Source {
        &self.inner.inputs[0].source
    }

    /// The targets, `[n, ..]`; of several outputs the first.
    pub fn targets(&self) -> &Source {
        &self.inner.targets[0]
    }

    /// All inputs, each `[n, ..]`.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &Source> {
        self.inner.inputs.iter().map(|column| &column.source)
    }

    /// The targets of all outputs, each `[n, ..]`.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Source> {
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
        self.features().sample().shape
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
        let pick = |source: &Source| source.select(samples);
        let column = |c: &Column| Ok(Column { source: pick(&c.source)?, ..*c });
        Ok(Inner {
            id: 0,
            inputs: self.inner.inputs.iter().map(column).collect::<Result<_>>()?,
            targets: self.inner.targets.iter().map(pick).collect::<Result<_>>()?,
            weights: self.inner.weights.as_ref().map(|weights| weights.select(samples)).transpose()?,
        }
        .into_dataset())
    }

    /// The class of every sample: the targets themselves, or the largest entry of every one-hot row; of a row with one entry, whether
    /// it is above one half. None where the targets are something else, or not in memory.
    pub fn classes(&self) -> Option<Vec<u32>> {
        match self.targets().tensor()? {
            Tensor::U32(x) => Some(x.iter().copied().collect()),
            Tensor::F32(x) if x.ndim() == 2 => {
                Some(x.rows().into_iter().map(|row| class_of(row.iter().copied())).collect())
            }
            _ => None,
        }
    }

    /// A checksum (CRC-32) of what this dataset is made of: shapes and types, the elements of what is in memory, and which samples are
    /// meant of what is made when it is wanted.
    pub(crate) fn fingerprint(&self) -> u32 {
        let mut crc = Crc::new();
        for source in self.inputs().chain(self.outputs()) {
            crc.update(source.spec().to_string().as_bytes());
            source.add_to(&mut crc);
        }
        self.weights().into_iter().for_each(|weights| crc.update(weights.elements().bytes()));
        self.columns().iter().for_each(|column| crc.update(bytemuck::bytes_of(&<[f32; 2]>::from(column.scaling()))));
        crc.sum()
    }

    /// What tells this dataset's content from any other's in this process.
    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }
}

impl Column {
    /// Factor and addend of bytes; other types are left as they are.
    pub(crate) fn scaling(&self) -> (f32, f32) {
        if self.is_bytes() { (self.scale, self.shift) } else { (1.0, 0.0) }
    }

    /// Whether it has bytes, which are scaled.
    pub(crate) fn is_bytes(&self) -> bool {
        self.source.spec().dtype == DType::U8
    }
}

/// Refuses a scaling of what is not bytes, and one that makes no sense.
fn check_bytes(features: &Source, scale: f32, shift: f32) -> Result<()> {
    if features.spec().dtype != DType::U8 {
        let expected = "bytes (u8); other features are scaled before they are given to Dataset::new";
        return Err(Error::data("features to scale", expected, features.spec().to_string()));
    }
    check_scaling("features to scale", scale, shift)
}

/// Refuses a scaling of bytes by which they would not be finite, or all the same.
pub(crate) fn check_scaling(what: &str, scale: f32, shift: f32) -> Result<()> {
    if scale != 0.0 && shift.is_finite() && (255.0 * scale + shift).is_finite() {
        return Ok(());
    }
    let actual = format!("{scale} and {shift}");
    Err(Error::parameter(what, "scale and shift", "finite, and the scale not 0", actual))
}

fn check_targets(samples: usize, targets: &Source) -> Result<()> {
    expect_rows("targets", targets)?;
    check_count("targets", samples, targets.len())?;
    if targets.spec().dtype == DType::U8 {
        return Err(Error::data("targets", "class indices in u32, or f32", "u8"));
    }
    none_infinite("targets", targets)
}

fn expect_rows(what: &str, source: &Source) -> Result<()> {
    source.tensor().map_or(Ok(()), |tensor| tensor.expect_rows(what))
}

fn check_count(what: &str, samples: usize, given: usize) -> Result<()> {
    if given == samples {
        return Ok(());
    }
    Err(Error::data(what, format!("{samples} of them, one for each sample"), given.to_string()))
}

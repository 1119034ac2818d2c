use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{ArrayD, Axis};

use crate::error::{Error, Result};
use crate::shape::{DType, Shape};
use crate::tensor::{Elements, Tensor};

/// Features and targets of the same samples, in order. Cloning is cheap and shares the data.
///
/// Bytes stay bytes, on the host and on the device, and become `x · scale + shift` when a batch is gathered.
#[derive(Clone, Debug)]
pub struct Dataset {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    features: Tensor,
    targets: Tensor,
    scale: f32,
    shift: f32,
}

impl Dataset {
    /// `features` `[n, ..]` (`f32`, or `u8` which becomes `x / 255`) and `targets`: class indices `[n]` (`u32`), or `[n, ..]`
    /// (`f32`): one-hot rows, values.
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
        targets.expect_rows("targets")?;
        let count = |t: &Tensor| t.shape().first().copied().unwrap_or(0);
        let (n, m) = (count(&features), count(&targets));
        if n == 0 || features.elements().is_empty() {
            return Err(Error::data("features", "at least one sample", format!("shape {:?}", features.shape())));
        }
        if n != m {
            return Err(Error::data("targets", format!("{n} of them, one for each sample"), m.to_string()));
        }
        if features.spec().dtype == DType::U32 {
            return Err(Error::data("features", "f32 or u8", "u32"));
        }
        if targets.spec().dtype == DType::U8 {
            return Err(Error::data("targets", "class indices in u32, or f32", "u8"));
        }
        all_finite("features", &features)?;
        all_finite("targets", &targets)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Dataset { inner: Arc::new(Inner { id, features, targets, scale, shift }) })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.inner.features.shape()[0]
    }

    /// Never true: a dataset has at least one sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The features, `[n, ..]`.
    pub fn features(&self) -> &Tensor {
        &self.inner.features
    }

    /// The targets, `[n, ..]`.
    pub fn targets(&self) -> &Tensor {
        &self.inner.targets
    }

    /// What byte features are multiplied by and what is then added.
    pub fn scaling(&self) -> (f32, f32) {
        match self.inner.features {
            Tensor::U8(_) => (self.inner.scale, self.inner.shift),
            _ => (1.0, 0.0),
        }
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> Shape {
        Shape::from(&self.inner.features.shape()[1..])
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
        Ok((self.rows(0..at)?, self.rows(at..self.len())?))
    }

    fn rows(&self, range: std::ops::Range<usize>) -> Result<Dataset> {
        fn cut<T: Clone>(x: &ArrayD<T>, r: &std::ops::Range<usize>) -> ArrayD<T> {
            x.slice_axis(Axis(0), ndarray::Slice::from(r.clone())).to_owned()
        }
        let part = |t: &Tensor| match t {
            Tensor::F32(x) => Tensor::F32(cut(x, &range)),
            Tensor::U32(x) => Tensor::U32(cut(x, &range)),
            Tensor::U8(x) => Tensor::U8(cut(x, &range)),
        };
        Dataset::scaled(part(self.features()), part(self.targets()), self.inner.scale, self.inner.shift)
    }

    /// The class of every sample: the targets themselves, or the largest entry of every one-hot row.
    pub fn classes(&self) -> Option<Vec<u32>> {
        match self.targets() {
            Tensor::U32(x) => Some(x.iter().copied().collect()),
            Tensor::F32(x) if x.ndim() == 2 => {
                Some(x.rows().into_iter().map(|row| crate::tensor::argmax(row.iter().copied()) as u32).collect())
            }
            _ => None,
        }
    }

    /// What tells this dataset's content from any other's in this process.
    pub(crate) fn id(&self) -> u64 {
        self.inner.id
    }

    /// Refuses class indices that a network with `classes` outputs cannot give.
    pub(crate) fn check_classes(&self, classes: usize) -> Result<()> {
        let Tensor::U32(labels) = self.targets() else { return Ok(()) };
        match labels.iter().enumerate().find(|(_, l)| **l as usize >= classes) {
            Some((i, label)) => {
                let expected = format!("classes 0 to {} (the network has {classes} outputs)", classes - 1);
                Err(Error::data("targets", expected, format!("{label} in sample {i}")))
            }
            None => Ok(()),
        }
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

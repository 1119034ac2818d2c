use super::form::{Form, Taken};
use super::targets::{
    check_classes, check_not_negative, check_positive, check_values, classes, counted, labels_like, like, shares,
};
use super::{Judgement, Loss};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// What the losses of overlap have in common: `1 − (tp + s) / (tp + a fp + b fn + s)` per sample and channel, with sums over space.
#[derive(Clone, Debug)]
pub(super) struct Overlap {
    pub(super) name: &'static str,
    /// What a false positive costs.
    pub(super) a: f32,
    /// What a false negative costs.
    pub(super) b: f32,
    /// How much of the given smoothing stands above and below: half of it for Dice, which is a fraction of sums that hold the overlap twice.
    pub(super) share: f32,
    pub(super) smooth: f32,
    pub(super) squared: bool,
    pub(super) form: Form,
    pub(super) multi_label: bool,
    pub(super) background: bool,
    pub(super) ignored: Option<u32>,
}

impl Overlap {
    pub(super) fn new(name: &'static str, a: f32, b: f32, share: f32) -> Self {
        Overlap {
            name,
            a,
            b,
            share,
            smooth: 1.0,
            squared: false,
            form: Form::Auto,
            multi_label: false,
            background: true,
            ignored: None,
        }
    }

    /// Whether the channels of predictions of this shape exclude each other.
    pub(super) fn exclusive(&self, y: &Shape) -> bool {
        y.len() > 2 && y[1] > 1 && !self.multi_label
    }

    pub(super) fn judgement(&self, y: &Shape) -> Judgement {
        if self.exclusive(y) { Judgement::classes(1) } else { self.form.elements() }
    }

    pub(super) fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(self.name, y, self.judgement(&y.shape()))
    }

    /// The targets as shares in the shape of the predictions, and which of them count, in a shape that broadcasts to it.
    pub(super) fn targets(&self, y: &Var, targets: &Var) -> Result<(Var, Option<Var>)> {
        let shape = y.shape();
        if shape.len() < 2 {
            return Err(Error::shape(self.name, "predictions [batch, channels, ..]", shape.to_string()));
        }
        if !self.exclusive(&shape) {
            let mask = counted(self.name, targets, self.ignored)?;
            let mask = mask.map(|mask| like(self.name, y, &mask)).transpose()?;
            return Ok((labels_like(self.name, y, targets)?, mask));
        }
        let labels = classes(self.name, y, targets, 1)?;
        let mut column = shape.to_vec();
        column[1] = 1;
        let mask = counted(self.name, &labels, self.ignored)?.map(|mask| mask.reshape(column)).transpose()?;
        Ok((shares(&labels, 1, shape[1], 0.0)?, mask))
    }

    /// Which channels of a sample have an element that counts, 1 or 0, in a shape that broadcasts to that of the values.
    pub(super) fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.targets(y, targets)?.1.map(|mask| mask.max(&space(&y.shape()), false)).transpose()
    }

    /// `[batch, channels]`, or `[batch]` where the predictions are `[batch, n]`.
    pub(super) fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        for (what, value) in [("false positives' cost", self.a), ("false negatives' cost", self.b)] {
            check_not_negative(self.name, what, value)?;
        }
        check_positive(self.name, "smoothing", self.smooth)?;
        let (mut t, mask) = self.targets(y, targets)?;
        let shape = y.shape();
        let from_logits = self.takes(y)?.is_logits();
        let mut p = match (from_logits, self.exclusive(&shape)) {
            (false, _) => y.clone(),
            (true, true) => y.softmax(1)?,
            (true, false) => y.sigmoid()?,
        };
        if let Some(mask) = mask {
            let zero = y.graph().fill(Shape::default(), 0.0)?;
            (t, p) = (mask.select(&t, &zero)?, mask.select(&p, &zero)?);
        }
        if !self.background {
            if !self.exclusive(&shape) {
                let expected = "predictions [batch, classes, ..] with a class besides the background";
                return Err(Error::shape(self.name, expected, shape.to_string()));
            }
            let mut ranges: Vec<(usize, usize)> = shape.iter().map(|d| (0, *d)).collect();
            ranges[1].0 = 1;
            (t, p) = (t.slice(&ranges)?, p.slice(&ranges)?);
        }
        let space = space(&shape);
        let sum = |x: &Var| x.sum(&space, false);
        let size = |x: &Var| if self.squared { sum(&x.square()?) } else { sum(x) };
        let both = sum(&t.mul(&p)?)?;
        let s = self.smooth * self.share;
        // fp = Σ p − tp and fn = Σ t − tp.
        let below = size(&p)?.scale(self.a)?.add(&size(&t)?.scale(self.b)?)?;
        let below = below.add(&both.scale(1.0 - self.a - self.b)?)?.shift(s)?;
        both.shift(s)?.div(&below)?.neg()?.shift(1.0)
    }

    /// `output` is the shape of one sample.
    pub(super) fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        let batch = Shape::from([&[1], &output[..]].concat());
        if self.exclusive(&batch) {
            return check_classes(targets, output[0], self.ignored);
        }
        let ignored = self.ignored.map(|label| label as f32);
        check_values(targets, "labels from 0 to 1", |t| (0.0..=1.0).contains(&t) || Some(t) == ignored)
    }
}

/// The axes over which predictions of this shape are summed.
fn space(shape: &Shape) -> Vec<isize> {
    if shape.len() == 2 { vec![1] } else { (2..shape.len() as isize).collect() }
}

/// The builder methods of a loss that has a field `overlap: Overlap`.
macro_rules! overlap_methods {
    () => {
        /// What is added above and below the fraction, 1 where nothing is said: about one pixel, so that regions that are empty in truth
        /// and prediction cost nothing, and small ones have a slope.
        #[must_use]
        pub fn smooth(mut self, smooth: f32) -> Self {
            self.overlap.smooth = smooth;
            self
        }

        crate::nn::losses::form::form_methods!("softmax or sigmoid", overlap);

        /// Channels do not exclude each other (whole tumour, tumour core, ..): targets have the predictions' shape, and logits go
        /// through the sigmoid.
        #[must_use]
        pub fn multi_label(mut self) -> Self {
            self.overlap.multi_label = true;
            self
        }

        /// Class 0 is not counted among the regions.
        #[must_use]
        pub fn without_background(mut self) -> Self {
            self.overlap.background = false;
            self
        }

        /// Pixels with this label count for nothing. It need not be a class, and is below 2²⁴: 255, say. Needs targets of `u32`.
        #[must_use]
        pub fn ignore_index(mut self, label: u32) -> Self {
            self.overlap.ignored = Some(label);
            self
        }
    };
}
pub(super) use overlap_methods;

macro_rules! losses {
    ($($(#[$doc:meta])* $loss:ident;)*) => {
        $($(#[$doc])*
        ///
        /// Sums run over space, one value per sample and channel: predictions `[batch, channels, ..]` are probabilities where the network
        /// ends in softmax or sigmoid, and logits where it ends without an activation: see [`Form`]. With several channels targets are class indices `u32` `[batch, ..]` or one-hot `f32` in the predictions'
        /// shape; with one channel they are labels 0 and 1 of any type, with or without the channel's axis. Predictions `[batch, n]` are one
        /// region of `n` elements.
        #[derive(Clone, Debug)]
        pub struct $loss {
            overlap: Overlap,
        }

        impl Loss for $loss {
            fn name(&self) -> &'static str {
                self.overlap.name
            }

            fn takes(&self, y: &Var) -> Result<Taken> {
                self.overlap.takes(y)
            }

            fn judgement(&self, shape: &Shape) -> Judgement {
                self.overlap.judgement(shape)
            }

            fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
                self.overlap.values(y, targets)
            }

            fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
                self.overlap.targets(y, targets).map(|(_, mask)| mask)
            }

            fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
                self.overlap.counts(y, targets)
            }

            fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
                self.overlap.check(targets, output)
            }
        })*
    };
}

losses! {
    /// `1 − (2 Σ t p + s) / (Σ t + Σ p + s)`: one less the Dice coefficient, which is the F1 score of pixels. Source: F. Milletari, N. Navab,
    /// S. Ahmadi, "V-Net", 3DV 2016, who [square](Self::squared) what stands below.
    Dice;
    /// `1 − (Σ t p + s) / (Σ t + Σ p − Σ t p + s)`: one less the intersection over the union. Source: M. Rahman, Y. Wang, "Optimizing
    /// intersection-over-union in deep neural networks for image segmentation", ISVC 2016.
    Jaccard;
    /// `1 − (tp + s) / (tp + α fp + β fn + s)` with `tp = Σ t p`, `fp = Σ (1 − t) p`, `fn = Σ t (1 − p)`: a `β` above `α` finds more at the price of
    /// false alarms. Source: S. Salehi, D. Erdogmus, A. Gholipour, "Tversky loss function for image segmentation using 3D fully convolutional
    /// deep networks", MLMI 2017. (Keras has `α` and `β` the other way round.)
    Tversky;
}

impl Dice {
    /// Of probabilities or logits, as the network's end says, with `s = 1`.
    pub fn new() -> Self {
        Self::default()
    }

    /// `Σ t²` and `Σ p²` below, as in V-Net.
    #[must_use]
    pub fn squared(mut self) -> Self {
        self.overlap.squared = true;
        self
    }

    overlap_methods!();
}

impl Default for Dice {
    fn default() -> Self {
        Dice { overlap: Overlap::new("dice", 0.5, 0.5, 0.5) }
    }
}

impl Jaccard {
    /// Of probabilities or logits, as the network's end says, with `s = 1`.
    pub fn new() -> Self {
        Self::default()
    }

    overlap_methods!();
}

impl Default for Jaccard {
    fn default() -> Self {
        Jaccard { overlap: Overlap::new("jaccard", 1.0, 1.0, 1.0) }
    }
}

impl Tversky {
    /// Of probabilities or logits, as the network's end says, with `s = 1`; the paper's best were `α = 0.3` and `β = 0.7`. With 0.5 and 0.5 it is Dice, with 1 and 1 Jaccard.
    pub fn new(alpha: f32, beta: f32) -> Self {
        Tversky { overlap: Overlap::new("tversky", alpha, beta, 1.0) }
    }

    overlap_methods!();
}

use super::form::Taken;
use super::overlap::{Overlap, overlap_methods};
use super::targets::check_not_negative;
use super::{CategoricalCrossEntropy, Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The sum of Dice and cross-entropy: the overlap of whole regions, and each pixel by itself. The usual loss of medical segmentation.
/// Source: F. Isensee et al., "nnU-Net", Nature Methods 18 (2021).
///
/// One value per sample: `d · mean over channels of (1 − (2 Σ t p + s) / (Σ t + Σ p + s)) + c · mean over pixels of the cross-entropy`, with
/// sums over the sample's pixels. Predictions and targets are those of [`Dice`](super::Dice); the cross-entropy is
/// [categorical](CategoricalCrossEntropy) for several channels, and [binary](super::BinaryCrossEntropy) for one channel and with
/// [`multi_label`](Self::multi_label). Take logits where you can: from them softmax and cross-entropy are stable.
#[derive(Clone, Debug)]
pub struct DiceCrossEntropy {
    overlap: Overlap,
    dice: f32,
    cross_entropy: f32,
    weights: Vec<f32>,
}

const NAME: &str = "dice_crossentropy";

impl Default for DiceCrossEntropy {
    fn default() -> Self {
        let overlap = Overlap::new(NAME, 0.5, 0.5, 0.5);
        DiceCrossEntropy { overlap, dice: 1.0, cross_entropy: 1.0, weights: Vec::new() }
    }
}

impl DiceCrossEntropy {
    /// Of probabilities or logits, as the network's end says, both parts with weight 1, and `s = 1`.
    pub fn new() -> Self {
        Self::default()
    }

    /// What each part counts.
    #[must_use]
    pub fn parts(self, dice: f32, cross_entropy: f32) -> Self {
        DiceCrossEntropy { dice, cross_entropy, ..self }
    }

    /// Weights of the classes in the cross-entropy; for channels that exclude each other.
    #[must_use]
    pub fn class_weights(self, weights: impl Into<Vec<f32>>) -> Self {
        DiceCrossEntropy { weights: weights.into(), ..self }
    }

    overlap_methods!();

    /// The cross-entropy of every pixel (and channel, where they do not exclude each other), and which of them count.
    fn pixels(&self, y: &Var, targets: &Var) -> Result<(Var, Option<Var>)> {
        let (from_logits, ignored) = (self.takes(y)?.is_logits(), self.overlap.ignored);
        if self.overlap.exclusive(&y.shape()) {
            let mut loss = CategoricalCrossEntropy::new().axis(1).class_weights(self.weights.clone());
            loss = if from_logits { loss.from_logits() } else { loss.from_probabilities() };
            loss = ignored.map_or(loss.clone(), |label| loss.ignore_index(label));
            return Ok((loss.values(y, targets)?, loss.mask(y, targets)?));
        }
        if !self.weights.is_empty() {
            let expected = "none, where channels do not exclude each other";
            return Err(crate::Error::parameter(NAME, "class weights", expected, self.weights.len()));
        }
        let (t, mask) = self.overlap.targets(y, targets)?;
        match mask {
            None => Ok((y.binary_cross_entropy(&t, from_logits)?, None)),
            Some(mask) => {
                let zero = y.graph().fill(Shape::default(), 0.0)?;
                let values = y.binary_cross_entropy(&mask.select(&t, &zero)?, from_logits)?;
                Ok((mask.select(&values, &zero)?, Some(mask)))
            }
        }
    }
}

impl Loss for DiceCrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.overlap.takes(y)
    }

    fn judgement(&self, shape: &Shape) -> Judgement {
        self.overlap.judgement(shape)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_not_negative(NAME, "Dice's part", self.dice)?;
        check_not_negative(NAME, "cross-entropy's part", self.cross_entropy)?;
        let dice = self.overlap.values(y, targets)?;
        let dice = dice.mean(&rest(&dice), false)?;
        let (values, mask) = self.pixels(y, targets)?;
        let axes = rest(&values);
        let pixels = match mask {
            None => values.mean(&axes, false)?,
            // A sample without a pixel that counts costs nothing, and not 0 / 0.
            Some(mask) => values.sum(&axes, false)?.div(&mask.sum(&axes, false)?.clip(1.0, f32::MAX)?)?,
        };
        dice.scale(self.dice)?.add(&pixels.scale(self.cross_entropy)?)
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.overlap.targets(y, targets).map(|(_, mask)| mask)
    }

    fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.mask(y, targets)?.map(|mask| mask.max(&rest(&mask), false)).transpose()
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        self.overlap.check(targets, output)
    }
}

/// All axes but the batch's.
fn rest(x: &Var) -> Vec<isize> {
    (1..x.shape().len() as isize).collect()
}

//! `losses.json` and `regions.json`: losses per sample, and reduced.

use galen::nn::{
    BinaryCrossEntropy, BinaryFocal, CategoricalCrossEntropy, CategoricalFocal, CategoricalHinge, CosineSimilarity,
    Dice, Hinge, Huber, Jaccard, KullbackLeibler, LogCosh, Loss, Losses, MeanAbsoluteError,
    MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError, Poisson, Quantile, Reduction, Tversky,
};
use galen::{Result, Var};

use super::case::{Given, y};
use super::common::UNIT;
use super::common::rows::Bound;
use super::{DEVICE, TWIN};

/// Keras adds 1e-7 to what stands below alone, Galen above too: of values near 1 that is at most 1e-7.
const EPSILON_ABOVE: Bound = Bound::Scale(2e-7 / UNIT);

pub fn bounds(op: &str) -> [Bound; 2] {
    if ["dice", "tversky"].contains(&op) { [EPSILON_ABOVE, DEVICE] } else { [TWIN, DEVICE] }
}

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let (mut pred, mut target) = (given.var("pred").clone(), given.var("target").clone());
    if given.has("axes") && given.axes() == [1, 2, 3] {
        // Sums over all of a sample: a sample is a vector then.
        let shape = pred.shape();
        let flat = [shape[0], shape.elements() / shape[0]];
        (pred, target) = (pred.reshape(flat)?, target.reshape(flat)?);
    }
    let loss = loss(op, given, &pred);
    let reduction = match given.text("reduction") {
        "none" => {
            let values = loss.values(&pred, &target)?;
            // Keras takes the mean over the last axis of what Galen gives element by element.
            return Ok(y(if values.shape() == pred.shape() { values.mean(&[1], false)? } else { values }));
        }
        "sum_over_batch_size" => Reduction::Mean,
        "mean_with_sample_weight" => Reduction::WeightedMean,
        "sum" => Reduction::Sum,
        other => panic!("reduced by {other}"),
    };
    Ok(y(Losses::new(Reduced { loss, reduction }).build(&[pred], &[target], given.find("weights"))?))
}

/// Any loss with any reduction.
#[derive(Debug)]
struct Reduced {
    loss: Box<dyn Loss>,
    reduction: Reduction,
}

impl Loss for Reduced {
    fn name(&self) -> &'static str {
        self.loss.name()
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.loss.values(y, targets)
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.loss.mask(y, targets)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }
}

fn loss(op: &str, given: &Given<'_>, pred: &Var) -> Box<dyn Loss> {
    let constant = |name: &str| given.number(name) as f32;
    let logits = || given.flag("from_logits");
    let smoothing = || constant("label_smoothing");
    match op {
        "mse" => Box::new(MeanSquaredError::new()),
        "mae" => Box::new(MeanAbsoluteError::new()),
        "msle" => Box::new(MeanSquaredLogarithmicError::new()),
        "mape" => Box::new(MeanAbsolutePercentageError::new()),
        "huber" => Box::new(Huber::new(constant("delta"))),
        "log_cosh" => Box::new(LogCosh::new()),
        "pinball" => Box::new(Quantile::new(constant("quantile"))),
        "poisson" => Box::new(Poisson::new()),
        "cosine_similarity" => Box::new(CosineSimilarity::new()),
        "kl_divergence" => Box::new(KullbackLeibler::new()),
        "hinge" => Box::new(Hinge::new()),
        "squared_hinge" => Box::new(Hinge::new().squared()),
        "categorical_hinge" => Box::new(CategoricalHinge::new()),
        "binary_crossentropy" => {
            let loss = BinaryCrossEntropy::new().label_smoothing(smoothing());
            Box::new(if logits() { loss.from_logits() } else { loss })
        }
        "binary_focal" => {
            let mut loss = BinaryFocal::new().gamma(constant("gamma")).label_smoothing(smoothing());
            if given.has("alpha") {
                loss = loss.alpha(constant("alpha"));
            }
            Box::new(if logits() { loss.from_logits() } else { loss })
        }
        "categorical_crossentropy" | "sparse_categorical_crossentropy" => {
            let mut loss = CategoricalCrossEntropy::new().axis(1).label_smoothing(smoothing());
            if given.has("ignore_class") {
                loss = loss.ignore_index(given.whole("ignore_class") as u32);
            }
            Box::new(if logits() { loss.from_logits() } else { loss })
        }
        "categorical_focal" => {
            // Keras has one alpha for all classes.
            let alphas = vec![constant("alpha"); pred.shape()[1]];
            let loss = CategoricalFocal::new().axis(1).gamma(constant("gamma")).label_smoothing(smoothing());
            let loss = loss.class_weights(alphas);
            Box::new(if logits() { loss.from_logits() } else { loss })
        }
        "dice" => Box::new(Dice::new().multi_label().smooth(constant("epsilon"))),
        "soft_dice" => {
            let loss = Dice::new().multi_label().smooth(constant("smooth"));
            Box::new(if given.flag("squared") { loss.squared() } else { loss })
        }
        "jaccard" => Box::new(Jaccard::new().multi_label().smooth(constant("smooth"))),
        "tversky" => {
            let (mut alpha, mut beta) = (constant("alpha"), constant("beta"));
            if given.text("convention") == "keras" {
                (alpha, beta) = (beta, alpha);
            }
            Box::new(Tversky::new(alpha, beta).multi_label().smooth(constant("epsilon")))
        }
        _ => panic!("the test does not know the op \"{op}\""),
    }
}

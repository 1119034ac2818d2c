//! Metrics on the host, in `f64`: pure functions of true values and predictions. Each names the reference that it agrees with, and
//! `tests/metrics.rs` holds it to stored numbers from there.
//!
//! | of | there are | reference |
//! |---|---|---|
//! | classes | [`ConfusionTable`], [`BinaryCounts`]: accuracy, balanced accuracy, precision, recall, specificity, F-beta, Matthews, kappa; [`top_k_accuracy`] | scikit-learn |
//! | scores | [`RocCurve`], [`roc_auc`], [`PrecisionRecallCurve`], [`average_precision`], of several classes and labels too | scikit-learn |
//! | probabilities | [`log_loss`], [`brier`], [`ReliabilityCurve`], [`expected_calibration_error`] | scikit-learn; Guo et al. 2017 |
//! | a threshold | [`OperatingPoint`] | scikit-learn's `roc_curve` |
//! | masks | [`dice`], [`iou`], [`SurfaceDistances`]: Hausdorff, Hausdorff 95, average symmetric | MedPy |
//! | numbers | [`mean_squared_error`], [`mean_absolute_error`], [`r_squared`], [`pearson`], [`spearman`] | scikit-learn, SciPy |
//! | times | [`concordance_index`] | lifelines |
//! | uncertainty | [`Bootstrap`] (by sample, class or patient), [`Delong`], [`wilson`] | SciPy; the papers |
//!
//! What holds for all of them:
//!
//! - `truth` comes first. A positive sample is `true`; a higher score means positive; a sample is called positive where its score
//!   *reaches* the threshold.
//! - No samples, different numbers of them, and scores that are NaN or infinite are an [`Error`](crate::Error) that names the sample,
//!   counted from 0. So is a metric that is not defined for what came, as the area under the ROC curve of one class.
//! - A share of counts that is 0/0 is `None`. Only averages over classes take it as 0, as scikit-learn's `zero_division=0` does.
//! - The same input and seed give the same bits, on any number of threads.

mod average;
mod bands;
mod binary;
mod bootstrap;
mod check;
mod concordance;
mod confusion;
mod delong;
mod distance;
mod interval;
mod normal;
mod operating;
mod overlap;
mod precision_recall;
mod probability;
mod ranked;
mod regression;
mod roc;
mod surface;
mod top_k;

pub use average::{Average, MaybeLabel};
pub use bands::Band;
pub use binary::BinaryCounts;
pub use bootstrap::Bootstrap;
pub use concordance::concordance_index;
pub use confusion::{ConfusionTable, KappaWeights};
pub use delong::{Delong, DelongTest};
pub use interval::{Interval, wilson};
pub use operating::OperatingPoint;
pub use overlap::{Overlap, dice, iou};
pub use precision_recall::{
    PrecisionRecallCurve, average_precision, average_precision_multilabel, average_precision_one_vs_rest,
    average_precision_per_label,
};
pub use probability::{
    ReliabilityCurve, brier, brier_multiclass, expected_calibration_error, expected_calibration_error_multiclass,
    log_loss, log_loss_multiclass,
};
pub(crate) use probability::{log_loss_multiclass_within, log_loss_within, top_class};
pub use regression::{mean_absolute_error, mean_squared_error, pearson, r_squared, root_mean_squared_error, spearman};
pub use roc::{RocCurve, roc_auc, roc_auc_multilabel, roc_auc_one_vs_rest, roc_auc_per_label};
pub use surface::SurfaceDistances;
pub use top_k::top_k_accuracy;

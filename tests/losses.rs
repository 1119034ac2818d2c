//! Losses: the gradient is that of finite differences, CPU and GPU give what the f64 twin gives, and values are those of formulas
//! written out here. What Keras makes of most of them is in `tests/oracle`.

mod common;
#[path = "losses/extremes.rs"]
mod extremes;
#[path = "losses/formulas.rs"]
mod formulas;
#[path = "losses/reductions.rs"]
mod reductions;
#[path = "losses/trained.rs"]
mod trained;

use common::finite;
use common::rows::{Bound, Row, Values};
use galen::nn::*;

/// What targets are.
#[derive(Clone)]
enum Targets {
    /// Floats of the predictions' shape.
    Floats(Values),
    /// Class indices below this, of this shape.
    Index(Vec<usize>, u32),
}

/// A loss over predictions of `shape`, as a row.
fn row(name: &str, loss: impl Loss + 'static, shape: &[usize], y: Values, targets: Targets) -> Row {
    let row = Row::new(name, move |_, x| Ok(vec![loss.values(&x[0], &x[1])?])).f32(shape, y);
    let row = match targets {
        Targets::Floats(values) => row.constant(shape, values),
        Targets::Index(shape, below) => row.u32(shape, below),
    };
    Row { stem: "losses", ..row.bounds(Bound::Rounding(256.0), Bound::Rounding(512.0)) }
}

fn rows() -> Vec<Row> {
    use Targets::{Floats, Index};
    let (flat, image): (&[usize], &[usize]) = (&[5, 7], &[2, 3, 5, 4]);
    let (logits, shares) = (|| Values::Normal, || Values::Uniform(0.05, 0.95));
    let (real, zero_one) = (|| Floats(Values::Distinct), || Floats(Values::Whole(2)));
    let pixels = |below| Index(vec![2, 5, 4], below);
    let mut rows = vec![
        row("mse", MeanSquaredError::new(), flat, logits(), real()),
        row("mae", MeanAbsoluteError::new(), flat, logits(), real()),
        row("mape", MeanAbsolutePercentageError::new(), flat, logits(), Floats(Values::OffZero)),
        row("msle", MeanSquaredLogarithmicError::new(), flat, shares(), Floats(shares())),
        row("huber", Huber::new(0.7), flat, logits(), real()),
        // Near 0 it is what is left of ln 2, as in Keras.
        row("log_cosh", LogCosh::new(), flat, logits(), real()).bound_of(0, Bound::Unit(4.0)),
        row("quantile", Quantile::new(0.3), flat, logits(), real()),
        row("poisson", Poisson::new(), flat, shares(), Floats(shares())),
        row("poisson_log", Poisson::new().log_input(), flat, logits(), Floats(shares())),
        row("kl", KullbackLeibler::new(), flat, shares(), Floats(shares())),
        row("kl_logits", KullbackLeibler::new().axis(1).from_logits(), image, logits(), Floats(shares())),
        row("cosine", CosineSimilarity::new(), flat, logits(), real()),
        row("cosine_axis", CosineSimilarity::new().axis(1), image, logits(), real()),
        row("hinge", Hinge::new(), flat, logits(), Index(flat.to_vec(), 2)),
        row("squared_hinge", Hinge::new().squared(), flat, logits(), Index(flat.to_vec(), 2)),
        row("categorical_hinge", CategoricalHinge::new(), flat, logits(), Index(vec![5], 7)),
    ];
    let binary = || BinaryCrossEntropy::new();
    rows.extend([
        row("binary", binary(), flat, shares(), zero_one()),
        row("binary_logits", binary().from_logits().label_smoothing(0.2), flat, logits(), zero_one()),
        row("binary_weighted", binary().from_logits().positive_weight(3.0), flat, logits(), Floats(shares())),
        row("binary_missing", binary().from_logits().missing(2.0), flat, logits(), Index(flat.to_vec(), 3)),
        row("binary_focal", BinaryFocal::new().alpha(0.25), flat, shares(), zero_one()),
        row("binary_focal_soft", BinaryFocal::new().gamma(0.5).label_smoothing(0.1), flat, shares(), zero_one()),
        row("binary_focal_logits", BinaryFocal::new().from_logits().gamma(1.5), flat, logits(), zero_one()),
    ]);
    let classes = || CategoricalCrossEntropy::new();
    let weights = [0.5, 2.0, 1.5];
    rows.extend([
        row("classes", classes(), flat, shares(), Index(vec![5], 7)),
        row("classes_column", classes().from_logits(), flat, logits(), Index(vec![5, 1], 7)),
        row("classes_soft", classes().from_logits().label_smoothing(0.1), flat, logits(), Floats(shares())),
        row("classes_image", classes().from_logits().axis(1).label_smoothing(0.1), image, logits(), pixels(3)),
        row("classes_ignored", classes().from_logits().axis(1).ignore_index(3), image, logits(), pixels(4)),
        row(
            "classes_ignored_smooth",
            classes().from_logits().axis(1).label_smoothing(0.2).class_weights(weights).ignore_index(3),
            image,
            logits(),
            pixels(4),
        ),
        row("classes_weighted", classes().axis(1).class_weights(weights), image, shares(), pixels(3)),
        row("classes_weighted_soft", classes().axis(1).class_weights(weights), image, shares(), Floats(shares())),
        row("focal", CategoricalFocal::new(), flat, shares(), Index(vec![5], 7)),
        row(
            "focal_image",
            CategoricalFocal::new().from_logits().gamma(0.5).axis(1).class_weights(weights).ignore_index(3),
            image,
            logits(),
            pixels(4),
        ),
        row("focal_soft", CategoricalFocal::new().from_logits().label_smoothing(0.1), flat, logits(), Floats(shares())),
    ]);
    let volume: &[usize] = &[2, 1, 3, 2, 4];
    rows.extend([
        row("dice", Dice::new(), image, shares(), pixels(3)),
        row("dice_one_hot", Dice::new().squared().smooth(1e-5), image, shares(), zero_one()),
        row("dice_logits", Dice::new().from_logits().without_background().ignore_index(3), image, logits(), pixels(4)),
        row("dice_volume", Dice::new().from_logits(), volume, logits(), Index(vec![2, 3, 2, 4], 2)),
        row("dice_labels", Dice::new().from_logits().multi_label(), image, logits(), zero_one()),
        row("dice_vector", Dice::new(), flat, shares(), zero_one()),
        row("jaccard", Jaccard::new(), image, shares(), pixels(3)),
        row("tversky", Tversky::new(0.3, 0.7).from_logits(), image, logits(), pixels(3)),
        row("tversky_ignored", Tversky::new(0.3, 0.7).ignore_index(2), volume, shares(), Index(volume.to_vec(), 3)),
    ]);
    let both = || DiceCrossEntropy::new();
    rows.extend([
        row("both", both(), image, shares(), pixels(3)),
        row("both_logits", both().from_logits().parts(0.5, 2.0).class_weights(weights), image, logits(), pixels(3)),
        row("both_ignored", both().from_logits().without_background().ignore_index(3), image, logits(), pixels(4)),
        row("both_binary", both().from_logits(), volume, logits(), Index(vec![2, 3, 2, 4], 2)),
        row("both_binary_ignored", both().from_logits().ignore_index(2), volume, logits(), Index(volume.to_vec(), 3)),
        row("both_labels", both().from_logits().multi_label(), image, logits(), zero_one()),
        row("both_vector", both().from_logits(), flat, logits(), zero_one()),
    ]);
    rows
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let complain = |row: &Row| finite::check(row).err().map(|e| format!("{}: {e}", row.name));
    let failures: Vec<String> = rows().iter().filter_map(complain).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn cpu_and_gpu_agree_with_the_f64_twin() {
    let mut failures = Vec::new();
    for device in std::iter::once(galen::Device::cpu().expect("threads")).chain(common::gpu().cloned()) {
        for row in rows() {
            let result = common::build(&row).map_err(|e| e.to_string()).and_then(|case| {
                let actual = case.run(&device).map_err(|e| e.to_string())?;
                case.compare(&actual)
            });
            failures.extend(result.err().map(|e| format!("{} on {device}: {e}", row.name)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A sigmoid or softmax before a loss of probabilities makes it one of logits, so that certainty has no edge.
#[test]
fn certain_networks_have_a_stable_loss() {
    let run = |loss: &dyn Loss, sigmoid: bool| -> galen::Result<Vec<f64>> {
        let graph = galen::Graph::new();
        let x = graph.input("x", [2, 2], galen::DType::F32)?;
        let t = graph.constant([2, 2], [1.0, 0.0, 1.0, 0.0])?;
        let y = if sigmoid { x.sigmoid()? } else { x.softmax(-1)? };
        let loss = losses_mean(loss, &y, &t)?;
        let gradient = graph.gradients(&loss, std::slice::from_ref(&x))?.swap_remove(0);
        let mut reference = galen::engine::Reference::new(&graph, &[loss, gradient], 1)?;
        let x = galen::Tensor::f32([2, 2], vec![-90.0, 90.0, 90.0, -90.0])?;
        reference.set("x", x.elements())?;
        reference.run();
        Ok(reference.outputs()?.concat())
    };
    let found = run(&BinaryCrossEntropy::new(), true).expect("a loss");
    assert!((found[0] - 45.0).abs() < 1e-9 && (found[1] + 0.25).abs() < 1e-9, "{found:?}");
    let found = run(&CategoricalCrossEntropy::new(), false).expect("a loss");
    assert!((found[0] - 90.0).abs() < 1e-9 && (found[1] + 0.5).abs() < 1e-9, "{found:?}");
}

fn losses_mean(loss: &dyn Loss, y: &galen::Var, t: &galen::Var) -> galen::Result<galen::Var> {
    galen::nn::reduce(loss, y, t, None)
}

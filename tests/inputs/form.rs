//! Logits or probabilities: the network's end says which, and nobody is surprised.

use galen::graph::Init;
use galen::nn::models::{Mlp, ResNet1d, ResNet18, SequenceModel, SmallCnn, TransformerEncoder, UNet2d};
use galen::nn::{
    Activate, Activation, BatchNorm, BinaryFocal, CategoricalFocal, CategoricalHinge, Dice, DiceCrossEntropy, Ending,
    Form, GlobalAvgPool, Hinge, Jaccard, KullbackLeibler, Loss, Losses, Permute, Poisson, Taken, Tversky,
};
use galen::prelude::*;
use galen::{DType, Error, Graph, Result, Var};
use ndarray::{Array1, Array2, ArrayD, Axis};

use super::{Place, common, cpu, number, says};

const SAMPLES: usize = 48;

/// What comes after the last layer.
type End = fn(&Var) -> Result<Var>;

/// A network `[3]` → `[outputs]` that ends so.
fn ends(outputs: usize, end: impl Fn(&Var) -> Result<Var> + Send + 'static) -> Functional {
    Functional::new([3], move |ctx, x| end(&ctx.layer(&Dense::new(outputs), x)?))
}

fn linear(x: &Var) -> Result<Var> {
    Ok(x.clone())
}

fn compiled(network: impl Compile, loss: impl Into<Losses>) -> Result<Model> {
    network.compile_on(&cpu().seed(3), Sgd::new(0.1), loss, &[Metric::Accuracy])
}

fn features() -> Array2<f32> {
    Array2::from_shape_fn((SAMPLES, 3), |(i, j)| 4.0 * number(i * 3 + j) - 2.0)
}

fn classes(n: u32) -> Array1<u32> {
    Array1::from_shape_fn(SAMPLES, |i| (number(500 + i) * n as f32) as u32)
}

/// What a tensor is known for, whose form is asked of a graph with an input and a parameter.
fn ending(build: impl Fn(&Var, &Var) -> Result<Var>) -> Ending {
    let graph = Graph::new();
    let x = graph.input("x", [2, 3, 4], DType::F32).expect("an input");
    let w = graph.parameter("w", [2, 3, 4], Init::Constant(0.5)).expect("a parameter");
    Ending::of(&build(&x, &w).expect("a tensor"))
}

#[test]
fn what_a_network_ends_in_is_seen_through_what_only_moves_elements() {
    let softmax = |axis| Ending::Softmax { axis };
    let other = |op: &str| Ending::Other(op.into());
    let cases: Vec<(Ending, Ending)> = vec![
        (ending(|x, _| Ok(x.clone())), other("x")),
        (ending(|x, w| x.mul(w)), Ending::Linear),
        (ending(|x, w| x.mul(w)?.relu()?.add(w)), Ending::Linear),
        (ending(|x, w| x.mul(w)?.scale(3.0)?.shift(1.0)?.neg()), Ending::Linear),
        (ending(|x, w| x.mul(w)?.mean(&[1], false)), Ending::Linear),
        (ending(|x, w| x.mul(w)?.slice(&[(0, 2), (2, 3), (0, 4)])), Ending::Linear),
        (ending(|x, _| x.relu()?.add(&x.tanh()?)), other("add")),
        (ending(|x, w| x.mul(w)?.clip(0.0, 1.0)), other("clip")),
        (ending(|x, w| x.mul(w)?.tanh()), other("tanh")),
        (ending(|x, w| x.mul(w)?.exp()), Ending::NotNegative("exp".into())),
        (ending(|x, w| x.mul(w)?.relu()), Ending::NotNegative("relu".into())),
        (ending(|x, _| x.sigmoid()), Ending::Sigmoid),
        (ending(|x, _| x.hard_sigmoid()?.reshape([6, 4])), Ending::Sigmoid),
        (ending(|x, _| x.sigmoid()?.mean(&[2], false)), Ending::Sigmoid),
        (ending(|x, _| x.sigmoid()?.sum(&[2], false)), other("sum")),
        (ending(|x, _| Var::concat(&[&x.sigmoid()?, &x.sigmoid()?], 1)), Ending::Sigmoid),
        (ending(|x, w| Var::concat(&[&x.sigmoid()?, &x.mul(w)?], 1)), other("concat")),
        (ending(|x, _| x.sigmoid()?.scale(0.5)), other("scale")),
        (ending(|x, _| x.softmax(-1)), softmax(Some(2))),
        (ending(|x, _| x.softmax(1)), softmax(Some(1))),
        (ending(|x, _| x.softmax(1)?.transpose(&[0, 2, 1])), softmax(Some(2))),
        (ending(|x, _| x.softmax(1)?.reshape([2, 3, 2, 2])), softmax(Some(1))),
        (ending(|x, _| x.softmax(2)?.reshape([6, 4])), softmax(Some(1))),
        (ending(|x, _| x.softmax(2)?.reshape([2, 12])), softmax(None)),
        (ending(|x, _| x.softmax(2)?.slice(&[(0, 1), (1, 2), (0, 4)])), softmax(Some(2))),
        (ending(|x, _| x.softmax(2)?.slice(&[(0, 2), (0, 3), (0, 2)])), other("slice")),
        (ending(|x, _| x.softmax(2)?.mean(&[1], false)), softmax(Some(1))),
        (ending(|x, _| x.softmax(2)?.mean(&[2], false)), other("mean")),
        (ending(|x, _| x.softmax(2)?.square()), Ending::NotNegative("square".into())),
        (ending(|x, _| x.log_softmax(1)), Ending::LogSoftmax { axis: Some(1) }),
        (ending(|x, _| x.log_softmax(1)?.exp()), softmax(Some(1))),
        (ending(|x, _| x.softmax(1)?.log()), Ending::LogSoftmax { axis: Some(1) }),
    ];
    for (i, (found, expected)) in cases.iter().enumerate() {
        assert_eq!(found, expected, "case {i}");
    }
}

/// How the losses that ask take a network's end: of logits, of probabilities, with a doubt, or not at all.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Logits,
    Probabilities,
    Doubt,
    Refused,
}

fn answer(network: Functional, loss: impl Into<Losses>) -> Answer {
    let Ok(model) = compiled(network, loss) else { return Answer::Refused };
    let said = model.summary().expect("a summary").losses.join("\n");
    match (said.contains("does not tell"), said.contains("takes logits"), said.contains("takes probabilities")) {
        (true, false, true) => Answer::Doubt,
        (false, true, false) => Answer::Logits,
        (false, false, true) => Answer::Probabilities,
        _ => panic!("the summary says \"{said}\""),
    }
}

#[test]
fn every_loss_takes_what_the_network_ends_in_or_refuses_it() {
    use Answer::{Doubt, Logits, Probabilities, Refused};
    let ends_in: [(&str, End); 6] = [
        ("nothing", linear),
        ("sigmoid", Var::sigmoid),
        ("softmax", |x| x.softmax(1)),
        ("log_softmax", |x| x.log_softmax(1)),
        ("clip", |x| x.clip(0.0, 1.0)),
        ("exp", Var::exp),
    ];
    // Each loss as it is, and what it takes of the ends above.
    let elements = [Logits, Probabilities, Probabilities, Refused, Doubt, Doubt];
    let exclusive = [Logits, Refused, Probabilities, Logits, Doubt, Doubt];
    let scores = [Logits, Refused, Refused, Refused, Logits, Logits];
    // The same with `from_logits`, and with `from_probabilities`.
    let elements_logits = scores;
    let exclusive_logits = [Logits, Refused, Refused, Logits, Logits, Logits];
    let elements_shares = [Refused, Probabilities, Probabilities, Refused, Probabilities, Probabilities];
    let exclusive_shares = [Refused, Refused, Probabilities, Refused, Probabilities, Probabilities];
    let check = |name: &str, loss: &dyn Fn() -> Losses, expected: [Answer; 6]| {
        for ((end, build), expected) in ends_in.iter().zip(expected) {
            let build = *build;
            assert_eq!(answer(ends(3, build), loss()), expected, "{name} of a network that ends in {end}");
        }
    };
    macro_rules! three {
        ($loss:expr, $auto:expr, $logits:expr, $shares:expr) => {
            let name = stringify!($loss);
            check(name, &|| $loss.into(), $auto);
            check(&format!("{name}.from_logits()"), &|| $loss.from_logits().into(), $logits);
            check(&format!("{name}.from_probabilities()"), &|| $loss.from_probabilities().into(), $shares);
        };
    }
    three!(BinaryCrossEntropy::new(), elements, elements_logits, elements_shares);
    three!(BinaryFocal::new(), elements, elements_logits, elements_shares);
    three!(Dice::new(), elements, elements_logits, elements_shares);
    three!(Jaccard::new(), elements, elements_logits, elements_shares);
    three!(Tversky::new(0.3, 0.7), elements, elements_logits, elements_shares);
    three!(DiceCrossEntropy::new(), elements, elements_logits, elements_shares);
    three!(CategoricalCrossEntropy::new(), exclusive, exclusive_logits, exclusive_shares);
    three!(CategoricalFocal::new(), exclusive, exclusive_logits, exclusive_shares);
    three!(KullbackLeibler::new(), exclusive, exclusive_logits, exclusive_shares);
    check("hinge", &|| Hinge::new().into(), scores);
    check("categorical hinge", &|| CategoricalHinge::new().into(), exclusive_logits);
    check("reduced", &|| CategoricalCrossEntropy::new().reduced(galen::nn::Reduction::Sum).into(), exclusive);
    // Values are taken as they are.
    for (_, end) in ends_in {
        let model = compiled(ends(3, end), MeanSquaredError::new()).expect("a model");
        assert!(model.summary().expect("a summary").losses.is_empty());
    }
}

#[test]
fn images_have_their_classes_along_the_loss_axis() {
    let image = |end: Activation| {
        let conv = Sequential::new([1, 6, 6]).with(Conv2d::new(3, [3, 3]).padding(Padding::Same));
        conv.with(Activate(end))
    };
    let classes = || CategoricalCrossEntropy::new().axis(1);
    compiled(image(Activation::SoftmaxAlong(1)), classes()).expect("along the channels");
    compiled(image(Linear), classes()).expect("logits");
    says(compiled(image(Softmax), classes()), &["axis 1", "axis 3", "SoftmaxAlong"]);
    says(compiled(image(Sigmoid), classes()), &["exclude", "sigmoid"]);
    says(compiled(image(Softmax), Dice::new()), &["dice", "axis 1", "axis 3"]);
    says(compiled(image(Sigmoid), Dice::new()), &["dice", "exclude", "multi_label"]);
    compiled(image(Sigmoid), Dice::new().multi_label()).expect("regions that overlap");
    let channels_last = image(Activation::SoftmaxAlong(1)).with(Permute::new([2, 3, 1]));
    compiled(channels_last, CategoricalCrossEntropy::new()).expect("the classes have moved to the end");
}

#[test]
fn contradictions_say_how_to_get_out() {
    let softmax = |x: &Var| x.softmax(1);
    let text = compiled(ends(3, softmax), CategoricalCrossEntropy::new().from_logits()).expect_err("twice").to_string();
    assert!(text.contains("categorical_crossentropy") && text.contains("softmax"), "{text}");
    assert!(text.contains("from_logits()") && text.contains("end the network without"), "{text}");
    says(
        compiled(ends(1, |x| x.softmax(1)), BinaryCrossEntropy::new()),
        &["binary_crossentropy", "one output", "always 1", "Sigmoid"],
    );
    says(
        compiled(ends(1, linear), BinaryCrossEntropy::new().from_probabilities()),
        &["end in sigmoid", "from_probabilities()"],
    );
    let counts = |loss: Poisson, end: End| compiled(ends(1, end), loss);
    says(counts(Poisson::new().log_input(), Var::exp), &["poisson", "exp", "log_input()"]);
    says(counts(Poisson::new().log_input(), Var::softplus), &["poisson", "softplus"]);
    counts(Poisson::new().log_input(), linear).expect("logarithms");
    counts(Poisson::new(), Var::exp).expect("means");
}

#[test]
fn a_forgotten_softmax_and_a_forgotten_from_logits_train_as_if_they_were_there() {
    let data = Dataset::new(features(), classes(3)).expect("data");
    let fit = Fit::new().epochs(5).batch_size(12).verbose(false);
    for device in common::devices() {
        let trained = |end: End, loss: CategoricalCrossEntropy| {
            let setup = Setup::on(&device).seed(3);
            let mut model = ends(3, end).compile_on(&setup, Sgd::new(0.1), loss, &[Metric::Accuracy]).expect("a model");
            let losses = model.fit(&data, &fit).expect("a training").losses();
            (losses, model.parameter("dense/kernel").expect("the kernel"), model.evaluate(&data).expect("numbers"))
        };
        let plain = trained(linear, CategoricalCrossEntropy::new());
        assert_eq!(plain, trained(linear, CategoricalCrossEntropy::new().from_logits()));
        // The stable formula is the same.
        assert_eq!(plain, trained(|x| x.softmax(1), CategoricalCrossEntropy::new()));
        assert!(plain.0[4] < plain.0[0] && plain.0[0] < 3.0, "{:?}", plain.0);
    }
}

#[test]
fn a_guess_is_noted_and_an_assertion_ends_it() {
    let data = Dataset::new(features(), classes(3)).expect("data");
    let fit = Fit::new().batch_size(12).verbose(false);
    let end = |x: &Var| x.softmax(1)?.clip(0.01, 0.99);
    let notes = |loss: CategoricalCrossEntropy| {
        compiled(ends(3, end), loss).expect("a model").fit(&data, &fit).expect("a training").notes
    };
    let said = notes(CategoricalCrossEntropy::new());
    assert!(said.len() == 1 && said[0].contains("clip") && said[0].contains("from_logits()"), "{said:?}");
    assert!(notes(CategoricalCrossEntropy::new().from_probabilities()).is_empty());
    let summary = compiled(ends(3, linear), CategoricalCrossEntropy::new()).expect("a model").summary().expect("one");
    assert!(summary.to_string().ends_with("categorical_crossentropy takes logits (the network ends in a linear op)"));
}

#[test]
fn each_output_has_its_own_end() {
    let network = || {
        Functional::many([Input::new([3])], |ctx, x| {
            let [a, b] = [3, 1].map(|n| ctx.layer(&Dense::new(n), &x[0]));
            Ok(vec![a?.softmax(1)?, b?])
        })
    };
    let both = |second: BinaryCrossEntropy| Losses::new(CategoricalCrossEntropy::new()).and(second, 0.5);
    let model = compiled(network(), both(BinaryCrossEntropy::new())).expect("a model");
    let said = model.summary().expect("a summary").losses;
    assert!(said[0].contains("takes probabilities") && said[1].contains("takes logits"), "{said:?}");
    says(
        compiled(network(), both(BinaryCrossEntropy::new().from_probabilities())),
        &["binary_crossentropy", "sigmoid"],
    );
}

#[test]
fn decisions_follow_the_form() {
    let truth = Array2::from_shape_fn((SAMPLES, 1), |(i, _)| f32::from(u8::from(number(900 + i) > 0.5)));
    let data = Dataset::new(features(), truth.clone()).expect("data");
    for device in common::devices() {
        let mut judged = Vec::new();
        let logits: [(End, BinaryCrossEntropy); 3] = [
            (linear, BinaryCrossEntropy::new()),
            (linear, BinaryCrossEntropy::new().from_logits()),
            (Var::sigmoid, BinaryCrossEntropy::new()),
        ];
        for (end, loss) in logits {
            let setup = Setup::on(&device).seed(8);
            let metrics = [Metric::Accuracy, Metric::Recall, Metric::Auc];
            let mut model = ends(1, end).compile_on(&setup, Sgd::new(0.1), loss, &metrics).expect("a model");
            let found = model.evaluate(&data).expect("numbers").metrics;
            let table = model.confusion(&data).expect("a table").to_string();
            judged.push((found, table));
            let logit = model.predict(features()).expect("outputs");
            let above = if judged.len() < 3 { 0.0 } else { 0.5 };
            let right = logit.iter().zip(&truth).filter(|(z, t)| (**z > above) == (**t > 0.5)).count();
            assert_eq!(judged[judged.len() - 1].0[0].1, right as f64 / SAMPLES as f64);
        }
        assert!(judged.iter().all(|other| *other == judged[0]), "{judged:?}");
        let shares = judged[0].0[0].1;
        assert!(shares > 0.0 && shares < 1.0);
    }
}

/// The mean over the classes of the share of pairs, one of the class and one of another, that a column ranks right.
fn one_vs_rest(scores: &ArrayD<f32>, truth: &Array1<u32>) -> f64 {
    let n = scores.len_of(Axis(1));
    let of = |class: usize| {
        let column: Vec<f32> = scores.index_axis(Axis(1), class).iter().copied().collect();
        let (mut right, mut pairs) = (0.0, 0.0);
        for (a, own) in column.iter().zip(truth).filter(|(_, t)| **t == class as u32) {
            for (b, _) in column.iter().zip(truth).filter(|(_, t)| **t != class as u32) {
                (right, pairs) = (right + if a > b { 1.0 } else { 0.5 * f64::from(u8::from(a == b)) }, pairs + 1.0);
            }
            assert_eq!(*own, class as u32);
        }
        right / pairs
    };
    (0..n).map(of).sum::<f64>() / n as f64
}

#[test]
fn the_area_under_the_curve_of_logits_is_that_of_their_probabilities() {
    let truth = classes(3);
    let data = Dataset::new(features(), truth.clone()).expect("data");
    for device in common::devices() {
        let measured = |end: End| {
            let setup = Setup::on(&device).seed(21);
            let loss = CategoricalCrossEntropy::new();
            let mut model = ends(3, end).compile_on(&setup, Sgd::new(0.1), loss, &[Metric::Auc]).expect("a model");
            (model.evaluate(&data).expect("numbers").metric("auc"), model.predict(features()).expect("outputs"))
        };
        let ((of_logits, logits), (of_shares, shares)) = (measured(linear), measured(|x| x.softmax(1)));
        let (expected, of_columns) = (one_vs_rest(&shares, &truth), one_vs_rest(&logits, &truth));
        assert!((of_shares - expected).abs() < 1e-12 && (of_logits - expected).abs() < 1e-12);
        assert!((of_columns - expected).abs() > 1e-3, "the columns of logits alone rank otherwise");
    }
}

/// A loss of one's own that takes logits where it may.
#[derive(Debug)]
struct Own(Form);

impl Loss for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.0.taken("own", y, self.judgement(&y.shape()))
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let p = if self.takes(y)?.is_logits() { y.softmax(1)? } else { y.clone() };
        p.sub(&targets.one_hot(3)?)?.square()
    }
}

#[test]
fn a_loss_of_ones_own_asks_like_the_others() {
    let data = Dataset::new(features(), classes(3)).expect("data");
    let fit = Fit::new().verbose(false);
    let trained =
        |end: End, form| -> Result<Vec<f64>> { Ok(compiled(ends(3, end), Own(form))?.fit(&data, &fit)?.losses()) };
    let (plain, softmax) =
        (trained(linear, Form::Auto).expect("logits"), trained(|x| x.softmax(1), Form::Auto).expect("probabilities"));
    assert_eq!(plain, softmax);
    says(trained(|x| x.softmax(1), Form::Logits), &["own", "softmax"]);
    // Without asking nothing is refused.
    trained(|x| x.softmax(1), Form::Values).expect("values");
}

#[test]
fn ready_models_end_in_logits() {
    let models: Vec<(Sequential, Losses)> = vec![
        (Sequential::new([3]).with(Mlp::new([4], 3)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([1, 16, 16]).with(SmallCnn::new(3)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([1, 16, 16]).with(ResNet18::new(3).width(2)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([1, 32]).with(ResNet1d::new(3).width(2)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([6, 2]).with(SequenceModel::lstm(3, 3)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([6, 2]).with(TransformerEncoder::new(1, 4, 2, 3)), CategoricalCrossEntropy::new().into()),
        (Sequential::new([1, 16, 16]).with(UNet2d::new(3)), DiceCrossEntropy::new().into()),
        (Sequential::new([1, 16, 16]).with(UNet2d::new(1)), Dice::new().into()),
        (
            Sequential::new([1, 8, 8]).with(Conv2d::new(3, [3, 3])).with(BatchNorm::new()).with(GlobalAvgPool::new()),
            CategoricalCrossEntropy::new().into(),
        ),
    ];
    for (network, loss) in models {
        let said = compiled(network, loss).expect("a model").summary().expect("a summary").losses;
        assert!(said[0].contains("takes logits (the network ends in a linear op)"), "{said:?}");
    }
}

#[test]
fn a_model_from_a_file_ends_as_the_one_that_was_saved() {
    let path = Place::new("form");
    let mut model = compiled(ends(3, |x| x.softmax(1)), CategoricalCrossEntropy::new()).expect("a model");
    let expected = model.predict(features()).expect("outputs");
    let mut opened = path.reopened(&mut model, &cpu());
    assert_eq!(opened.predict(features()).expect("outputs"), expected);
    assert!(opened.summary().expect("a summary").losses.is_empty());
    let saved = || galen::train::SavedModel::read(&path.0).expect("a file");
    let again = |loss: CategoricalCrossEntropy| saved().compile_on(&cpu(), Sgd::new(0.1), loss, &[]);
    again(CategoricalCrossEntropy::new()).expect("probabilities");
    says(again(CategoricalCrossEntropy::new().from_logits()), &["softmax", "from_logits()"]);
}

#[test]
fn a_loss_by_itself_asks_too() {
    let graph = Graph::new();
    let x = graph.input("x", [4, 3], DType::F32).expect("an input");
    let t = graph.input("t", [4], DType::U32).expect("targets");
    let softmax = x.softmax(1).expect("shares");
    let refused = CategoricalCrossEntropy::new().from_logits().values(&softmax, &t);
    assert!(matches!(refused, Err(Error::Usage { .. })), "{refused:?}");
    // Of a tensor that nobody knows they are probabilities, as in Keras.
    CategoricalCrossEntropy::new().values(&x, &t).expect("values");
}

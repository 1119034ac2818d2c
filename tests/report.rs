//! Reports: what they say is what the metrics say, and what cannot be said is named.

use galen::Error;
use galen::metrics::{
    Average, Bootstrap, ConfusionTable, Delong, OperatingPoint, average_precision, brier, dice, log_loss,
    mean_absolute_error, roc_auc, roc_auc_one_vs_rest, wilson,
};
use galen::report::Report;
use ndarray::{Array2, array};
use serde_json::Value;

const N: usize = 60;

/// Classes and probabilities of class 1, of two samples for each patient.
fn two_classes() -> (Vec<u32>, Array2<f32>, Vec<String>) {
    let truth: Vec<u32> = (0..N as u32).map(|i| u32::from(i * i % 7 < 2)).collect();
    let score = |i: usize| 0.1 + 0.3 * truth[i] as f32 + 0.5 * ((i * 37) % 60) as f32 / 60.0;
    let scores = Array2::from_shape_fn((N, 2), |(i, c)| if c == 1 { score(i) } else { 1.0 - score(i) });
    (truth.clone(), scores, (0..N).map(|i| format!("Meier{}", i / 2)).collect())
}

fn metric<'a>(json: &'a Value, key: &str, class: Option<&str>) -> &'a Value {
    let is = |m: &&Value| m["key"] == key && m["class"].as_str() == class;
    json["metrics"].as_array().unwrap().iter().find(is).unwrap_or_else(|| panic!("no {key} in {json:#}"))
}

#[test]
fn a_binary_report_says_what_the_metrics_say() {
    let (truth, scores, _) = two_classes();
    let report = Report::classification("test", &truth, scores.view())
        .classes(["benign", "malignant"])
        .positive("malignant")
        .threshold(0.5)
        .resamples(200)
        .seed(3)
        .build()
        .unwrap();
    let json = report.to_json();
    let yes: Vec<bool> = truth.iter().map(|t| *t == 1).collect();
    let p: Vec<f64> = scores.column(1).iter().map(|p| f64::from(*p)).collect();
    let is = |key: &str, value: f64| assert_eq!(metric(&json, key, None)["value"], value, "{key}");
    is("auc", roc_auc(&yes, &p).unwrap());
    is("average_precision", average_precision(&yes, &p).unwrap());
    is("log_loss", log_loss(&yes, &p).unwrap());
    is("brier", brier(&yes, &p).unwrap());
    let delong = Delong::new(&yes, &p).unwrap().interval(0.95).unwrap();
    let auc = metric(&json, "auc", None);
    assert_eq!(
        (&auc["low"], &auc["high"], &auc["method"]),
        (&delong.low.into(), &delong.high.into(), &"DeLong".into())
    );

    let positives = yes.iter().filter(|y| **y).count();
    let found = yes.iter().zip(&p).filter(|(y, p)| **y && **p >= 0.5).count();
    let (sensitivity, share) = (metric(&json, "sensitivity", None), wilson(found, positives, 0.95).unwrap());
    assert_eq!((&sensitivity["value"], &sensitivity["n"]), (&share.value.into(), &positives.into()));
    assert_eq!((&sensitivity["low"], &sensitivity["high"]), (&share.low.into(), &share.high.into()));
    assert_eq!(json["operating_point"]["threshold"], 0.5);
    assert_eq!(json["classes"][1]["samples"], positives);
    assert_eq!(json["confusion"][1][1], found);
    assert_eq!(json["not_computed"].as_array().unwrap().len(), 0, "{:#}", json["not_computed"]);

    let text = report.to_string();
    for part in ["test: binary classification, 60 samples", "positive: malignant, called from a score of 0.5 on"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let line = text.lines().find(|line| line.starts_with("AUC")).unwrap();
    let expected = format!("{:.3}  {:.3} to {:.3}", delong.value, delong.low, delong.high);
    assert!(line.contains(&expected) && line.ends_with("DeLong"), "{line}");
}

#[test]
fn samples_of_a_patient_are_drawn_together() {
    let (truth, scores, patients) = two_classes();
    let draft = || Report::classification("test", &truth, scores.view()).resamples(200).seed(3);
    let report = draft().groups(&patients).build().unwrap();
    let yes: Vec<bool> = truth.iter().map(|t| *t == 1).collect();
    let p: Vec<f64> = scores.column(1).iter().map(|p| f64::from(*p)).collect();
    let expected = Bootstrap::by_group(&patients).unwrap().resamples(200).seed(3).roc_auc(&yes, &p).unwrap();
    let row = report.row("auc", None).unwrap();
    assert_eq!((row.interval, row.method), (Some(expected), "bootstrap by group"));
    assert_eq!(report.to_json()["groups"], 30);
    assert!(report.to_string().contains("60 samples in 30 groups"));
    assert_eq!(
        report.to_json(),
        draft().groups(&patients).build().unwrap().to_json(),
        "the same seed, the same report"
    );
    assert!(matches!(draft().groups(&patients[1..]).build(), Err(Error::Data { .. })));
}

/// Every kind of report, of samples that come `times` times each. With groups, each sample and its copies are one patient's.
fn reports(times: usize, grouped: bool) -> Vec<Report> {
    const PATIENTS: usize = 60;
    let n = PATIENTS * times;
    // Numbers that look drawn, the same for each copy.
    let noise = |i: usize, salt: usize| {
        let mixed = ((64 * (i / times) + salt) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed ^ (mixed >> 32)) & 0xFF_FFFF) as f32 / (1 << 24) as f32
    };
    let class = |i: usize| u32::from(noise(i, 1) > 0.5);
    let groups: Vec<usize> = (0..n).map(|i| i / times).collect();
    macro_rules! build {
        ($draft:expr) => {{
            let draft = $draft.resamples(150).seed(5);
            if grouped { draft.groups(&groups).build() } else { draft.build() }.unwrap()
        }};
    }
    let truth: Vec<u32> = (0..n).map(class).collect();
    let p = |i: usize| 0.8 * noise(i, 2) + 0.2 * class(i) as f32;
    let two = Array2::from_shape_fn((n, 2), |(i, c)| if c == 1 { p(i) } else { 1.0 - p(i) });
    let three_classes: Vec<u32> = (0..n).map(|i| (3.0 * noise(i, 1)) as u32).collect();
    let mut three =
        Array2::from_shape_fn((n, 3), |(i, c)| noise(i, 3 + c) + 0.5 * f32::from(three_classes[i] == c as u32));
    three.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
    let labels = Array2::from_shape_fn((n, 2), |(i, c)| noise(i, 6 + c) > 0.5);
    let given = Array2::from_shape_fn((n, 2), |(i, c)| 0.6 * noise(i, 8 + c) + 0.4 * f32::from(labels[[i, c]]));
    let values: Vec<f32> = (0..n).map(|i| noise(i, 10)).collect();
    let predicted: Vec<f32> = (0..n).map(|i| noise(i, 10) + 0.3 * noise(i, 11)).collect();
    let mut masks = Report::segmentation("masks", &[1.0, 1.0]);
    for i in 0..n {
        let square = |left: usize, side: usize| {
            Array2::from_shape_fn((16, 16), |(y, x)| (2..2 + side).contains(&y) && (left..left + side).contains(&x))
        };
        let (left, side) = (2 + (4.0 * noise(i, 12)) as usize, 4 + (5.0 * noise(i, 13)) as usize);
        masks = masks.image(square(2, 6).view(), square(left, side).view()).unwrap();
    }
    vec![
        build!(Report::classification("two classes", &truth, two.view())),
        build!(Report::classification("three classes", &three_classes, three.view())),
        build!(Report::multilabel("labels", labels.map(|&is| f32::from(u8::from(is))).view(), given.view())),
        build!(Report::regression("numbers", &values, &predicted)),
        build!(masks),
    ]
}

/// Copies of a patient's samples tell nothing new: no interval of any metric in any report gets narrower by them.
#[test]
fn samples_that_a_patient_has_twice_make_nothing_surer() {
    let (once, copied, blind) = (reports(1, true), reports(5, true), reports(5, false));
    for ((once, copied), blind) in once.iter().zip(&copied).zip(&blind) {
        let (mut seen, mut narrower) = (0, 0);
        for row in once.rows() {
            let name = format!("{}: {} {:?}", once.name(), row.key, row.class);
            let other = copied.row(row.key, row.class.as_deref()).unwrap();
            assert_eq!(row.interval.is_some(), other.interval.is_some(), "{name}");
            let Some((before, after)) = row.interval.zip(other.interval) else { continue };
            assert_eq!((row.method, other.method), ("bootstrap by group", "bootstrap by group"), "{name}");
            // The spread's n - 1 is the only number that copies change.
            let width = |i: galen::metrics::Interval| i.high - i.low;
            assert!(width(after) >= 0.98 * width(before), "{name}: {before} became {after}");
            let without = blind.row(row.key, row.class.as_deref()).unwrap().interval;
            narrower += usize::from(without.is_none_or(|without| width(without) < 0.6 * width(before)));
            seen += 1;
        }
        assert!(seen >= 4, "{}: {seen} intervals", once.name());
        assert!(2 * narrower > seen, "{}: without groups, copies should look like new samples", once.name());
    }
}

/// So do the bars of the calibration picture.
#[cfg(feature = "plot")]
#[test]
fn bars_of_a_calibration_picture_know_groups() {
    use galen::metrics::ReliabilityCurve;
    let bars = |report: &Report| -> Vec<f64> {
        let svg = report.pictures().iter().find(|(name, _)| *name == "calibration").unwrap().1.svg();
        let number = |line: &str, key: &str| -> f64 {
            line.split(&format!("{key}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        // Upright lines in the curve's colour.
        let colour =
            svg.split("<circle").nth(1).and_then(|dot| dot.split("fill=\"").nth(1)).unwrap().split('"').next().unwrap();
        let lines = svg.split("<line").skip(1).map(|line| line.split('>').next().unwrap());
        let own = lines.filter(|line| line.contains(&format!("stroke=\"{colour}\"")));
        let upright = own.filter(|line| number(line, "x1") == number(line, "x2"));
        upright.map(|line| (number(line, "y1") - number(line, "y2")).abs()).collect()
    };
    for kind in 0..2 {
        let [once, copied, blind] =
            [(1, true), (5, true), (5, false)].map(|(n, grouped)| bars(&reports(n, grouped)[kind]));
        assert!(once.len() >= 2, "{once:?}");
        assert_eq!(once, copied, "copies change nothing");
        let sum = |bars: &[f64]| bars.iter().sum::<f64>() / bars.len() as f64;
        assert!(sum(&blind) < 0.6 * sum(&once), "{blind:?} without groups, {once:?} with them");
    }
    // Each is what the bootstrap says of the share in its bin.
    let truth: Vec<bool> = (0..60).map(|i| i * i % 7 < 3).collect();
    let p: Vec<f64> = (0..60).map(|i| if i % 3 == 0 { 0.2 } else { 0.8 }).collect();
    let patients: Vec<usize> = (0..60).map(|i| i / 4).collect();
    let bootstrap = Bootstrap::by_group(&patients).unwrap().resamples(300).seed(2).level(0.9);
    let all = ReliabilityCurve::intervals(&truth, &p, 2, &bootstrap).unwrap();
    for (bin, interval) in all.iter().enumerate() {
        let expected = bootstrap.interval(|rows| {
            let inside: Vec<&usize> = rows.iter().filter(|row| usize::from(p[**row] > 0.5) == bin).collect();
            Ok(inside.iter().filter(|row| truth[***row]).count() as f64 / inside.len() as f64)
        });
        assert_eq!(*interval, Some(expected.unwrap()));
    }
    assert_eq!(ReliabilityCurve::intervals(&[true; 60], &p, 2, &bootstrap).unwrap(), [None, None], "no width");
    let rare: Vec<f64> = (0..60).map(|i| if i == 7 { 0.9 } else { 0.1 }).collect();
    let intervals = ReliabilityCurve::intervals(&truth, &rare, 2, &bootstrap).unwrap();
    assert!(intervals[0].is_some() && intervals[1].is_none(), "one patient alone: {intervals:?}");
    // Two samples, one of them right: their bin is empty in one resample of eight.
    let two: Vec<f64> = (0..60).map(|i| if [2, 7].contains(&i) { 0.9 } else { 0.1 }).collect();
    let bootstrap = Bootstrap::by_sample(60).unwrap().resamples(1000);
    let intervals = ReliabilityCurve::intervals(&truth, &two, 2, &bootstrap).unwrap();
    assert!(truth[7] && !truth[2] && intervals[0].is_some() && intervals[1].is_none(), "often empty: {intervals:?}");
    assert!(ReliabilityCurve::intervals(&truth[1..], &p[1..], 2, &bootstrap).is_err());
}

#[test]
fn metrics_answer_to_their_usual_names_and_unknown_ones_name_those_there_are() {
    let reports = reports(2, true);
    let [two, three, labels, numbers, masks] = &reports[..] else { panic!("five kinds") };
    let same = |report: &Report, names: &[&str], key: &str| {
        for name in names {
            assert_eq!(report.value(name).unwrap(), report.value(key).unwrap(), "{name}");
        }
    };
    same(two, &["precision", "Precision", "PPV", "precision_score"], "positive_predictive_value");
    same(two, &["recall", "Recall", "TPR", "recall_score", "Sensitivity"], "sensitivity");
    same(two, &["AUC", "roc_auc", "ROC AUC", "roc_auc_score", "AUROC"], "auc");
    same(two, &["f1_score", "F1", "F1Score"], "f1");
    same(two, &["Specificity", "true negative rate"], "specificity");
    same(two, &["acc", "Accuracy", "binary_accuracy", "accuracy_score"], "accuracy");
    same(two, &["PR AUC", "average_precision_score"], "average_precision");
    same(two, &["MCC", "matthews_corrcoef"], "matthews");
    same(two, &["brier_score_loss"], "brier");
    same(three, &["AUC", "roc_auc_ovr"], "auc_macro");
    same(three, &["f1", "macro F1"], "f1_macro");
    same(three, &["sparse_categorical_accuracy"], "accuracy");
    same(labels, &["subset accuracy"], "exact_match");
    same(numbers, &["MAE"], "mean_absolute_error");
    same(numbers, &["RMSE", "RootMeanSquaredError"], "root_mean_squared_error");
    same(numbers, &["r2_score", "R2"], "r_squared");
    same(masks, &["Dice", "dice coefficient"], "dice");
    same(masks, &["jaccard", "IoU"], "iou");
    let class = three.row("precision", Some("class 1")).unwrap();
    assert_eq!(class, three.row("positive_predictive_value", Some("class 1")).unwrap());

    let says = |result: galen::Result<f64>, words: &[&str]| {
        let message = result.expect_err("no such metric").to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    says(two.value("acuracy"), &["\"acuracy\"", "one of", "accuracy", "sensitivity", "brier"]);
    says(numbers.value("accuracy"), &["mean_absolute_error", "spearman"]);
    says(three.value("precision"), &["single class", "balanced_accuracy"]);
    let of = |class: &str| three.row("recall", Some(class)).map(|row| row.value);
    says(of("class 3"), &["\"class 3\"", "class 0, class 1, class 2"]);
    says(numbers.row("MAE", Some("a")).map(|row| row.value), &["no single classes"]);
    let one_class = Report::classification("t", &[1, 1], array![[0.1, 0.9], [0.2, 0.8_f32]].view()).build().unwrap();
    says(one_class.value("AUC"), &["auc", "2 positive and 0 negative"]);
}

#[test]
fn one_column_is_the_probability_of_class_1() {
    let (truth, scores, _) = two_classes();
    let column = scores.slice(ndarray::s![.., 1..]).to_owned();
    let build =
        |scores: &Array2<f32>| Report::classification("t", &truth, scores.view()).resamples(50).build().unwrap();
    let (one, two) = (build(&column), build(&scores));
    assert_eq!(one.confusion(), two.confusion());
    assert_eq!(one.value("auc").unwrap(), two.value("auc").unwrap());
    assert!((one.value("brier").unwrap() - two.value("brier").unwrap()).abs() < 1e-7);
}

#[test]
fn logits_are_refused_where_they_would_be_taken_for_probabilities() {
    let says = |report: Result<Report, Error>, words: &[&str]| {
        let message = report.map(|r| r.to_string()).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let truth = [0, 1, 1, 0];
    let column = array![[-1.0], [0.4], [2.5], [0.1_f32]];
    says(Report::classification("t", &truth, column.view()).build(), &["apply the sigmoid", "-1 in sample 0"]);
    let two = array![[1.0, -1.0], [0.0, 0.4], [-1.0, 2.5], [0.0, 0.1_f32]];
    let draft = || Report::classification("t", &truth, two.view()).resamples(50);
    says(draft().threshold(0.5).build(), &["apply the softmax", "-1 in sample 0"]);
    // Without a threshold the larger one is called: nothing is compared with a number on another scale.
    assert_eq!(draft().build().unwrap().value("accuracy").ok(), Some(0.75));
    let labels = array![[1.0], [0.0_f32]];
    let logits = array![[0.2], [-0.4_f32]];
    says(Report::multilabel("t", labels.view(), logits.view()).build(), &["apply the sigmoid", "-0.4"]);
    let report = Report::multilabel("t", labels.view(), logits.view()).threshold(0.0).resamples(50).build().unwrap();
    assert_eq!(report.value("exact_match").ok(), Some(1.0));
}

#[test]
fn a_threshold_is_the_one_that_was_chosen_on_these_scores() {
    let (truth, scores, _) = two_classes();
    let column = scores.slice(ndarray::s![.., 1..]).to_owned();
    for positive in [1_u32, 0] {
        let yes: Vec<bool> = truth.iter().map(|t| *t == positive).collect();
        let p: Vec<f64> = scores.column(positive as usize).iter().map(|p| f64::from(*p)).collect();
        let point = OperatingPoint::youden(&yes, &p).unwrap();
        for scores in [&scores, &column] {
            let report = Report::classification("t", &truth, scores.view()).positive(format!("class {positive}"));
            // One column says 1 - p in f64, two say it in f32: half a step apart.
            let report = report.threshold(point.threshold - 1e-6).resamples(50).build().unwrap();
            assert_eq!(report.value("sensitivity").ok(), Some(point.sensitivity), "class {positive}");
            assert_eq!(report.value("specificity").ok(), Some(point.specificity), "class {positive}");
        }
    }
}

#[test]
fn a_sure_mistake_costs_what_scikit_learn_says_of_float32() {
    // sklearn.metrics.log_loss([0, 1], numpy.float32([[0, 1], [0.5, 0.5]])), scikit-learn 1.9.1.
    const EXPECTED: f64 = 8.317766189575195;
    let report = |scores: ndarray::ArrayView2<f32>| {
        let report = Report::classification("t", &[0, 1], scores).resamples(50).build().unwrap();
        report.value("log_loss").unwrap()
    };
    for scores in
        [array![[0.0, 1.0], [0.5, 0.5_f32]], array![[1.0], [0.5_f32]], array![[0.0, 1.0, 0.0], [0.5, 0.5, 0.0]]]
    {
        assert!((report(scores.view()) - EXPECTED).abs() < 1e-6, "{}", report(scores.view()));
    }
}

#[test]
fn each_of_several_classes_has_its_rows() {
    let truth: Vec<u32> = (0..90).map(|i| (i * 7 + i / 4) % 3).collect();
    let scores = Array2::from_shape_fn((90, 3), |(i, c)| {
        let given = if (i + c) % 4 == 0 { 0.5 } else { 0.1 };
        given + if truth[i] as usize == c { 0.4 } else { 0.0 } + (i * 3 + c) as f32 / 1e4
    });
    let report = Report::classification("beats", &truth, scores.view()).classes(["N", "S", "V"]).resamples(100);
    let report = report.build().unwrap();
    let called: Vec<u32> = report_calls(&scores);
    let table = ConfusionTable::new(&truth, &called).unwrap();
    assert_eq!(report.confusion(), Some(&table));
    assert_eq!(report.value("accuracy").ok(), Some(table.accuracy()));
    assert_eq!(report.value("f1_macro").ok(), Some(table.f1(Average::Macro)));
    let auc = roc_auc_one_vs_rest(&truth, scores.mapv(f64::from).view(), Average::Macro).unwrap();
    assert_eq!(report.value("auc_macro").ok(), Some(auc));
    for (class, name) in ["N", "S", "V"].into_iter().enumerate() {
        let counts = table.class(class).unwrap();
        let row = |key| report.row(key, Some(name)).map(|row| row.value).ok();
        assert_eq!(row("sensitivity"), counts.sensitivity());
        assert_eq!(row("positive_predictive_value"), counts.precision());
        assert!(row("auc").is_some());
    }
    // These scores have no sum of 1: what needs probabilities is missing, and said to be.
    let missing: Vec<&str> =
        report.missing().iter().map(|m| m.key.as_str()).filter(|k| !k.contains("picture")).collect();
    assert_eq!(missing, ["log_loss", "brier", "expected_calibration_error"]);
    assert!(report.missing()[0].reason.contains("no probabilities"));
}

fn report_calls(scores: &Array2<f32>) -> Vec<u32> {
    let best = |row: ndarray::ArrayView1<f32>| (0..3).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    scores.rows().into_iter().map(|row| best(row) as u32).collect()
}

#[test]
fn what_is_not_defined_is_said_and_the_rest_stands() {
    let scores = array![[0.1, 0.9], [0.2, 0.8], [0.6, 0.4_f32]];
    let report = Report::classification("t", &[1, 1, 1], scores.view()).resamples(100).build().unwrap();
    assert_eq!(report.value("auc").ok(), None);
    assert_eq!(report.value("sensitivity").ok(), Some(2.0 / 3.0));
    let reason = |key: &str| report.missing().iter().find(|m| m.key == key).map(|m| m.reason.as_str());
    assert!(reason("auc").is_some_and(|r| r.contains("3 positive and 0 negative")), "{report}");
    assert_eq!(reason("specificity"), Some("there is no negative sample"));
    assert!(report.to_string().contains("AUC: truth"), "{report}");

    let one = Report::classification("t", &[0], array![[0.7, 0.3_f32]].view()).build().unwrap();
    assert_eq!(one.value("accuracy").ok(), Some(1.0));
    assert!(one.row("log_loss", None).is_ok_and(|row| row.interval.is_none()), "one sample has no bootstrap");

    // An interval without width would claim to be sure.
    let sure = array![[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9_f32]];
    let sure = Report::classification("t", &[0, 0, 1, 1], sure.view()).resamples(100).build().unwrap();
    assert!(sure.row("auc", None).is_ok_and(|row| row.value == 1.0 && row.interval.is_none()));
    assert!(sure.missing().iter().any(|m| m.key == "auc interval"));
}

#[test]
fn what_makes_no_sense_is_an_error() {
    let scores = array![[0.1, 0.9], [0.8, 0.2_f32]];
    let draft = || Report::classification("t", &[1, 0], scores.view());
    let three = array![[0.1, 0.8, 0.1], [0.8, 0.1, 0.1_f32]];
    let nan = array![[0.1, f32::NAN], [0.8, 0.2]];
    let results = [
        Report::classification("t", &[], Array2::zeros((0, 2)).view()).build(),
        Report::classification("t", &[1], scores.view()).build(),
        Report::classification("t", &[2, 0], scores.view()).build(),
        Report::classification("t", &[1, 0], nan.view()).build(),
        draft().classes(["a"]).build(),
        draft().classes(["a", "a"]).build(),
        draft().classes(["a", "b"]).positive("c").build(),
        draft().threshold(f64::NAN).build(),
        draft().level(1.0).build(),
        draft().resamples(0).build(),
        draft().groups(&[1]).build(),
        Report::classification("t", &[1, 0], three.view()).threshold(0.5).build(),
        Report::classification("t", &[1, 0], Array2::zeros((2, 0)).view()).build(),
        Report::regression("t", &[1.0], &[]).build(),
        Report::regression("t", &[1.0], &[f32::INFINITY]).build(),
        Report::multilabel("t", Array2::from_elem((2, 3), 1.0).view(), scores.view()).build(),
        Report::segmentation("t", &[1.0, 1.0]).build(),
    ];
    for (index, result) in results.into_iter().enumerate() {
        let error = result.map(|report| report.to_string()).expect_err(&format!("case {index}"));
        assert!(matches!(error, Error::Data { .. } | Error::Parameter { .. }), "case {index}: {error}");
    }
}

#[test]
fn numbers_and_labels_have_reports_too() {
    let (truth, given) = ([1.0, 2.0, 3.0, 4.0_f32], [1.5, 2.0, 2.0, 4.5_f32]);
    let report = Report::regression("t", &truth, &given).unit("mm").resamples(100).build().unwrap();
    let double = |v: &[f32]| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    assert_eq!(report.value("mean_absolute_error").ok(), mean_absolute_error(&double(&truth), &double(&given)).ok());
    assert_eq!(report.value("mean_difference").ok(), Some(0.0));
    let constant = Report::regression("t", &[1.0; 4], &given).resamples(100).build().unwrap();
    assert!(constant.missing().iter().any(|m| m.key == "pearson") && constant.value("mean_absolute_error").is_ok());

    let truth = Array2::from_shape_fn((40, 2), |(i, c)| (i * (c + 2)) % 5 < 2);
    let scores = Array2::from_shape_fn((40, 2), |(i, c)| if (i * (c + 2)) % 5 < 2 { 0.7 } else { 0.01 * i as f32 });
    let report = Report::multilabel("t", truth.mapv(|t| f32::from(u8::from(t))).view(), scores.view())
        .labels(["edema", "nodule"])
        .resamples(50);
    let report = report.build().unwrap();
    let exact = truth.rows().into_iter().zip(scores.mapv(|s| s >= 0.5).rows()).filter(|(t, c)| t == c).count();
    assert_eq!(report.value("exact_match").ok(), Some(exact as f64 / 40.0));
    assert_eq!(report.row("sensitivity", Some("nodule")).unwrap().value, 1.0);
}

#[test]
fn masks_are_measured_image_by_image() {
    let square = |left: usize, side: usize| {
        Array2::from_shape_fn((12, 12), move |(i, j)| (2..2 + side).contains(&i) && (left..left + side).contains(&j))
    };
    let pairs = [(square(2, 4), square(3, 4)), (square(1, 6), square(1, 6)), (square(0, 0), square(2, 3))];
    let mut draft = Report::segmentation("t", &[1.0, 0.5]).resamples(100);
    for (truth, predicted) in &pairs {
        draft = draft.image(truth.view(), predicted.view()).unwrap();
    }
    let report = draft.build().unwrap();
    let mean = pairs.iter().map(|(t, p)| dice(t.view(), p.view()).unwrap()).sum::<f64>() / 3.0;
    assert_eq!(report.value("dice").ok(), Some(mean));
    let row = report.row("hausdorff_95", None).unwrap();
    assert_eq!((row.value, row.n), (0.25, 2), "half a millimetre in one of two images that have both masks");
    assert!(report.to_string().contains("1 of 3 images are left out: a mask is empty"), "{report}");
    let draft = Report::segmentation("t", &[1.0]);
    assert!(matches!(draft.image(pairs[0].0.view(), pairs[0].1.view()), Err(Error::Parameter { .. })));
}

#[cfg(feature = "plot")]
#[test]
fn a_folder_gets_everything_and_no_names_of_patients() {
    let (truth, scores, patients) = two_classes();
    let report =
        Report::classification("test", &truth, scores.view()).groups(&patients).resamples(100).build().unwrap();
    let folder = std::env::temp_dir().join(format!("galen-report-{}", std::process::id()));
    let files = report.write(folder.join("deeper")).unwrap();
    let mut names: Vec<String> =
        files.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.ends_with(".png"));
    let expected = ["report.txt", "report.json", "roc.svg", "precision_recall.svg", "confusion.svg", "calibration.svg"];
    assert_eq!(names, expected);
    for path in &files {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        for word in ["Meier", "galen-report-", "/tmp", "NaN"] {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&files[1]).unwrap()).unwrap();
    assert_eq!(json, report.to_json());
    let again = report.write(folder.join("deeper")).unwrap();
    assert_eq!((again, std::fs::read_dir(folder.join("deeper")).unwrap().count()), (files.clone(), files.len()));
    std::fs::write(folder.join("file"), "in the way").unwrap();
    assert!(matches!(report.write(folder.join("file")), Err(Error::Io { .. })));

    #[cfg(feature = "png")]
    for (name, picture) in report.pictures() {
        let bytes = std::fs::read(folder.join("deeper").join(format!("{name}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let (width, height) = picture.size();
        assert_eq!((reader.info().width, reader.info().height), (2 * width as u32, 2 * height as u32));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(pixels.iter().any(|byte| *byte < 50), "{name} is not empty");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[cfg(feature = "plot")]
#[test]
fn examples_are_shown_and_a_training_without_epochs_is_said_to_have_no_curve() {
    use galen::plot::Example;

    let (image, mask) = (ndarray::Array3::<u8>::zeros((3, 8, 8)), Array2::from_shape_fn((8, 8), |(i, j)| i + j < 7));
    let example = Example::of_bytes(image.view()).unwrap().truth(mask.view()).unwrap().caption("Dice 1.00");
    let report = Report::segmentation("t", &[1.0, 1.0])
        .image(mask.view(), mask.view())
        .unwrap()
        .examples([example])
        .history(&galen::train::History::default())
        .build()
        .unwrap();
    let names: Vec<&str> = report.pictures().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["examples"]);
    assert!(report.pictures()[0].1.svg().contains(">Dice 1.00<"));
    assert!(report.missing().iter().any(|m| m.key == "training picture"));
    assert_eq!(report.to_json()["training"]["epochs"], 0);
}

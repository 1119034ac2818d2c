//! Tables of classes against scikit-learn.

use galen::metrics::{BinaryCounts, ConfusionTable, KappaWeights};
use serde::Deserialize;

use super::{Expected, average, compare, says, stored};

#[derive(Deserialize)]
struct Case {
    name: String,
    truth: Vec<u32>,
    predicted: Vec<u32>,
    expected: Expected,
}

fn metric(table: &ConfusionTable, name: &str) -> Option<f64> {
    let (name, of) = name.split_once(' ').unwrap_or((name, ""));
    match name {
        "accuracy" => Some(table.accuracy()),
        "balanced" => Some(table.balanced_accuracy()),
        "matthews" => table.matthews(),
        "kappa" => table.kappa(match of {
            "None" => KappaWeights::None,
            "linear" => KappaWeights::Linear,
            _ => KappaWeights::Quadratic,
        }),
        "precision" => Some(table.precision(average(of))),
        "recall" => Some(table.recall(average(of))),
        "specificity" => Some(table.specificity(average(of))),
        "npv" => Some(table.negative_predictive_value(average(of))),
        "f1" => Some(table.f1(average(of))),
        "f0.5" => table.f_beta(0.5, average(of)).ok(),
        "f2" => table.f_beta(2.0, average(of)).ok(),
        other => panic!("no metric is called {other}"),
    }
}

#[test]
fn tables_give_the_numbers_of_scikit_learn() {
    for case in stored::<Case>("confusion.json") {
        let table = ConfusionTable::new(&case.truth, &case.predicted).expect("a table");
        assert_eq!(case.expected.len(), 27, "{}", case.name);
        compare(&case.name, &case.expected, |name| metric(&table, name));
    }
}

#[test]
fn a_yes_or_no_table_is_the_table_of_its_second_class() {
    for case in stored::<Case>("confusion.json").iter().filter(|c| c.truth.iter().chain(&c.predicted).all(|v| *v < 2)) {
        let [truth, predicted] = [&case.truth, &case.predicted].map(|v| v.iter().map(|v| *v == 1).collect::<Vec<_>>());
        let counts = BinaryCounts::new(&truth, &predicted).expect("counts");
        let table = ConfusionTable::with_classes(&case.truth, &case.predicted, 2).expect("a table");
        assert_eq!(table.class(1).expect("a class"), counts, "{}", case.name);
        assert_eq!(counts.accuracy(), Some(table.accuracy()));
        assert_eq!(counts.matthews().is_some(), table.matthews().is_some());
        if let (Some(a), Some(b)) = (counts.matthews(), table.matthews()) {
            super::near(&case.name, a, b, super::CLOSE);
        }
        if let Some(balanced) = counts.balanced_accuracy() {
            super::near(&case.name, balanced, table.balanced_accuracy(), super::CLOSE);
        }
    }
}

#[test]
fn a_share_of_nothing_is_none_and_not_a_number() {
    let nothing_found = BinaryCounts::new(&[true, false], &[false, false]).expect("counts");
    assert_eq!((nothing_found.precision(), nothing_found.recall(), nothing_found.f1()), (None, Some(0.0), Some(0.0)));
    let all_negative = BinaryCounts::new(&[false, false], &[false, false]).expect("counts");
    assert_eq!((all_negative.sensitivity(), all_negative.specificity(), all_negative.f1()), (None, Some(1.0), None));
    assert_eq!((all_negative.balanced_accuracy(), all_negative.matthews()), (None, None));
    let all_positive = BinaryCounts::new(&[true], &[true]).expect("counts");
    assert_eq!((all_positive.specificity(), all_positive.negative_predictive_value()), (None, None));
}

#[test]
fn beta_says_how_much_recall_counts() {
    let counts = BinaryCounts { true_positives: 30, false_positives: 10, false_negatives: 60, true_negatives: 5 };
    assert_eq!(counts.f_beta(0.0).expect("a number"), counts.precision());
    let nearly_recall = counts.f_beta(1e200).expect("a number").expect("defined");
    super::near("f of a large beta", nearly_recall, 30.0 / 90.0, super::CLOSE);
    says(counts.f_beta(-1.0), &["F-beta", "beta", "-1"]);
    says(counts.f_beta(f64::NAN), &["beta", "NaN"]);
}

#[test]
fn a_table_is_printed_as_before() {
    let table = ConfusionTable::new(&[0, 1, 1, 2], &[0, 1, 2, 2]).expect("a table");
    let lines = ["true \\ given |   0   1   2", "-------------+------------", "           0 |   1   ·   ·"];
    assert_eq!(table.to_string().lines().take(3).collect::<Vec<_>>(), lines);
}

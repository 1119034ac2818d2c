//! A model's scores on PTB-XL's test fold, against scikit-learn and the number that was published with them.

use std::fs::File;

use galen::metrics::*;
use ndarray::{Array2, Ix2};
use ndarray_npy::NpzReader;
use serde_json::Value;

use super::{near, skip};

#[test]
fn ptb_xl_gives_the_published_area() {
    let Some(folder) = skip::data("ptb_xl_gives_the_published_area", "ptbxl_metric_golden") else { return };
    let file = File::open(folder.join("ptbxl_metric_golden/ptbxl_exp0_test.npz")).expect("PTB-XL's scores");
    let mut npz = NpzReader::new(file).expect("an NPZ file");
    let golden = std::fs::read_to_string(folder.join("golden/ptbxl_metrics.json")).expect("scikit-learn's numbers");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let truth: Array2<u8> = npz.by_name::<_, Ix2>("y_true").expect("labels");
    let scores: Array2<f32> = npz.by_name::<_, Ix2>("y_score").expect("scores");
    let (truth, scores) = (truth.mapv(|v| v == 1), scores.mapv(f64::from));
    let (t, s) = (truth.view(), scores.view());
    let number = |result: galen::Result<f64>| result.expect("a number");
    let flat: (Vec<bool>, Vec<f64>) = (truth.iter().copied().collect(), scores.iter().copied().collect());

    let area = number(roc_auc_multilabel(t, s, Average::Macro));
    near("macro AUC", area, 0.9254358590055028, 1e-9);
    // The stored loss and Brier score were summed in f32, with probabilities kept from 0 and 1 by 1e-7.
    let kept: Vec<f64> = flat.1.iter().map(|p| p.clamp(1e-7, 1.0 - 1e-7)).collect();
    let single = [("log_loss_mean_bce", number(log_loss(&flat.0, &kept))), ("brier", number(brier(&flat.0, &flat.1)))];
    for (name, actual) in single {
        near(name, actual, golden[name].as_f64().expect("a number"), 1e-6);
    }
    let columns = truth.columns().into_iter().zip(scores.columns());
    let per_label: Vec<BinaryCounts> = columns.map(|(t, s)| at_half(&t.to_vec(), &s.to_vec())).collect();
    let all = [
        ("macro_auc", area),
        ("micro_auc", number(roc_auc_multilabel(t, s, Average::Micro))),
        ("weighted_auc", number(roc_auc_multilabel(t, s, Average::Weighted))),
        ("macro_ap", number(average_precision_multilabel(t, s, Average::Macro))),
        ("micro_ap", number(average_precision_multilabel(t, s, Average::Micro))),
        ("micro_f1_at_0_5", at_half(&flat.0, &flat.1).f1().expect("defined")),
        ("macro_f1_at_0_5", Average::Macro.over(&per_label, BinaryCounts::f1)),
        ("hamming_at_0_5", 1.0 - at_half(&flat.0, &flat.1).accuracy().expect("defined")),
    ];
    for (name, actual) in all {
        near(name, actual, golden[name].as_f64().expect("a number"), 1e-11);
    }
    let each = roc_auc_per_label(t, s).expect("areas");
    assert_eq!(each.len(), 71);
    near("mean of the labels", each.iter().sum::<f64>() / 71.0, area, 1e-12);
}

fn at_half(truth: &[bool], scores: &[f64]) -> BinaryCounts {
    BinaryCounts::at_threshold(truth, scores, 0.5).expect("counts")
}

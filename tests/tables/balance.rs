use galen::data::balance::{
    balanced_weights, class_counts, effective_number_weights, oversample, sample_weights, undersample,
};

use super::*;

fn classes() -> Vec<u32> {
    numbers(&reference("prepare")["weights"]["classes"]).into_iter().map(|v| v as u32).collect()
}

#[test]
fn weights_are_those_of_scikit_learn_and_of_the_formula() {
    let wanted = &reference("prepare")["weights"];
    let counts = class_counts(&classes()).expect("counts");
    assert_eq!(counts, [50, 30, 3]);
    let found = balanced_weights(&counts).expect("weights");
    close("balanced", found.iter().map(|w| f64::from(*w)), &numbers(&wanted["balanced"]), 1e-6);
    let beta = wanted["beta"].as_f64().expect("a number");
    let effective = effective_number_weights(&counts, beta).expect("weights");
    close("effective", effective.iter().map(|w| f64::from(*w)), &numbers(&wanted["effective"]), 1e-6);
    assert_eq!(effective_number_weights(&counts, 0.0).expect("weights"), [1.0; 3]);
    // Towards 1 they become balanced ones.
    let near = effective_number_weights(&counts, 1.0 - 1e-9).expect("weights");
    assert!((near[2] / near[0] - 50.0 / 3.0).abs() < 1e-3, "{near:?}");
    let each = sample_weights(&classes(), &found).expect("weights");
    assert_eq!((each[0], each[50], each[82]), (found[0], found[1], found[2]));
    assert!((each.iter().sum::<f32>() / 83.0 - 1.0).abs() < 1e-5);
}

#[test]
fn oversampling_makes_classes_equal_and_loses_nobody() {
    let classes = classes();
    let chosen = oversample(&classes, 3).expect("samples");
    let counts = class_counts(&chosen.iter().map(|i| classes[*i]).collect::<Vec<_>>()).expect("counts");
    assert_eq!(counts, [50; 3]);
    let mut times = vec![0; classes.len()];
    chosen.iter().for_each(|i| times[*i] += 1);
    for (class, range) in [(0, 1..=1), (1, 1..=2), (2, 16..=17)] {
        assert!((0..83).filter(|i| classes[*i] == class).all(|i| range.contains(&times[i])), "class {class}");
    }
    assert_eq!(chosen, oversample(&classes, 3).expect("samples"));
    assert_ne!(chosen, oversample(&classes, 4).expect("samples"));
    assert!(chosen.windows(2).any(|pair| classes[pair[0]] > classes[pair[1]]), "classes stand one after the other");
}

#[test]
fn undersampling_takes_nobody_twice() {
    let classes = classes();
    let mut chosen = undersample(&classes, 3).expect("samples");
    assert_ne!(chosen, undersample(&classes, 4).expect("samples"));
    assert_eq!(class_counts(&chosen.iter().map(|i| classes[*i]).collect::<Vec<_>>()).expect("counts"), [3; 3]);
    chosen.sort_unstable();
    chosen.dedup();
    assert_eq!(chosen.len(), 9);
}

#[test]
fn classes_that_cannot_be_balanced_are_refused() {
    says(class_counts(&[]), &["classes", "at least one sample"]);
    says(class_counts(&[0, 4_000_000_000]), &["class numbers below 2", "4000000000"]);
    says(balanced_weights(&[3, 0]), &["none of class 1"]);
    says(balanced_weights(&[]), &["at least one class"]);
    says(effective_number_weights(&[3, 1], 1.0), &["beta", "[0, 1)", "1"]);
    says(effective_number_weights(&[3, 1], f64::NAN), &["beta", "NaN"]);
    says(sample_weights(&[0, 2], &[1.0, 2.0]), &["classes below 2", "2 in sample 1"]);
    says(oversample(&[0, 2, 2], 0), &["none of class 1"]);
    says(undersample(&[], 0), &["at least one sample"]);
}

//! Splits: every sample once, classes in their shares, patients on one side; the same seed gives the same split.

use std::collections::BTreeSet;

use galen::contract::{Threefry, stream_of};
use galen::data::{Dataset, Fold, Split, check_groups};
use ndarray::{Array1, Array2};

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: galen::Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}

/// Classes with the frequencies 70, 25 and 5 of 100, in random order.
fn classes(n: usize) -> Vec<u32> {
    let mut random = Threefry::new(1, stream_of("classes"));
    (0..n)
        .map(|i| match if i < 12 { i as u32 * 9 } else { random.below(100) } {
            0..70 => 0,
            70..95 => 1,
            _ => 2,
        })
        .collect()
}

/// Patients with 1 to `most` samples each, and a class that most of a patient's samples have.
fn patients(n: usize, most: u32) -> (Vec<u32>, Vec<String>) {
    let mut random = Threefry::new(2, stream_of("patients"));
    let (mut classes, mut names) = (Vec::new(), Vec::new());
    let mut patient = 0;
    while classes.len() < n {
        let usual = patient % 3;
        for _ in 0..1 + random.below(most) {
            classes.push(if random.below(4) == 0 { random.below(3) } else { usual });
            names.push(format!("patient {patient}"));
        }
        patient += 1;
    }
    classes.truncate(n);
    names.truncate(n);
    (classes, names)
}

fn sorted(list: &[usize]) -> bool {
    list.windows(2).all(|pair| pair[0] < pair[1])
}

/// Every sample is in exactly one part.
fn covers(n: usize, parts: &[Vec<usize>]) {
    let mut all = parts.concat();
    all.sort_unstable();
    assert_eq!(all, (0..n).collect::<Vec<_>>());
    assert!(parts.iter().all(|part| sorted(part)));
}

/// Every sample is tested on once, and trained on in all other folds.
fn covers_in_folds(n: usize, folds: &[Fold]) {
    covers(n, &folds.iter().map(|fold| fold.test.clone()).collect::<Vec<_>>());
    folds.iter().for_each(|fold| covers(n, &[fold.train.clone(), fold.test.clone()]));
}

fn count(part: &[usize], classes: &[u32], class: u32) -> usize {
    part.iter().filter(|i| classes[**i] == class).count()
}

const SHARES: [&[f64]; 4] = [&[0.7, 0.15, 0.15], &[0.8, 0.2], &[0.5, 0.5], &[0.1, 0.2, 0.3, 0.4]];

#[test]
fn random_parts_have_their_shares() {
    for n in [10, 57, 1000] {
        for shares in SHARES {
            let parts = Split::new(n).seed(3).parts(shares).expect("parts");
            covers(n, &parts);
            for (part, share) in parts.iter().zip(shares) {
                assert!((part.len() as f64 - share * n as f64).abs() < 1.0 + 1e-9, "{n} {shares:?}: {}", part.len());
            }
        }
    }
    let parts = Split::new(100).parts(&[0.7, 0.2, 0.1]).expect("parts");
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [70, 20, 10]);
    let fold = Split::new(57).holdout(0.25).expect("a fold");
    assert_eq!((fold.train.len(), fold.test.len()), (43, 14));
}

#[test]
fn random_folds_differ_by_one_sample_at_most() {
    for (n, k) in [(10, 2), (57, 5), (103, 10), (7, 7)] {
        let folds = Split::new(n).seed(3).folds(k).expect("folds");
        assert_eq!(folds.len(), k);
        covers_in_folds(n, &folds);
        assert!(folds.iter().all(|fold| (n / k..=n.div_ceil(k)).contains(&fold.test.len())));
    }
}

#[test]
fn stratified_parts_have_their_share_of_every_class_within_one_sample() {
    for n in [60, 257, 1000] {
        let classes = classes(n);
        let split = Split::new(n).seed(5).stratified(&classes).expect("a split");
        for shares in SHARES {
            let parts = split.parts(shares).expect("parts");
            covers(n, &parts);
            for (part, share) in parts.iter().zip(shares) {
                for class in 0..3 {
                    let (found, all) = (count(part, &classes, class), classes.iter().filter(|c| **c == class).count());
                    let near = (found as f64 - share * all as f64).abs() < 1.0 + 1e-9;
                    assert!(near && found > 0, "{n} {shares:?}, class {class}: {found} of {all}");
                }
                assert!((part.len() as f64 - share * n as f64).abs() <= 2.0, "{n} {shares:?}: {}", part.len());
            }
        }
        for k in [2, 3, 5] {
            let folds = split.folds(k).expect("folds");
            covers_in_folds(n, &folds);
            for class in 0..3 {
                let found: Vec<usize> = folds.iter().map(|fold| count(&fold.test, &classes, class)).collect();
                let (least, most) = (found.iter().min().expect("folds"), found.iter().max().expect("folds"));
                assert!(most - least <= 1, "{n} in {k}, class {class}: {found:?}");
            }
            let sizes: BTreeSet<usize> = folds.iter().map(|fold| fold.test.len()).collect();
            assert!(
                sizes.len() <= 2 && sizes.last().expect("a size") - sizes.first().expect("a size") <= 1,
                "{sizes:?}"
            );
        }
    }
}

#[test]
fn a_rare_class_comes_to_every_part() {
    let mut classes = vec![0; 200];
    classes[17] = 1;
    classes[80] = 1;
    classes[150] = 1;
    let split = Split::new(200).stratified(&classes).expect("a split");
    for part in split.parts(&[0.9, 0.05, 0.05]).expect("parts") {
        assert_eq!(count(&part, &classes, 1), 1);
    }
}

#[test]
fn groups_stay_on_one_side() {
    for (n, most) in [(100, 1), (300, 7), (1000, 40)] {
        let (_, names) = patients(n, most);
        let split = Split::new(n).seed(8).grouped(&names).expect("a split");
        for shares in SHARES {
            let parts = split.parts(shares).expect("parts");
            covers(n, &parts);
            check_groups(&names, &parts).expect("groups on one side");
            for (part, share) in parts.iter().zip(shares) {
                let off = (part.len() as f64 - share * n as f64).abs();
                assert!(off <= f64::from(most), "{n}, {most} each, {shares:?}: {}", part.len());
            }
        }
        for k in [2, 5, 10] {
            let folds = split.folds(k).expect("folds");
            covers_in_folds(n, &folds);
            for fold in &folds {
                check_groups(&names, &[&fold.train, &fold.test]).expect("groups on one side");
                let off = (fold.test.len() as f64 - n as f64 / k as f64).abs();
                assert!(off <= f64::from(most), "{n}, {most} each, {k} folds: {}", fold.test.len());
            }
        }
    }
}

#[test]
fn each_group_can_be_left_out_once() {
    let groups = ["a", "b", "b", "c", "a", "d"];
    let folds = Split::new(6).grouped(&groups).and_then(|split| split.folds(4)).expect("folds");
    let mut tests: Vec<Vec<usize>> = folds.into_iter().map(|fold| fold.test).collect();
    tests.sort();
    assert_eq!(tests, [vec![0, 4], vec![1, 2], vec![3], vec![5]]);
}

#[test]
fn a_few_large_groups_leave_no_part_empty() {
    let groups: Vec<u32> = (0..30).map(|i| i / 10).collect();
    for seed in 0..20 {
        let split = Split::new(30).seed(seed).grouped(&groups).expect("a split");
        let parts = split.parts(&[0.8, 0.1, 0.1]).expect("parts");
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10]);
    }
}

#[test]
fn large_groups_are_not_all_trained_on() {
    // Ten large and ninety small patients: over many seeds the test gets large ones in about its share.
    let groups: Vec<usize> = (0..190).map(|i| if i < 100 { i / 10 } else { i }).collect();
    let mut large = 0;
    for seed in 0..100 {
        let fold = Split::new(190).seed(seed).grouped(&groups).and_then(|split| split.holdout(0.2)).expect("a fold");
        assert!((fold.test.len() as f64 - 38.0).abs() <= 1.0, "{}", fold.test.len());
        large += fold.test.iter().filter(|i| **i < 100).count() / 10;
    }
    assert!((100..=300).contains(&large), "{large} large patients in 100 tests, of 1000");
}

#[test]
fn both_at_once_keeps_groups_together_and_classes_near_their_shares() {
    let (classes, names) = patients(1200, 8);
    let split = Split::new(1200).seed(4).stratified(&classes).and_then(|split| split.grouped(&names)).expect("a split");
    let near = |part: &[usize], share: f64| {
        for class in 0..3 {
            let all = classes.iter().filter(|c| **c == class).count() as f64;
            let found = count(part, &classes, class) as f64;
            assert!((found - share * all).abs() <= 8.0, "class {class}: {found} of {all}, share {share}");
        }
    };
    for shares in SHARES {
        let parts = split.parts(shares).expect("parts");
        covers(1200, &parts);
        check_groups(&names, &parts).expect("groups on one side");
        parts.iter().zip(shares).for_each(|(part, share)| near(part, *share));
    }
    let folds = split.folds(5).expect("folds");
    covers_in_folds(1200, &folds);
    for fold in &folds {
        check_groups(&names, &[&fold.train, &fold.test]).expect("groups on one side");
        near(&fold.test, 0.2);
    }
}

#[test]
fn the_same_seed_gives_the_same_split_and_another_another() {
    let (classes, names) = patients(300, 5);
    let plain = Split::new(300);
    let stratified = plain.clone().stratified(&classes).expect("a split");
    let grouped = plain.clone().grouped(&names).expect("a split");
    let both = stratified.clone().grouped(&names).expect("a split");
    for split in [plain, stratified, grouped, both] {
        let (parts, folds) =
            (|seed| split.clone().seed(seed).parts(&[0.6, 0.4]), |seed| split.clone().seed(seed).folds(4));
        assert_eq!(parts(9).expect("parts"), parts(9).expect("parts"));
        assert_ne!(parts(9).expect("parts"), parts(10).expect("parts"));
        assert_eq!(folds(9).expect("folds"), folds(9).expect("folds"));
        assert_ne!(folds(9).expect("folds"), folds(10).expect("folds"));
    }
    // Also in later versions of this library: this one was written down.
    let parts = Split::new(12).seed(7).parts(&[0.5, 0.25, 0.25]).expect("parts");
    assert_eq!(parts, [vec![1, 3, 5, 6, 7, 9], vec![0, 10, 11], vec![2, 4, 8]]);
}

#[test]
fn names_of_labels_do_not_matter_but_their_order() {
    let numbers = classes(200);
    let names: Vec<&str> = numbers.iter().map(|class| ["benign", "malignant", "unclear"][*class as usize]).collect();
    let split = |split: galen::Result<Split>| split.expect("a split").seed(2).folds(4).expect("folds");
    assert_eq!(split(Split::new(200).stratified(&numbers)), split(Split::new(200).stratified(&names)));
}

#[test]
fn a_dataset_is_divided() {
    let x = Array2::from_shape_fn((10, 1), |(i, _)| i as f32);
    let data = Dataset::new(x, Array1::from_iter((0..10u32).map(|i| i % 2))).expect("data");
    let fold = Split::new(10)
        .stratified(&data.classes().expect("classes"))
        .and_then(|split| split.holdout(0.2))
        .expect("a fold");
    let (train, test) = fold.of(&data).expect("two datasets");
    assert_eq!((train.len(), test.len()), (8, 2));
    let classes = test.classes().expect("classes");
    assert_ne!(classes[0], classes[1]);
    says(fold.of(&data.select(&[0, 1]).expect("two samples")), &["numbers below 2"]);
}

#[test]
fn what_parts_are_made_of_is_said() {
    let (classes, groups) = (["M", "B", "B", "B", "M", "B"], [1, 1, 2, 3, 4, 4]);
    let split = Split::new(6).stratified(&classes).and_then(|split| split.grouped(&groups)).expect("a split");
    let made = split.composition(&[vec![0, 1, 2], vec![3, 4, 5]]).expect("a composition");
    assert_eq!((&made.samples, &made.groups), (&vec![3, 3], &Some(vec![2, 2])));
    assert_eq!(made.of_class, [[2, 1], [2, 1]]);
    let lines: Vec<String> = made.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "part  samples   groups      \"B\"      \"M\"");
    assert_eq!(lines[2], "   1        3        2        2        1");
    says(split.composition(&[vec![6]]), &["samples below 6", "got 6"]);
}

#[test]
fn a_patient_on_both_sides_is_found() {
    galen::data::show_values(true);
    let groups = ["ann", "bob", "ann"];
    says(
        check_groups(&groups, &[vec![0], vec![1, 2]]),
        &["in one part only", "that of sample 2 in parts 0 and 1 (group: \"ann\")"],
    );
    says(check_groups(&groups, &[vec![0], vec![3]]), &["samples below 3", "got 3"]);
    assert!(check_groups(&groups, &[vec![0, 2], vec![1]]).is_ok());
}

#[test]
fn splits_that_cannot_be_are_refused() {
    let split = Split::new(10);
    says(split.parts(&[0.5, 0.4]), &["sum of the shares", "0.9"]);
    says(split.parts(&[1.0]), &["at least two"]);
    says(split.parts(&[0.5, 0.5, 0.0]), &["share", "(0, 1)", "got 0"]);
    says(split.parts(&[1.5, -0.5]), &["share", "1.5"]);
    says(split.parts(&[0.5, f64::NAN]), &["NaN"]);
    says(split.parts(&[0.97, 0.01, 0.02]), &["at least one sample in each of 3 parts", "number 1", "0.01"]);
    says(split.holdout(1.0), &["share of the test", "(0, 1)"]);
    says(split.folds(1), &["folds", "at least 2"]);
    says(split.folds(11), &["at least 11 samples for 11 folds", "got 10"]);
    says(split.folds(usize::MAX), &["samples", "got 10"]);
    says(Split::new(0).parts(&[0.5, 0.5]), &["at least 2 samples", "got 0"]);
    says(Split::new(1 << 20).folds(1 << 20), &["folds", "1073741824"]);
    says(split.clone().stratified(&[0, 1]), &["classes of a split", "10 of them", "got 2"]);
    says(split.clone().grouped(&["a"; 11]), &["groups of a split", "10 of them", "got 11"]);
}

#[test]
fn classes_and_groups_that_do_not_suffice_are_named() {
    galen::data::show_values(true);
    let mut classes = vec!["benign"; 20];
    classes[3] = "malignant";
    classes[4] = "malignant";
    let split = Split::new(20).stratified(&classes).expect("a split");
    says(split.folds(3), &["at least 3 samples of each class for 3 folds", "got 2 of one class (\"malignant\")"]);
    says(
        split.parts(&[0.6, 0.2, 0.2]),
        &["at least 3 samples of each class for 3 parts", "got 2 of one class (\"malignant\")"],
    );
    assert!(split.folds(2).is_ok());
    let groups: Vec<usize> = (0..20).map(|i| i / 5).collect();
    let grouped = Split::new(20).grouped(&groups).expect("a split");
    says(grouped.folds(5), &["at least 5 groups for 5 folds", "got 4"]);
    // Both malignant samples are one patient's.
    let both = split.grouped(&groups).expect("a split");
    says(
        both.folds(2),
        &["at least 2 groups (patients) of each class for 2 folds", "got 1 of one class (\"malignant\")"],
    );
    says(both.parts(&[0.5, 0.5]), &["of each class for 2 parts"]);
}

#[test]
fn classes_that_no_deal_can_spread_are_named() {
    galen::data::show_values(true);
    // Two patients; each class is in both, but three parts would need three.
    let classes = [0, 1, 0, 1, 0, 0];
    let groups = ["a", "a", "b", "b", "c", "d"];
    let split = Split::new(6).stratified(&classes).and_then(|split| split.grouped(&groups)).expect("a split");
    assert!(split.folds(2).is_ok());
    says(split.folds(3), &["of each class for 3 folds", "got 2 of one class (\"1\")"]);
    // Every class has two patients, but a and b have all of three classes between them: one of them lacks a class.
    let (classes, groups) = ([0, 1, 0, 2, 1, 2], ["a", "a", "b", "b", "c", "c"]);
    let split = Split::new(6).stratified(&classes).and_then(|split| split.grouped(&groups)).expect("a split");
    says(split.folds(2), &["every class in each of 2 parts", "no sample of one class"]);
}

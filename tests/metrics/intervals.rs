//! Intervals: those of SciPy for the same resamples, DeLong's against his formula, Wilson's against SciPy.

use galen::Error;
use galen::contract::Threefry;
use galen::metrics::*;
use serde::Deserialize;

use super::{CLOSE, all_near, near, says, stored};

#[derive(Deserialize)]
struct Ends {
    percentile: [f64; 2],
    #[serde(rename = "BCa")]
    bca: [f64; 2],
}

#[derive(Deserialize)]
struct Case {
    name: String,
    units: String,
    truth: Vec<bool>,
    scores: Vec<f64>,
    groups: Vec<u32>,
    seed: u64,
    level: f64,
    resamples: usize,
    expected: Ends,
}

impl Case {
    fn bootstrap(&self) -> Bootstrap {
        let of = match self.units.as_str() {
            "sample" => Bootstrap::by_sample(self.truth.len()),
            "group" => Bootstrap::by_group(&self.groups),
            _ => Bootstrap::by_class(&self.truth),
        };
        of.expect("samples").resamples(self.resamples).level(self.level).seed(self.seed)
    }
}

fn area_of<'a>(truth: &'a [bool], scores: &'a [f64]) -> impl Fn(&[usize]) -> Result<f64, Error> + Sync + 'a {
    |rows| {
        let (truth, scores): (Vec<bool>, Vec<f64>) = rows.iter().map(|r| (truth[*r], scores[*r])).unzip();
        roc_auc(&truth, &scores)
    }
}

#[test]
fn bootstrap_intervals_are_those_of_scipy_for_the_same_resamples() {
    for case in stored::<Case>("bootstraps.json") {
        let name = case.name.as_str();
        for (bootstrap, expected) in
            [(case.bootstrap(), case.expected.percentile), (case.bootstrap().bca(), case.expected.bca)]
        {
            let slow = bootstrap.interval(area_of(&case.truth, &case.scores)).expect("an interval");
            near(name, slow.low, expected[0], CLOSE);
            near(name, slow.high, expected[1], CLOSE);
            assert_eq!(slow.level, case.level);
            assert_eq!(slow.value, roc_auc(&case.truth, &case.scores).expect("an area"));
            assert_eq!(bootstrap.roc_auc(&case.truth, &case.scores).expect("an interval"), slow, "{name}");
        }
    }
}

#[derive(Deserialize)]
struct LowHigh {
    low: Vec<f64>,
    high: Vec<f64>,
}

#[derive(Deserialize)]
struct Bands {
    truth: Vec<bool>,
    scores: Vec<f64>,
    seed: u64,
    resamples: usize,
    level: f64,
    roc: LowHigh,
    pr: LowHigh,
}

#[test]
fn bands_are_percentiles_of_scikit_learns_curves_of_the_same_resamples() {
    for case in stored::<Bands>("bands.json") {
        let bootstrap = Bootstrap::by_sample(case.truth.len()).expect("samples");
        let bootstrap = bootstrap.seed(case.seed).resamples(case.resamples).level(case.level);
        let roc = RocCurve::band(&case.truth, &case.scores, &bootstrap).expect("a band");
        let pr = PrecisionRecallCurve::band(&case.truth, &case.scores, &bootstrap).expect("a band");
        for (band, expected) in [(roc, case.roc), (pr, case.pr)] {
            let tenth = |v: &[f64]| v.iter().step_by(10).copied().collect::<Vec<_>>();
            all_near("x", &tenth(&band.x), &(0..=10).map(|i| f64::from(i) / 10.0).collect::<Vec<_>>());
            all_near("low", &tenth(&band.low), &expected.low);
            all_near("high", &tenth(&band.high), &expected.high);
        }
    }
}

#[derive(Deserialize)]
struct DelongCase {
    name: String,
    truth: Vec<bool>,
    first: Vec<f64>,
    second: Vec<f64>,
    areas: [f64; 2],
    variances: [f64; 2],
    interval: [f64; 2],
    variance: f64,
    z: f64,
    p: f64,
}

#[test]
fn delongs_numbers_are_those_of_his_formula() {
    for case in stored::<DelongCase>("delong.json") {
        let name = case.name.as_str();
        let first = Delong::new(&case.truth, &case.first).expect("an area");
        let second = Delong::new(&case.truth, &case.second).expect("an area");
        all_near(name, &[first.area(), second.area()], &case.areas);
        all_near(name, &[first.variance(), second.variance()], &case.variances);
        let interval = first.interval(0.95).expect("an interval");
        all_near(
            name,
            &[interval.value, interval.low, interval.high],
            &[case.areas[0], case.interval[0], case.interval[1]],
        );
        let test = Delong::test(&case.truth, &case.first, &case.second).expect("a test");
        near(name, test.difference, case.areas[0] - case.areas[1], CLOSE);
        near(name, test.variance, case.variance, CLOSE);
        near(name, test.z, case.z, CLOSE);
        // A tail as thin as exp(−z² / 2) magnifies the rounding of z by z².
        near(name, test.p, case.p, 1e-10);
    }
}

#[derive(Deserialize)]
struct Share {
    part: usize,
    whole: usize,
    level: f64,
    low: f64,
    high: f64,
}

#[test]
fn wilsons_interval_is_that_of_scipy() {
    for case in stored::<Share>("wilson.json") {
        let interval = wilson(case.part, case.whole, case.level).expect("an interval");
        let of = format!("{} of {}", case.part, case.whole);
        near(&of, interval.value, case.part as f64 / case.whole as f64, CLOSE);
        near(&of, interval.low, case.low, CLOSE);
        near(&of, interval.high, case.high, CLOSE);
    }
}

/// Patients with several samples each, all of a patient's alike.
fn patients(n: usize, each: usize) -> (Vec<String>, Vec<bool>, Vec<f64>) {
    let mut random = Threefry::new(8, 1);
    let (mut names, mut truth, mut scores) = (vec![], vec![], vec![]);
    for patient in 0..n {
        let score = f64::from(patient % 3 == 0) + 1.2 * f64::from(random.normal());
        for _ in 0..each {
            names.push(format!("patient {patient}"));
            truth.push(patient % 3 == 0);
            scores.push(score + 0.01 * f64::from(random.normal()));
        }
    }
    (names, truth, scores)
}

#[test]
fn an_interval_by_patient_is_wider_than_one_by_sample() {
    let (names, truth, scores) = patients(40, 9);
    let by_patient = Bootstrap::by_group(&names).expect("patients").roc_auc(&truth, &scores).expect("an interval");
    let by_sample = Bootstrap::by_sample(360).expect("samples").roc_auc(&truth, &scores).expect("an interval");
    let width = |i: Interval| i.high - i.low;
    // Nine copies of everything make an interval by sample about three times too narrow.
    let ratio = width(by_patient) / width(by_sample);
    assert!((2.0..4.0).contains(&ratio), "{by_patient} against {by_sample}");
    let one_each: Vec<usize> = (0..360).step_by(9).collect();
    let pick = |of: &[f64]| one_each.iter().map(|i| of[*i]).collect::<Vec<_>>();
    let truths: Vec<bool> = one_each.iter().map(|i| truth[*i]).collect();
    let delong = Delong::new(&truths, &pick(&scores)).expect("an area").interval(0.95).expect("an interval");
    assert!((width(by_patient) / width(delong) - 1.0).abs() < 0.2, "{by_patient} against {delong}");
}

#[test]
fn the_same_seed_gives_the_same_interval_on_any_number_of_threads() {
    let (names, truth, scores) = patients(20, 3);
    let interval = |seed: u64, threads: usize| {
        let pool = rayon_pool(threads);
        let bootstrap = Bootstrap::by_group(&names).expect("patients").resamples(400).seed(seed).bca();
        pool.install(|| bootstrap.roc_auc(&truth, &scores).expect("an interval"))
    };
    assert_eq!(interval(1, 1), interval(1, 3));
    assert_ne!(interval(1, 1), interval(2, 1));
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
}

#[test]
fn groups_of_one_are_samples_and_a_band_holds_its_curve() {
    let (_, truth, scores) = patients(60, 1);
    let by_sample = Bootstrap::by_sample(60).expect("samples").resamples(300);
    let by_group = Bootstrap::by_group(&(0..60).collect::<Vec<_>>()).expect("groups").resamples(300);
    let (a, b) = (by_sample.roc_auc(&truth, &scores), by_group.roc_auc(&truth, &scores));
    assert_eq!(a.expect("an interval"), b.expect("an interval"));
    let band = RocCurve::band(&truth, &scores, &by_sample).expect("a band");
    assert_eq!(band, RocCurve::band(&truth, &scores, &by_group).expect("a band"));
    assert!(band.low.iter().zip(&band.high).all(|(low, high)| (0.0..=*high).contains(low) && *high <= 1.0));
    assert!(band.low.is_sorted() && band.high.is_sorted(), "a ROC curve does not fall");
    assert_eq!((band.low[100], band.high[100], band.x.len()), (1.0, 1.0, 101));
}

#[test]
fn every_class_keeps_its_number_when_drawn_within_classes() {
    // Two positive samples: by sample, one resample in eight has none; within classes all have two.
    let (mut truth, scores) = (vec![false; 40], (0..40).map(f64::from).collect::<Vec<_>>());
    (truth[38], truth[25]) = (true, true);
    says(
        Bootstrap::by_sample(40).expect("samples").roc_auc(&truth, &scores),
        &["bootstrap", "nine of ten", "2000", "undefined"],
    );
    let interval = Bootstrap::by_class(&truth).expect("classes").roc_auc(&truth, &scores).expect("an interval");
    assert!(interval.low < interval.value && interval.value < interval.high && interval.high <= 1.0, "{interval}");
}

#[test]
fn what_makes_no_interval_is_refused() {
    let (truth, scores) = ([false, false, true, true, true, false], [0.1, 0.2, 0.8, 0.9, 0.7, 0.3]);
    let draw = || Bootstrap::by_class(&truth).expect("classes");
    says(draw().bca().roc_auc(&truth, &scores), &["BCa interval", "percentile"]);
    says(draw().resamples(0).roc_auc(&truth, &scores), &["resamples", "0"]);
    says(draw().resamples(usize::MAX).roc_auc(&truth, &scores), &["resamples", "10000000"]);
    says(draw().level(1.0).roc_auc(&truth, &scores), &["level", "(0, 1)", "1"]);
    says(draw().roc_auc(&truth[..5], &scores[..5]), &["samples to draw from", "5", "6"]);
    says(RocCurve::band(&truth[..5], &scores[..5], &draw()), &["samples to draw from", "5", "6"]);
    says(draw().interval(|_| Ok(f64::NAN)), &["metric", "finite", "NaN"]);
    says(Bootstrap::by_sample(0), &["at least one sample"]);
    says(Bootstrap::by_group::<u32>(&[]), &["at least one sample"]);
    says(wilson(1, 0, 0.95), &["1 of 0"]);
    says(wilson(3, 2, 0.95), &["3 of 2"]);
    says(wilson(1, 2, f64::NAN), &["level", "NaN"]);
    says(
        Delong::new(&[true, false, false], &[0.1, 0.2, 0.3]),
        &["two samples of each class", "1 positive and 2 negative"],
    );
    says(Delong::test(&truth, &scores, &scores.map(|s| s * 2.0)), &["DeLong's test", "no variance"]);
    let perfect = Delong::new(&truth, &scores).expect("an area").interval(0.95).expect("an interval");
    assert_eq!((perfect.low, perfect.high), (1.0, 1.0));
}

#[test]
fn the_percentile_interval_covers_as_often_as_it_says() {
    let (mut covered, runs) = (0, 200);
    for run in 0..runs {
        let mut random = Threefry::new(run, 1);
        let sample: Vec<f64> = (0..60).map(|_| f64::from(random.normal())).collect();
        let mean = |rows: &[usize]| Ok(rows.iter().map(|r| sample[*r]).sum::<f64>() / rows.len() as f64);
        let bootstrap = Bootstrap::by_sample(60).expect("samples").resamples(300).level(0.9).seed(run);
        let interval = bootstrap.interval(mean).expect("an interval");
        covered += u32::from(interval.low < 0.0 && 0.0 < interval.high);
    }
    // 180 expected, with a standard deviation of 4.2; slightly fewer, as percentiles of 60 samples are a little narrow.
    assert!((164..=192).contains(&covered), "{covered} of {runs}");
}

//! Masks against MedPy, and what must hold of them.

use galen::contract::Threefry;
use galen::metrics::*;
use ndarray::{Array2, Array3, ArrayD, IxDyn};
use serde::Deserialize;

use super::{CLOSE, near, stored};

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: Vec<usize>,
    truth: String,
    predicted: String,
    spacing: Vec<f64>,
    dice: f64,
    iou: f64,
    hausdorff: f64,
    hausdorff_95: f64,
    average: f64,
    from_truth: f64,
    from_predicted: f64,
}

#[test]
fn overlaps_and_distances_are_those_of_medpy() {
    for case in stored::<Case>("masks.json") {
        let mask = |bits: &str| -> ArrayD<bool> {
            ArrayD::from_shape_vec(IxDyn(&case.shape), bits.bytes().map(|b| b == b'1').collect()).expect("a mask")
        };
        let (name, truth, predicted) = (case.name.as_str(), mask(&case.truth), mask(&case.predicted));
        near(name, dice(truth.view(), predicted.view()).expect("a number"), case.dice, CLOSE);
        near(name, iou(truth.view(), predicted.view()).expect("a number"), case.iou, CLOSE);
        let distances = SurfaceDistances::new(truth.view(), predicted.view(), &case.spacing).expect("distances");
        near(name, distances.hausdorff(), case.hausdorff, CLOSE);
        near(name, distances.hausdorff_95(), case.hausdorff_95, CLOSE);
        near(name, distances.average_symmetric(), case.average, CLOSE);
        let mean = |d: &[f64]| d.iter().sum::<f64>() / d.len() as f64;
        near(name, mean(distances.from_truth()), case.from_truth, CLOSE);
        near(name, mean(distances.from_predicted()), case.from_predicted, CLOSE);
    }
}

fn scattered(random: &mut Threefry, one_in: u32) -> Array2<bool> {
    Array2::from_shape_simple_fn((9, 14), || random.below(one_in) == 0)
}

#[test]
fn dice_and_intersection_over_union_say_the_same() {
    let mut random = Threefry::new(4, 1);
    for one_in in [2, 3, 5, 9] {
        let (a, b) = (scattered(&mut random, one_in), scattered(&mut random, one_in));
        let (d, j) = (dice(a.view(), b.view()).expect("a number"), iou(a.view(), b.view()).expect("a number"));
        near("dice", d, 2.0 * j / (1.0 + j), CLOSE);
        assert_eq!(dice(b.view(), a.view()).expect("a number"), d);
    }
}

#[test]
fn two_empty_masks_agree_and_one_does_not() {
    let (empty, full) = (Array2::from_elem((3, 4), false), Array2::from_elem((3, 4), true));
    let both = |a: &Array2<bool>, b: &Array2<bool>| {
        (dice(a.view(), b.view()).expect("a number"), iou(a.view(), b.view()).expect("a number"))
    };
    assert_eq!(both(&empty, &empty), (1.0, 1.0));
    assert_eq!(both(&empty, &full), (0.0, 0.0));
    assert_eq!(both(&full, &empty), (0.0, 0.0));
    assert_eq!(both(&full, &full), (1.0, 1.0));
}

#[test]
fn every_class_of_a_map_is_the_mask_of_that_class() {
    let mut random = Threefry::new(5, 1);
    let mut map = || Array3::from_shape_simple_fn((3, 5, 4), || random.below(3));
    let (truth, predicted) = (map(), map());
    let classes = Overlap::per_class(truth.view(), predicted.view(), 5).expect("overlaps");
    assert_eq!(classes.len(), 5);
    for (class, overlap) in (0..).zip(&classes) {
        let [t, p] = [&truth, &predicted].map(|m| m.mapv(|v| v == class));
        assert_eq!(*overlap, Overlap::new(t.view(), p.view()).expect("an overlap"));
        if class < 3 {
            let of_class = SurfaceDistances::of_class(truth.view(), predicted.view(), class, &[2.0, 1.0, 1.0]);
            let of_mask = SurfaceDistances::new(t.view(), p.view(), &[2.0, 1.0, 1.0]);
            assert_eq!(of_class.expect("distances"), of_mask.expect("distances"));
        }
    }
    assert_eq!(classes[4].dice(), 1.0);
}

#[test]
fn distances_do_not_depend_on_what_lies_around_the_masks() {
    let mut random = Threefry::new(6, 1);
    let spacing = [0.6, 1.7];
    for one_in in [2, 4, 20] {
        let (mut a, mut b) = (scattered(&mut random, one_in), scattered(&mut random, one_in));
        (a[[4, 5]], b[[2, 9]]) = (true, true);
        let tight = SurfaceDistances::new(a.view(), b.view(), &spacing).expect("distances");
        let swapped = SurfaceDistances::new(b.view(), a.view(), &spacing).expect("distances");
        assert_eq!((tight.from_truth(), tight.from_predicted()), (swapped.from_predicted(), swapped.from_truth()));
        let wide = |m: &Array2<bool>| {
            Array2::from_shape_fn((30, 40), |(i, j)| {
                i.checked_sub(7).zip(j.checked_sub(11)).and_then(|at| m.get(at)).is_some_and(|v| *v)
            })
        };
        assert_eq!(SurfaceDistances::new(wide(&a).view(), wide(&b).view(), &spacing).expect("distances"), tight);
        let turned = SurfaceDistances::new(a.t(), b.t(), &[1.7, 0.6]).expect("distances");
        near("turned", turned.average_symmetric(), tight.average_symmetric(), CLOSE);

        // The definition, written out: every point of one border against every point of the other.
        let border = |m: &Array2<bool>| -> Vec<(usize, usize)> {
            let inside = |i: usize, j: usize| m.get((i, j)).is_some_and(|v| *v);
            let open = |i: usize, j: usize| {
                !(inside(i.wrapping_sub(1), j) && inside(i + 1, j) && inside(i, j.wrapping_sub(1)) && inside(i, j + 1))
            };
            m.indexed_iter().filter(|((i, j), v)| **v && open(*i, *j)).map(|(at, _)| at).collect()
        };
        let (from, to) = (border(&a), border(&b));
        let least = |p: &(usize, usize)| {
            let to = to.iter().map(|q| {
                let (y, x) = (p.0.abs_diff(q.0) as f64 * spacing[0], p.1.abs_diff(q.1) as f64 * spacing[1]);
                (y * y + x * x).sqrt()
            });
            to.fold(f64::INFINITY, f64::min)
        };
        super::all_near("pairs", tight.from_truth(), &from.iter().map(least).collect::<Vec<_>>());
    }
}

#[test]
fn a_volume_of_millions_of_voxels_takes_seconds() {
    let ball = |c: usize| {
        Array3::from_shape_fn((96, 160, 160), move |(z, y, x)| {
            [(z, 48), (y, c), (x, 80)].iter().map(|(a, b)| a.abs_diff(*b).pow(2)).sum::<usize>() <= 45 * 45
        })
    };
    let distances = SurfaceDistances::new(ball(80).view(), ball(85).view(), &[2.0, 1.0, 1.0]).expect("distances");
    assert_eq!(distances.hausdorff(), 5.0);
}

//! Augmentation: exact where it should be, the same for a sample wherever it stands, as SciPy does it, and never in an evaluation.

mod common;
#[path = "augment/refusals.rs"]
mod refusals;
#[path = "augment/signals.rs"]
mod signals;
#[path = "augment/training.rs"]
mod training;

use common::rows::{clock_at, words};
use galen::augment::{Augment, AugmentCtx, Augmentation, Fill, SignalAugment};
use galen::ops::warp::{DRAWS, Sampling, WarpMap};
use galen::{Device, Graph, Result, Session, Tensor, Var};
use ndarray::{Array1, Array3, Array4, ArrayD, Axis, s};

fn cpu() -> Device {
    Device::cpu_with_threads(2).expect("threads")
}

/// The CPU, and the GPU where there is one.
fn devices() -> Vec<Device> {
    [Some(cpu()), common::own_gpu()].into_iter().flatten().collect()
}

/// Runs what `build` makes of the tensors, for the samples of these numbers in this epoch.
fn run(
    device: &Device,
    epoch: u32,
    samples: &[u32],
    tensors: &[Tensor],
    build: impl Fn(&AugmentCtx, &[Var]) -> Result<Vec<Var>>,
) -> Result<Vec<Tensor>> {
    let graph = Graph::new();
    let names: Vec<String> = (0..tensors.len()).map(|i| format!("x{i}")).collect();
    let vars: Vec<Var> = names
        .iter()
        .zip(tensors)
        .map(|(name, t)| graph.input(name, t.spec().shape, t.spec().dtype))
        .collect::<Result<_>>()?;
    let ctx =
        AugmentCtx::new(&clock_at(&graph, 3)?, &words(&graph, "epoch", &[epoch])?, &words(&graph, "samples", samples)?);
    let outputs = build(&ctx, &vars)?;
    let mut session = Session::new(device, 0, None);
    let executable = session.compile(&graph, &outputs)?;
    let given: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(tensors).collect();
    session.run(&executable, &given)
}

/// Inputs and targets, the first `inputs` of the tensors being inputs, after an augmentation.
fn augmented(
    device: &Device,
    augment: &dyn Augmentation,
    epoch: u32,
    samples: &[u32],
    tensors: &[Tensor],
    inputs: usize,
) -> Result<Vec<Tensor>> {
    run(device, epoch, samples, tensors, |ctx, vars| {
        let (x, y) = augment.build(ctx, &vars[..inputs], &vars[inputs..])?;
        // What is not changed would be an input that is fetched.
        x.iter().chain(&y).map(|v| if v.dtype() == galen::DType::F32 { v.shift(0.0) } else { Ok(v.clone()) }).collect()
    })
}

fn first(device: &Device, augment: &dyn Augmentation, epoch: u32, samples: &[u32], x: &Tensor) -> ArrayD<f32> {
    floats(augmented(device, augment, epoch, samples, std::slice::from_ref(x), 1).expect("a batch").remove(0))
}

fn floats(t: Tensor) -> ArrayD<f32> {
    t.into_f32().expect("floats")
}

fn names(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

fn noise(shape: [usize; 4]) -> Array4<f32> {
    let mut random = galen::contract::Threefry::new(5, 6);
    Array4::from_shape_simple_fn(shape, || random.uniform())
}

/// The same image `n` times.
fn copies(n: usize, image: &Array3<f32>) -> Array4<f32> {
    let mut all = Array4::zeros((n, image.shape()[0], image.shape()[1], image.shape()[2]));
    all.axis_iter_mut(Axis(0)).for_each(|mut x| x.assign(image));
    all
}

#[test]
fn what_is_not_on_changes_no_bit() {
    let x = Tensor::from(noise([5, 2, 6, 7]));
    let map = WarpMap::identity([7, 6]);
    for device in devices() {
        assert_eq!(Tensor::from(first(&device, &Augment::new(), 0, &names(5), &x)), x);
        let warped = run(&device, 0, &names(5), std::slice::from_ref(&x), |ctx, x| {
            let map = ctx.uniform("warp", [DRAWS])?.warp_map(&map)?;
            Ok(vec![x[0].warp(&map, None, Sampling::Linear, Fill::Constant(9.0))?])
        });
        assert_eq!(warped.expect("a batch")[0], x, "{device}");
        let signal = Tensor::from(noise([1, 5, 3, 67]).remove_axis(Axis(0)));
        assert_eq!(Tensor::from(first(&device, &SignalAugment::new(), 0, &names(5), &signal)), signal, "{device}");
    }
}

#[test]
fn flips_and_quarter_turns_are_exact() {
    let image = noise([1, 2, 9, 9]).remove_axis(Axis(0));
    let (n, x) = (200, Tensor::from(copies(200, &image)));
    let turned = |x: &Array3<f32>| x.clone().permuted_axes([0, 2, 1]).slice(s![.., ..;-1, ..]).to_owned();
    let half = turned(&turned(&image));
    let mirrored = |x: &Array3<f32>| x.slice(s![.., .., ..;-1]).to_owned();
    let cases = [
        (Augment::new().flip_horizontal(), vec![image.clone(), mirrored(&image)]),
        (Augment::new().flip_vertical(), vec![image.clone(), mirrored(&half)]),
        (Augment::new().quarter_turns(), vec![image.clone(), turned(&image), half.clone(), turned(&half)]),
    ];
    for device in devices() {
        for (augment, expected) in &cases {
            let y = first(&device, augment, 4, &names(n), &x);
            let mut counts = vec![0usize; expected.len()];
            for y in y.outer_iter() {
                let found = expected.iter().position(|e| e.view().into_dyn() == y);
                counts[found.unwrap_or_else(|| panic!("{device}, {augment:?}: none of the expected"))] += 1;
            }
            let mean = n / expected.len();
            assert!(counts.iter().all(|c| c.abs_diff(mean) < 30), "{device}, {augment:?}: {counts:?}");
        }
    }
}

/// A mask as an image: where the image is nearly white the mask must be set, where it is nearly black it must not.
#[test]
fn image_mask_and_boxes_stay_together() {
    let mask = Array3::from_shape_fn((40, 20, 24), |(i, r, c)| {
        u32::from((4 + i % 5..11 + i % 7).contains(&r) && (6..15 + i % 4).contains(&c))
    });
    let image = mask.mapv(|m| m as f32).insert_axis(Axis(1));
    let boxes = Array3::from_shape_fn((40, 2, 4), |(i, b, k)| {
        if b == 0 { [6.0, 4.0 + (i % 5) as f32, 15.0 + (i % 4) as f32, 11.0 + (i % 7) as f32][k] } else { 0.0 }
    });
    let geometry = Augment::new().flip_horizontal().flip_vertical().rotate(180.0).shift(0.1).zoom(0.8, 1.3).shear(10.0);
    let tensors = [Tensor::from(image), mask.into(), boxes.into()];
    for device in devices() {
        for augment in [geometry.clone().with_boxes(1), geometry.clone().elastic(3, 2.0)] {
            let augment = augment.with_mask(0);
            let y = augmented(&device, &augment, 1, &names(40), &tensors, 1).expect("a batch");
            let (Tensor::U32(mask), Tensor::F32(boxes)) = (&y[1], &y[2]) else { panic!("other types") };
            let image = floats(y[0].clone());
            let (mut white, mut outside) = (0, 0);
            for (at, value) in image.indexed_iter() {
                let (sample, row, column) = (at[0], at[2], at[3]);
                let set = mask[[sample, row, column]];
                assert!(
                    !(*value > 0.751 && set == 0 || *value < 0.249 && set == 1),
                    "{device}: {at:?}, {value}, {set}"
                );
                white += usize::from(*value > 0.751);
                let b = |k: usize| boxes[[sample, 0, k]];
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let inside = x >= b(0) - 0.5 && x <= b(2) + 0.5 && y >= b(1) - 0.5 && y <= b(3) + 0.5;
                outside += usize::from(*value > 0.751 && !inside);
            }
            assert!(white > 1000, "{device}: only {white} white pixels");
            assert!(boxes.index_axis(Axis(1), 1).iter().all(|v| *v == 0.0), "{device}: padding moved");
            let elastic = format!("{augment:?}").contains("Some((3");
            assert!(elastic || outside == 0, "{device}: {outside} white pixels outside of their box");
        }
    }
}

#[test]
fn boxes_turn_exactly_with_their_image() {
    let mut image = Array4::<f32>::zeros((32, 1, 10, 10));
    image.slice_mut(s![.., .., 2..5, 1..8]).fill(1.0);
    let boxes = Array3::from_shape_fn((32, 1, 4), |(_, _, k)| [1.0, 2.0, 8.0, 5.0][k]);
    let augment = Augment::new().flip_horizontal().flip_vertical().quarter_turns().with_boxes(0);
    for device in devices() {
        let y = augmented(&device, &augment, 2, &names(32), &[image.clone().into(), boxes.clone().into()], 1);
        let y = y.expect("a batch");
        let (image, boxes) = (floats(y[0].clone()), floats(y[1].clone()));
        for (image, found) in image.outer_iter().zip(boxes.outer_iter()) {
            let lit = |axis: usize| {
                let on: Vec<usize> = image.indexed_iter().filter(|(_, v)| **v == 1.0).map(|(at, _)| at[axis]).collect();
                (*on.iter().min().expect("a pixel") as f32, *on.iter().max().expect("a pixel") as f32 + 1.0)
            };
            let ((top, bottom), (left, right)) = (lit(1), lit(2));
            assert_eq!(found.iter().copied().collect::<Vec<_>>(), [left, top, right, bottom], "{device}");
        }
    }
}

/// Every slice of a volume goes where the others go, and so do its mask and an image that is a target.
#[test]
fn volumes_are_changed_slice_by_slice_alike() {
    let image = noise([9, 2, 8, 10]);
    let volume = Tensor::from(image.clone().into_shape_with_order((9, 1, 2, 8, 10)).expect("as many"));
    let mask = Tensor::from(image.mapv(|v| u32::from(v > 0.5)));
    let geometry = Augment::new().flip_horizontal().rotate(40.0).zoom(0.7, 1.3).elastic(2, 1.0);
    let augment = geometry.clone().with_mask(0).with_image(1).mask_fill(u32::MAX);
    for device in devices() {
        let tensors = [volume.clone(), mask.clone(), image.clone().into()];
        let y = augmented(&device, &augment, 0, &names(9), &tensors, 1).expect("a batch");
        let flat = first(&device, &geometry, 0, &names(9), &image.clone().into());
        assert_eq!(floats(y[0].clone()).into_shape_with_order(flat.raw_dim()).expect("as many"), flat, "{device}");
        assert_eq!(floats(y[2].clone()), flat, "{device}: the target");
        let Tensor::U32(mask) = &y[1] else { panic!("other classes") };
        let outside = mask.iter().filter(|m| **m == u32::MAX).count();
        assert!(
            outside > 0 && mask.iter().all(|m| *m < 2 || *m == u32::MAX),
            "{device}: {outside} pixels from outside"
        );
        let colours = Augment::new().brightness(0.2).contrast(0.5, 2.0).blur(0.5, 1.0).cutout(3, 1.0);
        let y = first(&device, &colours, 0, &names(9), &volume);
        let holes = y.outer_iter().map(|v| v.iter().filter(|v| **v == 0.0).count() % 2).sum::<usize>();
        assert_eq!(holes, 0, "{device}: both slices have the same hole");
    }
}

fn everything() -> Augment {
    Augment::new()
        .flip_horizontal()
        .rotate(30.0)
        .shift(0.1)
        .zoom(0.9, 1.1)
        .shear(5.0)
        .elastic(3, 1.0)
        .blur(0.0, 1.0)
        .brightness(0.1)
        .contrast(0.8, 1.2)
        .gamma(0.8, 1.25)
        .noise(0.02)
        .cutout(4, 0.5)
        .fill(Fill::Reflect)
}

#[test]
fn a_sample_is_changed_alike_wherever_it_stands_and_anew_in_every_epoch() {
    let x = noise([6, 1, 11, 9]);
    let part = |ids: &[u32]| {
        let rows: Vec<usize> = ids.iter().map(|i| *i as usize).collect();
        Tensor::from(x.select(Axis(0), &rows))
    };
    for device in devices() {
        let all = first(&device, &everything(), 7, &names(6), &part(&names(6)));
        let some = first(&device, &everything(), 7, &[4, 0, 3], &part(&[4, 0, 3]));
        assert_eq!(some, all.select(Axis(0), &[4, 0, 3]), "{device}");
        assert_eq!(all, first(&device, &everything(), 7, &names(6), &part(&names(6))), "{device}: twice");
        let next = first(&device, &everything(), 8, &names(6), &part(&names(6)));
        let other = first(&device, &everything(), 7, &[6, 7, 8, 9, 10, 11], &part(&names(6)));
        for (i, row) in all.outer_iter().enumerate() {
            assert_ne!(row, next.index_axis(Axis(0), i), "{device}: sample {i} in the next epoch");
            assert_ne!(row, other.index_axis(Axis(0), i), "{device}: a sample of another number");
        }
    }
    let threads =
        |n| first(&Device::cpu_with_threads(n).expect("threads"), &everything(), 7, &names(6), &part(&names(6)));
    assert_eq!(threads(1), threads(3));
}

/// Asked for the same numbers twice, an augmentation gets others.
#[test]
fn numbers_of_one_name_are_drawn_anew() {
    let found = run(&cpu(), 0, &names(9), &[], |ctx, _| Ok(vec![ctx.uniform("a", [2])?, ctx.uniform("a", [2])?]));
    let found = found.expect("numbers");
    assert_ne!(found[0], found[1]);
}

#[test]
fn sizes_are_spread_as_they_are_said_to_be() {
    let n = 4000;
    let settings = WarpMap {
        flip: [true, false],
        rotation: 20.0,
        zoom: [0.8, 1.5],
        shift: [0.25, 0.5],
        ..WarpMap::identity([100, 50])
    };
    let found = run(&cpu(), 0, &names(n), &[], |ctx, _| {
        let draws = ctx.uniform("warp", [DRAWS])?;
        let unflipped = WarpMap { flip: [false; 2], ..settings.clone() };
        Ok(vec![draws.warp_map(&settings)?, draws.warp_map(&unflipped)?])
    });
    let found = found.expect("maps");
    let (flipped, maps) = (floats(found[0].clone()), floats(found[1].clone()));
    let column = |f: &dyn Fn(&[f32]) -> f32| -> Vec<f32> {
        maps.outer_iter().map(|m| f(&m.iter().copied().collect::<Vec<_>>())).collect()
    };
    let spread = |what: &str, x: Vec<f32>, low: f32, high: f32| {
        let mean = x.iter().sum::<f32>() / n as f32;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n as f32;
        let width = high - low;
        assert!(x.iter().all(|v| (low - 1e-3..=high + 1e-3).contains(v)), "{what} leaves {low}..{high}");
        assert!((mean - (low + high) / 2.0).abs() < 0.02 * width, "{what}: mean {mean}");
        assert!((variance / (width * width / 12.0) - 1.0).abs() < 0.06, "{what}: variance {variance}");
    };
    spread("angle", column(&|m| m[3].atan2(m[4]).to_degrees()), -20.0, 20.0);
    spread("zoom", column(&|m| 1.0 / m[3].hypot(m[4])), 0.8, 1.5);
    // t = -A shift, so the shift is -A^-1 t.
    let shift = |m: &[f32]| {
        let det = m[0] * m[4] - m[1] * m[3];
        [-(m[4] * m[2] - m[1] * m[5]) / det, -(m[0] * m[5] - m[3] * m[2]) / det]
    };
    spread("shift of columns", column(&|m| shift(m)[0]), -25.0, 25.0);
    spread("shift of rows", column(&|m| shift(m)[1]), -25.0, 25.0);
    let flips = flipped.outer_iter().zip(maps.outer_iter()).filter(|(a, b)| a[0] != b[0]).count();
    assert!(flips.abs_diff(n / 2) < 130, "{flips} of {n} flipped");
}

/// An image turned by a quarter by way of its angle is the one that is turned exactly.
#[test]
fn a_positive_angle_turns_to_the_left() {
    let x = noise([1, 1, 8, 8]);
    // The fourth number chooses the angle: 1 - 2^-24 is 180 degrees but for rounding, three quarters are 90.
    let draws = Tensor::from(Array1::from(vec![0.9, 0.9, 0.0, 0.75, 0.5, 0.5, 0.0, 0.5]).insert_axis(Axis(0)));
    let settings = WarpMap { rotation: 180.0, ..WarpMap::identity([8, 8]) };
    for device in devices() {
        let y = run(&device, 0, &[0], &[x.clone().into(), draws.clone()], |_, v| {
            Ok(vec![v[0].warp(&v[1].warp_map(&settings)?, None, Sampling::Linear, Fill::Constant(0.0))?])
        });
        let expected = x.clone().permuted_axes([0, 1, 3, 2]).slice(s![.., .., ..;-1, ..]).to_owned();
        assert_eq!(floats(y.expect("an image")[0].clone()), expected.into_dyn(), "{device}");
    }
}

#[test]
fn colours_change_as_they_are_said_to() {
    let x = noise([64, 2, 8, 8]);
    let t = Tensor::from(x.clone());
    for device in devices() {
        let brighter = first(&device, &Augment::new().brightness(0.2), 0, &names(64), &t);
        let d: Vec<f32> = (0..64).map(|i| brighter[[i, 0, 0, 0]] - x[[i, 0, 0, 0]]).collect();
        assert!(d.iter().any(|d| *d > 0.1) && d.iter().any(|d| *d < -0.1) && d.iter().all(|d| d.abs() <= 0.2001));
        for (at, v) in brighter.indexed_iter() {
            assert!((v - x[[at[0], at[1], at[2], at[3]]] - d[at[0]]).abs() < 1e-5, "{device}: one change per sample");
        }
        let contrast = first(&device, &Augment::new().contrast(0.5, 2.0), 0, &names(64), &t);
        for (a, b) in contrast.outer_iter().zip(x.outer_iter()) {
            for (a, b) in a.outer_iter().zip(b.outer_iter()) {
                let (m, n) = (a.mean().expect("pixels"), b.mean().expect("pixels"));
                assert!((m - n).abs() < 1e-5, "{device}: the mean stays");
                let f = (a[[0, 0]] - m) / (b[[0, 0]] - n);
                assert!((0.499..2.001).contains(&f), "{device}: {f}");
            }
        }
        let gamma = first(&device, &Augment::new().gamma(0.5, 2.0), 0, &names(64), &t);
        for (a, b) in gamma.outer_iter().zip(x.outer_iter()) {
            let exponents: Vec<f32> =
                a.iter().zip(b.iter()).filter(|(_, b)| **b > 0.1 && **b < 0.8).map(|(a, b)| a.ln() / b.ln()).collect();
            assert!(
                exponents.iter().all(|g| (g - exponents[0]).abs() < 1e-3 && (0.499..2.001).contains(g)),
                "{device}"
            );
        }
        let noisy = first(&device, &Augment::new().noise(0.1), 0, &names(64), &t);
        let n: Vec<f32> = noisy.iter().zip(&x).map(|(a, b)| a - b).collect();
        let sigma = (n.iter().map(|v| v * v).sum::<f32>() / n.len() as f32).sqrt();
        assert!((sigma - 0.1).abs() < 0.005, "{device}: {sigma}");
        let wide = first(&device, &Augment::new().range(0.0, 1.0).brightness(0.5), 0, &names(64), &t);
        assert!(wide.iter().all(|v| (0.0..=1.0).contains(v)) && wide.iter().any(|v| *v == 0.0 || *v == 1.0));
    }
}

#[test]
fn cutout_sets_a_square_in_some_samples() {
    let x = Tensor::from(Array4::<f32>::ones((300, 2, 12, 12)));
    for device in devices() {
        let y = first(&device, &Augment::new().cutout(4, 0.5), 0, &names(300), &x);
        let holes: Vec<usize> = y.outer_iter().map(|s| s.iter().filter(|v| **v == 0.0).count()).collect();
        assert!(holes.iter().all(|n| *n <= 32 && n % 2 == 0), "{device}: {holes:?}");
        let cut = holes.iter().filter(|n| **n > 0).count();
        assert!(cut.abs_diff(150) < 40 && holes.contains(&32), "{device}: {cut} of 300");
    }
}

/// `oracle/augment.json`: `scipy.ndimage.map_coordinates` and `gaussian_filter1d`.
#[test]
fn images_are_resampled_and_blurred_as_scipy_does() {
    let text = include_str!("oracle/augment.json");
    let oracle: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let list = |v: &serde_json::Value| -> Vec<f32> {
        v.as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number") as f32).collect()
    };
    let whole = |v: &serde_json::Value| v.as_u64().expect("a number") as usize;
    let close = |name: &str, y: &Tensor, expected: &[f32]| {
        let y = y.clone().into_f32().expect("floats");
        assert_eq!(y.len(), expected.len());
        for (i, (a, b)) in y.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= 3e-5, "{name}, element {i}: {a}, SciPy {b}");
        }
    };
    let tensor = |shape: &[usize], v: Vec<f32>| Tensor::f32(shape, v).expect("a tensor");
    for device in devices() {
        let warps = oracle["warps"].as_array().expect("cases");
        assert_eq!(warps.len(), 18);
        for case in warps {
            let name = format!("{device}, {}", case["name"]);
            let (h, w) = (whole(&case["size"][0]), whole(&case["size"][1]));
            let mut tensors = vec![tensor(&[1, 1, h, w], list(&case["x"])), tensor(&[1, 6], list(&case["map"]))];
            if case.get("points").is_some() {
                let points = whole(&case["points"]);
                tensors.push(tensor(&[1, 2, points, points], list(&case["grid"])));
            }
            let sampling = if case["sampling"] == "linear" { Sampling::Linear } else { Sampling::Nearest };
            let fill = match case["fill"].as_str() {
                Some("constant") => Fill::Constant(0.75),
                Some("edge") => Fill::Edge,
                _ => Fill::Reflect,
            };
            let y = run(&device, 0, &[0], &tensors, |_, v| Ok(vec![v[0].warp(&v[1], v.get(2), sampling, fill)?]));
            close(&name, &y.expect(&name)[0], &list(&case["y"]));
        }
        for case in oracle["blurs"].as_array().expect("cases") {
            let (x, sigma) = (list(&case["x"]), case["sigma"].as_f64().expect("a number") as f32);
            let tensors = [tensor(&[1, 1, x.len()], x), tensor(&[1, 1], vec![0.5])];
            let y = run(&device, 0, &[0], &tensors, |_, v| Ok(vec![v[0].blur(-1, [sigma; 2], &v[1])?]));
            close(&format!("{device}, blur {sigma}"), &y.expect("a blur")[0], &list(&case["y"]));
        }
    }
}

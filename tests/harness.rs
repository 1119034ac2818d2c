//! The checks themselves: each goes red on a planted fault, and stays green without one. The ops with faults live in user code, so
//! that they also show that an op can.

mod common;
#[path = "harness/row_sum.rs"]
mod row_sum;
#[path = "harness/softsign.rs"]
mod softsign;

use std::sync::Mutex;

use common::rows::{Bound, Row, Values};
use galen::nn::{Dense, MeanSquaredError, Sequential};
use galen::optim::Adam;
use galen::train::{Compile, Fit, Setup};
use galen::{Device, Error, Plan, Tensor};
use ndarray::Array2;
use row_sum::row_sum;
use softsign::{Fault, softsign};

/// A fault's name and what it does to a result.
type Planted<'a> = (&'a str, Box<dyn FnOnce(&mut [f32])>);

fn cpu() -> Device {
    Device::cpu_with_threads(1).expect("a thread")
}

/// 3 · 50 elements: more than two workgroups.
fn row(fault: Fault) -> Row {
    Row::new("softsign", move |_, x| softsign(&x[0], fault))
        .f32([3, 50], Values::OffZero)
        .bounds(Bound::Ulps(4.0), Bound::Ulps(8.0))
}

/// What the parity test does with a row.
fn parity(row: &Row, device: &Device) -> Result<(), String> {
    let case = common::build(row).map_err(|e| e.to_string())?;
    let actual =
        if device.is_gpu() { case.run_on_gpu(device)? } else { case.run(device).map_err(|e| e.to_string())? };
    case.compare(&actual)
}

fn red(result: Result<(), String>, word: &str) {
    match result {
        Ok(()) => panic!("a planted fault was not seen ({word})"),
        Err(e) => assert!(e.contains(word), "\"{e}\" does not speak of \"{word}\""),
    }
}

/// A result in which the elements that `change` is given are replaced.
fn changed(result: &Tensor, change: impl FnOnce(&mut [f32])) -> Tensor {
    let Tensor::F32(x) = result else { panic!("floats were expected, not {result:?}") };
    let mut x = x.clone();
    change(x.as_slice_mut().expect("in order"));
    Tensor::F32(x)
}

/// Every row of the table would notice a NaN, a wrong element, however small it is beside the others, and a zero in place of a result:
/// no bound is so wide that it accepts anything.
#[test]
fn no_row_accepts_a_planted_fault() {
    let (device, mut planted, mut failures) = (cpu(), 0, Vec::new());
    for row in common::rows::all() {
        let name = format!("{}/{}", row.stem, row.name);
        let case = common::build(&row).expect("a case");
        assert!(!case.bounds.iter().any(|b| matches!(b, Bound::Scale(_))), "{name}: small elements may be anything");
        let results = case.run(&device).expect("a run");
        let expected = case.expected().unwrap_or_else(|e| panic!("{name}: {e}"));
        expected.compare(&results).unwrap_or_else(|e| panic!("{name}, without a fault: {e}"));
        assert!(expected.compare(&results[1..]).is_err(), "{name}: a missing result");
        for (which, result) in results.iter().enumerate() {
            let mut plant = |fault: String, wrong: Tensor| {
                planted += 1;
                if expected.compare_one(which, &wrong).is_ok() {
                    failures.push(format!("{name}, result {which}: {fault}"));
                }
            };
            let truth = &expected.values[which];
            let finite: Vec<usize> = (0..truth.len()).filter(|at| truth[*at].is_finite()).collect();
            let size = |at: usize| expected.sizes[which][at];
            let Some(largest) = finite.iter().copied().max_by(|a, b| size(*a).total_cmp(&size(*b))) else { continue };
            if let Tensor::U32(x) = result {
                let mut x = x.clone();
                x.as_slice_mut().expect("in order")[largest] ^= 1;
                plant("a wrong integer".to_owned(), Tensor::U32(x));
            }
            if !matches!(result, Tensor::F32(_)) {
                continue;
            }
            let faults: [Planted; 3] = [
                ("a NaN", Box::new(move |x| x[largest] = f32::NAN)),
                ("nothing written", Box::new(|x| x.fill(f32::from_bits(u32::MAX)))),
                ("an infinity", Box::new(move |x| x[largest] = f32::INFINITY)),
            ];
            for (fault, change) in faults {
                plant(fault.to_owned(), changed(result, change));
            }
            if truth[largest] != 0.0 {
                plant("zero instead of it".to_owned(), changed(result, |x| x.fill(0.0)));
            }
            // The smallest and the largest, and some between them.
            let mut by_size = finite.clone();
            by_size.sort_by(|a, b| size(*a).total_cmp(&size(*b)));
            by_size.dedup_by(|a, b| size(*a) == size(*b));
            let some = (0..by_size.len()).step_by(by_size.len().div_ceil(8).max(1)).chain([by_size.len() - 1]);
            for at in some.map(|i| by_size[i]) {
                let by = (0.01 * size(at)).max(1e-30) as f32;
                let fault = format!("element {at} of size {:e} off by a hundredth of it", size(at));
                plant(fault, changed(result, |x| x[at] += by));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {planted} faults were not seen:\n{}", failures.len(), failures.join("\n"));
    println!("{planted} planted faults");
}

/// Runs an ignored test of this binary in a process with other environment variables; whether it passed, and what it said.
fn with_environment(test: &str, variables: &[(&str, &str)]) -> (bool, String) {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]).env_remove("GALEN_SKIPPED");
    for name in ["GALEN_DATA", "GALEN_REQUIRE_DATA", "GALEN_ROWS"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().expect("a process");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
#[ignore = "run by a_name_that_no_row_has_is_refused"]
fn rows_are_chosen() {
    println!("{} chosen", common::rows::chosen().len());
}

#[test]
fn a_name_that_no_row_has_is_refused() {
    for wrong in ["typo", "matmul,typo", "matmul/typo"] {
        let (passed, said) = with_environment("rows_are_chosen", &[("GALEN_ROWS", wrong)]);
        assert!(!passed && said.contains("typo\"; stems are accumulate, "), "{said}");
    }
    let count = |names: &str| with_environment("rows_are_chosen", &[("GALEN_ROWS", names)]);
    let all = common::rows::all();
    for (names, wanted) in
        [("", all.len()), ("copy, fill", all.iter().filter(|r| ["copy", "fill"].contains(&r.stem)).count())]
    {
        let (passed, said) = count(names);
        assert!(passed && said.contains(&format!("{wanted} chosen")), "{said}");
    }
}

#[test]
#[ignore = "run by a_skipped_test_says_so_or_fails"]
fn data_is_wanted() {
    let _ = common::skip::data("data_is_wanted", "tabular");
}

#[test]
fn a_skipped_test_says_so_or_fails() {
    let list = std::env::temp_dir().join(format!("galen-skipped-{}", std::process::id()));
    let nowhere = [("GALEN_DATA", "/nowhere"), ("GALEN_SKIPPED", list.to_str().expect("a path"))];
    let (passed, said) = with_environment("data_is_wanted", &nowhere);
    let line = "SKIPPED data_is_wanted: there is no folder /nowhere/tabular\n";
    assert!(passed && said.contains(line), "{said}");
    let listed = std::fs::read_to_string(&list).expect("a list");
    let _ = std::fs::remove_file(&list);
    assert_eq!(listed, line);
    for folder in [None, Some(("GALEN_DATA", ""))] {
        let variables: Vec<_> = folder.into_iter().chain([("GALEN_REQUIRE_DATA", "1")]).collect();
        let (passed, said) = with_environment("data_is_wanted", &variables);
        assert!(!passed && said.contains("GALEN_REQUIRE_DATA=1, but GALEN_DATA is not set"), "{said}");
    }
}

#[test]
fn swapped_operands_are_seen() {
    let row = |swapped: bool| {
        Row::new("sub", move |_, x| Ok(vec![if swapped { x[1].sub(&x[0])? } else { x[0].sub(&x[1])? }]))
            .f32([3, 7], Values::Normal)
            .f32([3, 7], Values::Normal)
    };
    let (right, swapped) = (common::build(&row(false)).expect("a case"), common::build(&row(true)).expect("a case"));
    let results = swapped.run(&cpu()).expect("a run");
    swapped.compare(&results).expect("the same case");
    red(right.compare(&results), "result 0");
    // The gradients of the two inputs are swapped as well; right outputs must not hide that.
    let mut mixed = right.run(&cpu()).expect("a run");
    mixed.swap(1, 2);
    red(right.compare(&mixed), "result 1");
}

#[test]
fn the_comparison_accepts_only_what_is_within_the_bound() {
    let compare = |a: f64, e: f64, bound| common::compare(&[a], &[e], bound, Some(&[4.0]));
    let unit = common::UNIT;
    for (bound, allowed) in [
        (Bound::Exact, 0.0),
        (Bound::Ulps(2.0), 2.0),
        (Bound::Terms(2.0), 8.0),
        (Bound::Rounding(2.0), 8.0),
        (Bound::Unit(2.0), 2.0),
        (Bound::Scale(2.0), 2.0),
    ] {
        assert!(compare(1.0 + allowed * unit, 1.0, bound).is_ok(), "{bound:?}");
        assert!(compare(1.0 + (allowed + 0.5) * unit, 1.0, bound).is_err(), "{bound:?}");
        assert!(compare(f64::NAN, 1.0, bound).is_err() && compare(1.0, f64::NAN, bound).is_err(), "{bound:?}");
        assert!(compare(f64::INFINITY, 1.0, bound).is_err(), "{bound:?}");
        assert!(compare(-1.0, 1.0, bound).is_err(), "{bound:?}");
    }
    assert!(common::compare(&[], &[1.0], Bound::Exact, None).is_err(), "an empty result");
}

#[test]
fn a_run_on_the_cpu_does_not_pass_for_one_on_a_gpu() {
    let row = row(Fault::None);
    let case = common::build(&row).expect("a case");
    let error = case.run_on_gpu(&cpu()).expect_err("the CPU is no GPU");
    assert!(error.contains("did not run on a GPU"), "{error}");
    let plan =
        Plan::new(&case.graph, &case.fetch, Some(&galen::contract::GpuTraits { software: true })).expect("a plan");
    let planned = plan.dispatches() as u64;
    assert!(planned == 2 && common::every_step_ran(&plan, planned).is_ok());
    for made in [0, planned - 1, planned + 1] {
        assert!(common::every_step_ran(&plan, made).is_err(), "{made} dispatches of {planned}");
    }
}

#[test]
fn an_op_in_user_code_agrees_with_its_twin_and_its_gradient_with_differences() {
    common::finite::check(&row(Fault::None)).expect("the gradient");
    parity(&row(Fault::None), &cpu()).expect("the CPU");
    if let Some(gpu) = common::own_gpu() {
        parity(&row(Fault::None), &gpu).expect("the GPU");
    }
}

#[test]
fn wrong_gradients_are_seen_though_kernel_and_twin_agree() {
    for fault in [Fault::ZeroGradient, Fault::WrongGradient] {
        red(common::finite::check(&row(fault)), "finite difference");
        parity(&row(fault), &cpu()).expect("kernel and twin have the same fault");
    }
}

#[test]
fn faults_in_a_kernel_are_seen() {
    red(parity(&row(Fault::Unwritten), &cpu()), "unwritten");
    let Some(gpu) = common::own_gpu() else { return };
    red(parity(&row(Fault::OneElement), &gpu), "element 70");
    red(parity(&row(Fault::OneUnwritten), &gpu), "element 70 was not written");
    red(parity(&row(Fault::Unwritten), &gpu), "unwritten");
    red(parity(&row(Fault::Swapped), &gpu), "element 0");
    parity(&row(Fault::None), &gpu).expect("the op without a fault, on the same device");
}

#[test]
fn a_shader_that_does_not_compile_is_an_error() {
    let Some(gpu) = common::own_gpu() else { return };
    let case = common::build(&row(Fault::Broken)).expect("a case");
    for attempt in ["first", "second"] {
        match case.run(&gpu) {
            Err(Error::Backend { message, .. }) => {
                assert!(message.contains("softsign") && message.contains("nobody_knows"), "{attempt}: {message}");
            }
            other => panic!("{attempt}: {other:?}"),
        }
    }
    parity(&row(Fault::None), &gpu).expect("the device works on");
}

/// 70 rows of 9: the loop takes 9 iterations.
fn looped(iterations: u64) -> Row {
    Row::new("row_sum", move |_, x| row_sum(&x[0], iterations)).constant([70, 9], Values::Normal)
}

#[test]
fn a_launch_that_says_too_little_or_too_much_of_its_loops_is_seen() {
    let Some(gpu) = common::own_gpu() else { return };
    let judged = |iterations| {
        let case = common::build(&looped(iterations)).expect("a case");
        common::iterations::judge(&common::iterations::count(&case, &gpu)?)
    };
    judged(9).expect("the truth");
    red(judged(8), "row_sum::row_sum takes 9 iterations and declares 8");
    red(judged(1), "takes 9 iterations");
    red(judged(19), "never takes half of what it declares: at best 9 of 19");
}

/// What is logged at the level of warnings and above, by any test of this binary.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.lock().expect("no panic while logging").push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_software_adapter_tells_user_code_how_long_loops_may_be() {
    let Some(gpu) = common::own_gpu() else { return };
    if gpu.adapter().is_none_or(|a| a.kind != galen::gpu::AdapterKind::Software) {
        return;
    }
    log::set_logger(&Keep).expect("the only logger of this binary");
    log::set_max_level(log::LevelFilter::Warn);
    let said = |iterations| {
        let case = common::build(&looped(iterations)).expect("a case");
        case.run(&gpu.clone()).map(drop)
    };
    let warned =
        || LOGGED.lock().expect("no panic while logging").iter().filter(|m| m.contains("row_sum::row_sum")).count();
    said(65_535).expect("as long as loops may be");
    match said(65_536) {
        Err(Error::Limit { node, needed: 65_536, allowed: 65_535, limit, .. }) => {
            assert!(node == "row_sum" && limit.contains("loop iterations"), "{node}: {limit}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(warned(), 0, "it said how long its loop is");
    let other = common::own_gpu().expect("the same adapter");
    let case = common::build(&looped(0)).expect("a case");
    case.run(&other).expect("a run");
    case.run(&other).expect("a run");
    assert_eq!(warned(), 1, "a loop of unknown length is warned of once: {:?}", LOGGED.lock());
}

#[test]
fn an_op_in_user_code_refuses_what_it_cannot_take() {
    let graph = galen::Graph::new();
    let x = graph.input("x", [3], galen::DType::U32).expect("an input");
    let error = graph.in_layer("mine", || softsign(&x, Fault::None)).expect_err("integers");
    assert!(error.to_string().contains("mine") && error.to_string().contains("softsign"), "{error}");
}

/// A small regression through a layer made of the op: the loss falls, on every device alike.
#[test]
fn an_op_in_user_code_trains() {
    let x = Array2::from_shape_fn((64, 2), |(i, j)| ((i * 7 + j * 13) % 16) as f32 / 8.0 - 1.0);
    let y = Array2::from_shape_fn((64, 1), |(i, _)| x[[i, 0]] * x[[i, 1]]);
    let data = galen::data::Dataset::new(x, y).expect("data");
    let losses = |device: &Device| -> galen::Result<Vec<f64>> {
        let network = Sequential::new([2]).with(Dense::new(16)).with(softsign::Activation).with(Dense::new(1));
        let setup = Setup::on(device).seed(4);
        let mut model = network.compile_on(&setup, Adam::new(0.02), MeanSquaredError::new(), &[])?;
        let history = model.fit(&data, &Fit::new().epochs(40).batch_size(16).verbose(false))?;
        Ok(history.losses())
    };
    let on_cpu = losses(&cpu()).expect("a training on the CPU");
    let (first, last) = (on_cpu[0], on_cpu[on_cpu.len() - 1]);
    assert!(last < 0.2 * first, "the loss fell from {first} to {last} only");
    if let Some(gpu) = common::own_gpu() {
        let on_gpu = losses(&gpu).expect("a training on the GPU");
        for (epoch, (a, b)) in on_cpu.iter().zip(&on_gpu).enumerate() {
            assert!((a - b).abs() <= 1e-3 * first, "epoch {epoch}: {a} on the CPU, {b} on the GPU");
        }
    }
}

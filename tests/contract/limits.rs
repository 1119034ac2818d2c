//! A plan that does not fit is refused before anything is allocated, with the node that broke the limit.

use galen::contract::MAX_ITERATIONS;
use galen::graph::{Init, Limits};
use galen::{DType, Error, Graph, Plan};

use super::FORMS;

const ROOMY: Limits = Limits {
    binding: u64::MAX,
    buffer: u64::MAX,
    workgroups: u32::MAX,
    storage_bindings: u32::MAX,
    iterations: u64::MAX,
    budget: u64::MAX,
};

/// A product of `[64, 32]` and a parameter `[32, 128]` in a layer, then its exponential: 32 KiB each.
fn plan() -> Plan {
    let graph = Graph::new();
    let x = graph.input("x", [64, 32], DType::F32).expect("an input");
    let y = graph.in_layer("dense", || {
        let w = graph.parameter("w", [32, 128], Init::Constant(0.5))?;
        x.matmul(&w)?.exp()
    });
    Plan::new(&graph, &[y.expect("a layer")], Some(&FORMS[0])).expect("a plan")
}

/// What the plan is refused with, once it needs one unit more than `allowed`, having fitted exactly.
fn refused(plan: &Plan, fits: &Limits, breaks: &Limits) -> (String, u64, u64, String) {
    plan.check(fits).unwrap_or_else(|e| panic!("{fits:?}: {e}"));
    match plan.check(breaks) {
        Err(Error::Limit { node, needed, allowed, limit, .. }) => (node, needed, allowed, limit),
        other => panic!("{breaks:?}: {other:?}"),
    }
}

#[test]
fn a_binding_that_is_too_large() {
    let bytes = 64 * 128 * 4;
    let limits = |binding| Limits { binding, ..ROOMY };
    let (node, needed, allowed, limit) = refused(&plan(), &limits(bytes), &limits(bytes - 1));
    assert_eq!((node.as_str(), needed, allowed), ("dense/matmul", bytes, bytes - 1));
    assert!(limit.contains("binding"), "{limit}");
}

#[test]
fn an_activation_buffer_that_is_too_large() {
    let bytes = 64 * 128 * 4;
    let limits = |buffer| Limits { buffer, ..ROOMY };
    let (node, needed, _, limit) = refused(&plan(), &limits(bytes), &limits(bytes - 1));
    assert_eq!((node.as_str(), needed), ("dense/matmul", bytes));
    assert!(limit.contains("buffer"), "{limit}");
}

#[test]
fn state_that_is_too_large() {
    let bytes = 32 * 128 * 4;
    let (node, needed, ..) = refused(&plan(), &ROOMY, &Limits { buffer: bytes - 1, ..ROOMY });
    assert_eq!((node.as_str(), needed), ("state \"parameters\"", bytes));
}

/// No step makes an input, yet it needs a buffer, and memory.
#[test]
fn an_input_that_is_too_large() {
    let graph = Graph::new();
    let x = graph.input("x", [64, 128], DType::F32).expect("an input");
    let y = x.slice(&[(0, 1), (0, 2)]).expect("a slice");
    let plan = Plan::new(&graph, &[y], Some(&FORMS[0])).expect("a plan");
    let bytes = 64 * 128 * 4;
    let limits = |buffer| Limits { buffer, ..ROOMY };
    let (node, needed, ..) = refused(&plan, &limits(bytes), &limits(bytes - 1));
    assert_eq!((node.as_str(), needed), ("input \"x\"", bytes));
    let limits = |budget| Limits { budget, ..ROOMY };
    let total = plan.activation_bytes();
    let (node, needed, ..) = refused(&plan, &limits(total), &limits(total - 1));
    assert!(node.contains("activations") && needed == total, "{node}: {needed} of {total}");
    // However small the budget, what is needed is all of it.
    let (_, needed, ..) = refused(&plan, &limits(total), &limits(1));
    assert_eq!(needed, total);
}

#[test]
fn a_dispatch_that_is_too_long() {
    let plan = plan();
    let most = |i: usize| plan.steps[i].launches.iter().flat_map(|l| l.workgroups).max().expect("a launch");
    let (groups, first) = (0..plan.steps.len()).map(|i| (most(i), i)).rev().max_by_key(|(g, _)| *g).expect("a step");
    let limits = |workgroups| Limits { workgroups, ..ROOMY };
    let (node, needed, allowed, limit) = refused(&plan, &limits(groups), &limits(groups - 1));
    let over: Vec<String> = plan.steps.iter().map(|s| s.name()).collect();
    assert_eq!((node.as_str(), needed, allowed), (over[first].as_str(), groups.into(), u64::from(groups) - 1));
    assert!(limit.contains("workgroups"), "{limit}");
}

#[test]
fn a_dispatch_with_too_many_bindings() {
    let limits = |storage_bindings| Limits { storage_bindings, ..ROOMY };
    let (node, needed, allowed, _) = refused(&plan(), &limits(3), &limits(2));
    assert_eq!((node.as_str(), needed, allowed), ("dense/matmul", 3, 2));
}

#[test]
fn a_loop_that_a_software_adapter_would_cut_short() {
    let graph = Graph::new();
    let x = graph.input("x", [64, 128], DType::F32).expect("an input");
    let y = graph.in_layer("head", || x.softmax(1)).expect("a layer");
    let plan = Plan::new(&graph, &[y], Some(&FORMS[0])).expect("a plan");
    let most = plan.steps.iter().flat_map(|s| &s.launches).map(|l| l.iterations).max().expect("a launch");
    let limits = |iterations| Limits { iterations, ..ROOMY };
    let (node, needed, allowed, limit) = refused(&plan, &limits(most), &limits(most - 1));
    assert_eq!((node.as_str(), needed, allowed), ("head/softmax", most, most - 1));
    assert!(limit.contains("iterations"), "{limit}");
}

#[test]
fn a_plan_over_the_budget() {
    let plan = plan();
    let total = plan.state_bytes() + plan.activation_bytes();
    let limits = |budget| Limits { budget, ..ROOMY };
    let (node, needed, allowed, limit) = refused(&plan, &limits(total), &limits(total - 1));
    assert_eq!((needed, allowed), (total, total - 1));
    assert!(["state and data 16.0 KiB", "activations "].iter().all(|part| node.contains(part)), "{node}");
    assert!(limit.contains("budget"), "{limit}");
    let (_, needed, ..) = refused(&plan, &limits(total), &limits(plan.state_bytes() - 1));
    assert_eq!(needed, total);
}

/// What every adapter has fits every row, and the plan for the CPU has no launches to break a limit with.
#[test]
fn every_row_fits_the_limits_of_webgpu() {
    let limits = Limits {
        binding: 128 << 20,
        buffer: 256 << 20,
        workgroups: 65_535,
        storage_bindings: 8,
        iterations: MAX_ITERATIONS,
        budget: 1 << 30,
    };
    for (name, plan) in super::plans() {
        plan.check(&limits).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

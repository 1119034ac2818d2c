//! How long the loops of kernels are: every launch says it ([`Launch::iterations`](galen::contract::Launch::iterations)), it is within the
//! limit for every row and for sizes far beyond the rows', and kernels without loops say that they have none. That the numbers are true is
//! for tests/parity.rs, which counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use galen::contract::MAX_ITERATIONS;
use galen::graph::Init;
use galen::ops::max_norm::{Units, longest, table};
use galen::{DType, Graph, Plan, Result, TensorSpec, Var};

use super::common::{iterations, rows};
use super::{FORMS, loops_windows, shaders};

type Build = Box<dyn Fn(&Graph) -> Result<Vec<Var>>>;

/// A graph with shapes that no test could run: its plan is made, and nothing else.
struct Huge {
    stem: &'static str,
    name: String,
    build: Build,
}

impl Huge {
    /// Outputs of the inputs `shapes`, all floats, and the gradients of the outputs with respect to all of them.
    fn new(
        stem: &'static str,
        name: impl Into<String>,
        shapes: &[&[usize]],
        build: impl Fn(&[Var]) -> Result<Vec<Var>> + 'static,
    ) -> Huge {
        let shapes: Vec<Vec<usize>> = shapes.iter().map(|shape| shape.to_vec()).collect();
        let build = move |graph: &Graph| {
            let input = |(i, shape): (usize, &Vec<usize>)| graph.input(&format!("x{i}"), shape.clone(), DType::F32);
            let inputs = shapes.iter().enumerate().map(input).collect::<Result<Vec<_>>>()?;
            let outputs = build(&inputs)?;
            with_gradients(graph, outputs, &inputs)
        };
        Huge { stem, name: name.into(), build: Box::new(build) }
    }

    /// Whatever `build` makes of an empty graph.
    fn of(stem: &'static str, name: impl Into<String>, build: impl Fn(&Graph) -> Result<Vec<Var>> + 'static) -> Huge {
        Huge { stem, name: name.into(), build: Box::new(build) }
    }
}

/// The outputs, and the gradients of those that are floats with respect to `wrt`.
fn with_gradients(graph: &Graph, outputs: Vec<Var>, wrt: &[Var]) -> Result<Vec<Var>> {
    let mut pairs = Vec::new();
    for (i, y) in outputs.iter().enumerate().filter(|(_, y)| y.dtype() == DType::F32) {
        pairs.push((y.clone(), graph.input(&format!("dy{i}"), y.shape(), DType::F32)?));
    }
    let gradients = if pairs.is_empty() { Vec::new() } else { graph.gradients_from(&pairs, wrt)? };
    Ok(outputs.into_iter().chain(gradients).collect())
}

/// The elements of 2 GiB, which no storage binding exceeds on Vulkan and DX12.
const ALL: usize = 1 << 29;

/// Columns of `[outer, c, inner]`, from one element to all that an adapter can bind.
fn columns() -> Vec<[usize; 3]> {
    let mut shapes = Vec::new();
    for c in [1, 31, 512, 2_048, 2_049, 16_384, 16_385, 100_000, 1_000_003, 10_000_000, ALL / 37, ALL] {
        let others: BTreeSet<usize> = [1, 37, 1_025, ALL / c].into_iter().filter(|others| others * c <= ALL).collect();
        for others in others {
            shapes.extend([[others, c, 1], [1, c, others]]);
        }
    }
    shapes
}

/// The sizes for the stems that reduce, normalise and judge; those that slide, multiply and recur are in `loops_windows`.
fn reducing() -> Vec<Huge> {
    let mut all = Vec::new();
    for shape in columns() {
        let [outer, c, inner] = shape;
        let along = format!("{c} along axis 1 of {shape:?}");
        all.push(Huge::new("softmax", format!("softmax, {along}"), &[&shape], |x| Ok(vec![x[0].softmax(1)?])));
        all.push(Huge::new("softmax", format!("log, {along}"), &[&shape], |x| Ok(vec![x[0].log_softmax(1)?])));
        all.push(Huge::new("argmax", format!("argmax, {along}"), &[&shape], |x| Ok(vec![x[0].argmax(1)?])));
        for logits in [true, false] {
            let soft = move |x: &[Var]| Ok(vec![x[0].cross_entropy(&x[1], 1, logits)?]);
            let build = move |g: &Graph| {
                let scores = g.input("scores", shape, DType::F32)?;
                let targets = g.input("targets", shape, DType::F32)?;
                let loss = soft(&[scores.clone(), targets])?;
                with_gradients(g, loss, &[scores])
            };
            all.push(Huge::of("cross_entropy", format!("soft, logits {logits}, {along}"), build));
            let build = move |g: &Graph| {
                let scores = g.input("scores", shape, DType::F32)?;
                let targets = g.input("targets", [outer, inner], DType::U32)?;
                let loss = vec![scores.cross_entropy(&targets, 1, logits)?];
                with_gradients(g, loss, &[scores])
            };
            all.push(Huge::of("cross_entropy", format!("index, logits {logits}, {along}"), build));
        }
        for axes in [&[0isize] as &[isize], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]] {
            let name = format!("{axes:?} of {shape:?}");
            all.push(Huge::new("reduce", format!("sum {name}"), &[&shape], move |x| Ok(vec![x[0].sum(axes, false)?])));
            all.push(Huge::new("reduce", format!("max {name}"), &[&shape], move |x| Ok(vec![x[0].max(axes, false)?])));
        }
        let affine: &[&[usize]] = &[&shape, &[c], &[c]];
        let name = format!("{shape:?}");
        all.push(Huge::new("batch_norm", name.clone(), affine, |x| Ok(vec![x[0].batch_norm(&x[1], &x[2], 1e-5)?.0])));
        for groups in [1, 2, 32, c] {
            if c % groups == 0 {
                let norm = move |x: &[Var]| Ok(vec![x[0].group_norm(groups, &x[1], &x[2], 1e-5)?]);
                all.push(Huge::new("group_norm", format!("{groups} groups of {name}"), affine, norm));
            }
        }
        if inner == 1 {
            let build = move |g: &Graph| {
                let x = g.input("x", [1, outer, c], DType::F32)?;
                let mask = g.input("mask", [1, 1, c], DType::F32)?;
                let lengths = g.input("lengths", [1], DType::U32)?;
                let mask = galen::ops::masked_softmax::AttentionMask::new().causal().mask(&mask).lengths(&lengths);
                let y = vec![x.masked_softmax(0.5, &mask)?];
                with_gradients(g, y, &[x])
            };
            all.push(Huge::of("masked_softmax", format!("{outer} rows of {c} keys"), build));
            for index in [true, false] {
                let build = move |g: &Graph| {
                    let x = g.input("x", [outer, c], DType::F32)?;
                    let targets = if index {
                        g.input("targets", [outer], DType::U32)?
                    } else {
                        g.input("targets", [outer, c], DType::F32)?
                    };
                    Ok(vec![x.correct_count(&targets)?])
                };
                all.push(Huge::of("accuracy", format!("{outer} rows of {c} classes, indices {index}"), build));
            }
        }
        if outer == 1 && inner == 1 {
            let clip = |x: &[Var]| Ok(vec![x[0].clip_gradients(Some(1.0), Some(1.0))?]);
            all.push(Huge::of("clip_norm", format!("{c} gradients"), move |g| {
                clip(&[g.input("x", [c], DType::F32)?])
            }));
        }
    }
    all.extend(units());
    all
}

/// Largest norms of units of every length in an arena of up to 2²⁹ parameters.
fn units() -> Vec<Huge> {
    let of = |elements: usize, units: usize| {
        Huge::of("max_norm", format!("{units} units of {elements}"), move |g| {
            let clock = rows::clock_at(g, 5)?;
            let len = (elements * units).next_multiple_of(64);
            let unit = Units { offset: 0, units, unit_stride: elements, elements, element_stride: 1, limit: 1.0 };
            let words = table(len, &[unit])?;
            let params = g.state("parameters", "w", TensorSpec::f32([len]), Init::Constant(0.5))?;
            let table = rows::words(g, "units", &words)?;
            params.max_norm(&table, longest(&words), &clock, 1)?;
            Ok(Vec::new())
        })
    };
    (4..=29)
        .flat_map(|bits| [(1 << bits) - 1, 1 << bits].map(|elements| of(elements, ((1 << 20) / elements).clamp(1, 40))))
        .collect()
}

#[test]
fn every_launch_says_how_long_its_loops_are_and_keeps_the_limit() {
    let (mut modules, mut failures) = (HashMap::new(), BTreeMap::new());
    for (name, plan) in super::plans() {
        for launch in plan.steps.iter().flat_map(|step| &step.launches) {
            let (stem, entry, said) = (&*launch.kernel.stem, &*launch.kernel.entry, launch.iterations);
            let wgsl = launch.kernel.wgsl().expect("a template without mistakes");
            let (module, _) = modules.entry(wgsl).or_insert_with_key(|wgsl| shaders::parse(wgsl));
            let point = module.entry_points.iter().find(|e| e.name == entry).expect("the entry point");
            let complaint = match (iterations::reaches_loop(module, &point.function.body), said) {
                (true, 0) => "has loops and declares none".to_owned(),
                (false, 1..) => format!("has no loop and declares {said} iterations"),
                (_, said) if said > MAX_ITERATIONS => format!("declares {said} iterations"),
                _ => continue,
            };
            failures.entry(format!("{stem}::{entry} {complaint}")).or_insert_with(|| name.clone());
        }
    }
    assert!(failures.is_empty(), "complaints, and a row that shows each: {failures:#?}");
}

/// A plan that no adapter could run may be refused, but not silently wrong.
#[test]
fn the_limit_holds_for_sizes_far_beyond_the_rows() {
    let (mut seen, mut failures) = (BTreeSet::new(), BTreeMap::new());
    for Huge { stem, name, build } in reducing() {
        seen.insert(stem);
        for gpu in &FORMS {
            let graph = Graph::new();
            let fetch = build(&graph).unwrap_or_else(|e| panic!("{stem}, {name}: {e}"));
            let plan = Plan::new(&graph, &fetch, Some(gpu)).unwrap_or_else(|e| panic!("{stem}, {name}: {e}"));
            for launch in plan.steps.iter().flat_map(|step| &step.launches) {
                let (entry, said) = (&launch.kernel.entry, launch.iterations);
                let grid = launch.workgroups.iter().all(|groups| (1..=65_535).contains(groups));
                if said > MAX_ITERATIONS || !grid {
                    let shown = format!("{name}: {said} iterations, {:?} workgroups", launch.workgroups);
                    failures.entry(entry.to_string()).or_insert(shown);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let mut looping = BTreeSet::new();
    for (_, plan) in super::plans() {
        let steps = plan.steps.iter().filter(|step| step.launches.iter().any(|launch| launch.iterations > 0));
        looping.extend(steps.map(|step| step.op.stem().to_owned()));
    }
    looping.retain(|stem| !loops_windows::STEMS.contains(&stem.as_str()));
    let missing: Vec<&String> = looping.iter().filter(|stem| !seen.contains(stem.as_str())).collect();
    assert!(missing.is_empty(), "stems with loops, but without large sizes: {missing:?}");
}

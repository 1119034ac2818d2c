//! One stored case as a graph: outputs, and gradients of `Σ output · cotangent`.

use galen::graph::Init;
use galen::{Graph, Result, Var};
use serde_json::Value;

use super::common::rows::Bound;
use super::common::{Case, compare, floats};
use super::{DEVICE, Runner, TWIN, field, flag, list, number, numbers, object, tensor, text, whole};

/// What the names of gradients begin with.
const GRADIENT: &str = "gradient of ";
/// For gradients of the `_large` cases on a device, in units of [`largest_term`]: logits of 80 known to half a unit in the last place
/// give probabilities that are off by 4e-6 of themselves, and where one probability is nearly 1 the gradient is what cancellation left.
const LARGE: Bound = Bound::Terms(2.0);

/// What a case gives: its attributes, and its inputs as variables of a graph.
pub struct Given<'a> {
    pub graph: &'a Graph,
    attrs: &'a Value,
    inputs: Vec<(&'a str, Var)>,
}

/// Builds the outputs of an op, with their stored names. An op that it does not know is a panic, which fails the test.
pub type Outputs = fn(&str, &Given<'_>) -> Result<Vec<(&'static str, Var)>>;

/// How the cases of a file are built and compared.
#[derive(Clone, Copy)]
pub struct Rules {
    pub outputs: Outputs,
    /// Of an op and the name of an input: what the parameter of a layer is called that has this input's values.
    pub parameter: fn(&str, &str) -> Option<String>,
    /// Of an op: how far the f64 twin may be, and how far a device.
    pub bounds: fn(&str) -> [Bound; 2],
}

impl Rules {
    /// Inputs are inputs, and both bounds the usual ones.
    pub fn of(outputs: Outputs) -> Rules {
        Rules { outputs, parameter: |_, _| None, bounds: |_| [TWIN, DEVICE] }
    }
}

impl Given<'_> {
    pub fn attr(&self, name: &str) -> &Value {
        field(self.attrs, name)
    }

    pub fn has(&self, attr: &str) -> bool {
        self.attrs.get(attr).is_some_and(|v| !v.is_null())
    }

    pub fn number(&self, attr: &str) -> f64 {
        number(self.attr(attr))
    }

    pub fn whole(&self, attr: &str) -> usize {
        whole(self.attr(attr))
    }

    pub fn flag(&self, attr: &str) -> bool {
        flag(self.attr(attr))
    }

    pub fn text(&self, attr: &str) -> &str {
        text(self.attr(attr))
    }

    pub fn wholes(&self, attr: &str) -> Vec<usize> {
        list(self.attr(attr), whole)
    }

    /// One number for each spatial axis.
    pub fn each<const N: usize>(&self, attr: &str) -> [usize; N] {
        self.wholes(attr).try_into().unwrap_or_else(|v| panic!("{attr}: {v:?}"))
    }

    pub fn axis(&self) -> isize {
        self.number("axis") as isize
    }

    pub fn axes(&self) -> Vec<isize> {
        list(self.attr("axes"), |v| number(v) as isize)
    }

    /// An input that may be there.
    pub fn find(&self, input: &str) -> Option<&Var> {
        self.inputs.iter().find(|(have, _)| *have == input).map(|(_, x)| x)
    }

    pub fn var(&self, input: &str) -> &Var {
        self.find(input).unwrap_or_else(|| panic!("no input \"{input}\""))
    }

    /// All inputs in the order of their names.
    pub fn vars(&self) -> Vec<&Var> {
        self.inputs.iter().map(|(_, x)| x).collect()
    }
}

/// The only output.
pub fn y(y: Var) -> Vec<(&'static str, Var)> {
    vec![("y", y)]
}

/// Builds the case's graph, runs it and compares outputs and gradients.
pub fn check(op: &str, case: &Value, runner: Runner<'_>, rules: Rules) -> std::result::Result<(), String> {
    let large = text(field(case, "name")).ends_with("_large");
    let (case, expected) = build(op, case, rules).map_err(|e| e.to_string())?;
    let actual = match runner {
        Runner::Twin => case.truth(false),
        Runner::On(device) => case.run(device).map(|found| found.iter().map(floats).collect()),
    }
    .map_err(|e| e.to_string())?;
    for (i, (what, expected)) in expected.iter().enumerate() {
        let shape = list(field(expected, "shape"), whole);
        if *case.fetch[i].shape() != *shape {
            return Err(format!("{what}: shape {}, expected {shape:?}", case.fetch[i].shape()));
        }
        let expected_numbers = numbers(expected);
        let term = largest_term(&case);
        let bound = match runner {
            _ if text(field(expected, "dtype")) == "i32" => Bound::Exact,
            Runner::Twin => (rules.bounds)(op)[0],
            Runner::On(_) if large && what.starts_with(GRADIENT) => LARGE,
            Runner::On(_) => (rules.bounds)(op)[1],
        };
        let bound = if what.starts_with(GRADIENT) { bound_of(bound, &expected_numbers, term) } else { bound };
        let terms = vec![term; expected_numbers.len()];
        compare(&actual[i], &expected_numbers, bound, Some(&terms)).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// Gradients that are this much smaller than [`largest_term`] are what cancellation left of it.
const CANCELLED: f64 = 1e-3;

/// A bound of the largest element, but of the largest term for a gradient that is what cancellation left.
fn bound_of(bound: Bound, expected: &[f64], term: f64) -> Bound {
    match bound {
        Bound::Scale(k) if expected.iter().all(|v| v.abs() < CANCELLED * term) => Bound::Terms(k),
        _ => bound,
    }
}

/// The largest input times the largest cotangent.
fn largest_term(case: &Case) -> f64 {
    let largest = |cotangent: bool| {
        let feeds = case.feeds.iter().filter(|(name, _)| name.starts_with("cotangent") == cotangent);
        feeds.flat_map(|(_, tensor)| floats(tensor)).fold(0.0f64, |m, v| m.max(v.abs()))
    };
    largest(false) * largest(true)
}

/// The graph, and for each fetched tensor its name and what is stored.
fn build<'a>(op: &str, case: &'a Value, rules: Rules) -> Result<(Case, Vec<(String, &'a Value)>)> {
    let graph = Graph::new();
    let (mut feeds, mut inputs) = (Vec::new(), Vec::new());
    for (name, array) in object(field(case, "inputs")) {
        let tensor = tensor(array);
        let spec = tensor.spec();
        if let Some(parameter) = (rules.parameter)(op, name) {
            let values: Vec<f32> = floats(&tensor).iter().map(|v| *v as f32).collect();
            inputs.push((name.as_str(), graph.parameter(&parameter, spec.shape, Init::Values(values.into()))?));
            continue;
        }
        inputs.push((name.as_str(), graph.input(name, spec.shape, spec.dtype)?));
        feeds.push((name.clone(), tensor));
    }
    let given = Given { graph: &graph, attrs: field(case, "attrs"), inputs };
    let named = (rules.outputs)(op, &given)?;
    let stored = field(case, "outputs");
    let mut expected: Vec<(String, &Value)> =
        named.iter().map(|(name, _)| (name.to_string(), field(stored, name))).collect();
    assert_eq!(expected.len(), object(stored).count(), "outputs of {op}");

    let gradients: Vec<_> = object(field(case, "gradients")).collect();
    let mut fetch: Vec<Var> = named.iter().map(|(_, y)| y.clone()).collect();
    if !gradients.is_empty() {
        let mut pairs = Vec::new();
        for (name, y) in &named {
            let stored = match *name {
                "y" => Some(field(case, "cotangent")),
                _ => case.get("cotangents").and_then(|all| all.get(name)),
            };
            if let Some(cotangent) = stored.map(tensor) {
                let (input, spec) = (format!("cotangent of {name}"), cotangent.spec());
                pairs.push((y.clone(), graph.input(&input, spec.shape, spec.dtype)?));
                feeds.push((input, cotangent));
            }
        }
        let further = case.get("cotangents").map_or(0, |all| object(all).count());
        assert_eq!(pairs.len(), 1 + further, "cotangents of {op}");
        let wrt: Vec<Var> = gradients.iter().map(|(name, _)| given.var(name).clone()).collect();
        fetch.extend(graph.gradients_from(&pairs, &wrt)?);
        expected.extend(gradients.iter().map(|(name, array)| (format!("{GRADIENT}{name}"), *array)));
    }
    Ok((Case { graph, fetch, bounds: Vec::new(), feeds }, expected))
}

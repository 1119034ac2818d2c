use super::{Bound, Row, arena_in, clock_at, faulty_clock, groups, schedule};
use galen::graph::Init;
use galen::ops::update::{Rule, Update};
use galen::{Graph, Result, TensorSpec, Var};

const ALL_ALIKE: [[f32; 2]; 1] = [[1.0, 0.0]];

pub fn rows() -> Vec<Row> {
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-7);
    let adam = Rule::Adam { beta1, beta2, epsilon, amsgrad: false };
    let nadam = Rule::Nadam { beta1, beta2, epsilon };
    let rms_prop = |momentum, centered| Rule::RmsProp { rho: 0.9, momentum, epsilon, centered };
    let rules = [
        ("sgd", Rule::Sgd { momentum: 0.0, nesterov: false }),
        ("momentum", Rule::Sgd { momentum: 0.9, nesterov: false }),
        ("nesterov", Rule::Sgd { momentum: 0.9, nesterov: true }),
        ("adam", adam.clone()),
        ("amsgrad", Rule::Adam { beta1, beta2, epsilon, amsgrad: true }),
        ("nadam", nadam.clone()),
        ("rmsprop", rms_prop(0.0, false)),
        ("rmsprop_momentum", rms_prop(0.9, false)),
        ("rmsprop_centered", rms_prop(0.0, true)),
        ("rmsprop_centered_momentum", rms_prop(0.9, true)),
        ("adagrad", Rule::Adagrad { initial: 0.1, epsilon }),
    ];
    let mut rows = Vec::new();
    let groups = vec![[1.0, 0.0], [0.5, 0.01], [0.0, 0.3], [3.0, 0.0], [2.0, 0.5]];
    for (name, rule) in rules {
        let case = Case { rule, len: 1, step: 0, every: 1, groups: ALL_ALIKE.to_vec(), fault: None, garbage: false };
        rows.push(case.clone().row(&format!("{name}_first_steps")));
        rows.push(Case { len: 1500, step: 4, groups: groups.clone(), ..case.clone() }.row(&format!("{name}_groups")));
        rows.push(Case { len: 65, step: 3, fault: Some(3), ..case.clone() }.row(&format!("{name}_fault")));
        rows.push(Case { len: 65, step: 4, every: 2, ..case.clone() }.row(&format!("{name}_accumulated")));
        // The first slot is frozen, and full of NaN.
        let frozen = vec![[0.0, 0.2], [1.0, 0.2]];
        rows.push(Case { len: 60, step: 1, groups: frozen, garbage: true, ..case }.row(&format!("{name}_frozen")));
    }
    let case = Case {
        rule: adam,
        len: 65,
        step: 1_000_003,
        every: 1,
        groups: ALL_ALIKE.to_vec(),
        fault: None,
        garbage: false,
    };
    rows.push(case.clone().row("adam_late"));
    rows.push(Case { step: 1_000_003, every: 3, ..case.clone() }.row("adam_late_accumulated"));
    for (name, step) in [("soon", 5), ("later", 508), ("late", 1_000_003)] {
        rows.push(Case { rule: nadam.clone(), step, ..case.clone() }.row(&format!("nadam_{name}")));
    }
    let no_first = Rule::Nadam { beta1: 0.0, beta2: 0.5, epsilon: 1e-3 };
    rows.push(Case { rule: no_first, step: 7, ..case.clone() }.row("nadam_no_first_moment"));
    let other = Rule::Adam { beta1: 0.0, beta2: 0.5, epsilon: 1e-3, amsgrad: false };
    rows.push(Case { rule: other, len: 130, step: 77, ..case }.row("adam_no_first_moment"));
    rows
}

#[derive(Clone)]
struct Case {
    rule: Rule,
    len: usize,
    step: u32,
    every: u32,
    groups: Vec<[f32; 2]>,
    fault: Option<u32>,
    garbage: bool,
}

impl Case {
    /// Four steps from `step` on, the first of the schedule.
    fn row(self, name: &str) -> Row {
        let bound = if self.fault.is_some() { Bound::Exact } else { Bound::Rounding(16.0) };
        Row::new(name, move |g, _| {
            let clock = match self.fault {
                Some(bad) => faulty_clock(g, self.step, bad)?,
                None => clock_at(g, self.step)?,
            };
            let schedule = schedule(g, self.step, &[0.5, 0.05, 0.01, 0.1])?;
            let groups = groups(g, "groups", self.len, &self.groups)?;
            let params = arena_in(g, "parameters", self.len, -1.0, 1.0)?;
            let grads = self.arena(g, "gradients", -1.0, 1.0)?;
            let states: Vec<Var> = self
                .rule
                .states()
                .iter()
                .map(|(state, _)| {
                    // Second moments are positive, and larger than the square of a mean.
                    let (low, high) = match *state {
                        "velocity" if self.rule.name() == "rmsprop" => (1.0, 2.0),
                        "v" | "v_hat" | "accumulator" => (0.0, 1.0),
                        _ => (-0.5, 0.5),
                    };
                    self.arena(g, state, low, high)
                })
                .collect::<Result<_>>()?;
            let op = Update { rule: self.rule.clone(), every: self.every };
            for _ in 0..4 {
                params.update(op.clone(), &states.iter().collect::<Vec<_>>(), &grads, &clock, &schedule, &groups)?;
                g.tick(&clock)?;
            }
            Ok([params, clock].into_iter().chain(states).collect())
        })
        .bounds(bound, Bound::Exact)
    }

    fn arena(&self, g: &Graph, name: &str, low: f32, high: f32) -> Result<Var> {
        if self.garbage {
            g.state(name, "first", TensorSpec::f32([64]), Init::Constant(f32::NAN))?;
            g.state(name, "second", TensorSpec::f32([self.len]), Init::Constant(low + 0.7 * (high - low)))?;
            return g.whole(name);
        }
        arena_in(g, name, self.len, low, high)
    }
}

use super::{Bound, Row, Values};
use galen::{Result, Var};

type Function = fn(&Var) -> Result<Var>;

pub fn rows() -> Vec<Row> {
    // exp, log, tanh of WGSL are less exact than those of libm; the bounds are what the specification lets them be off by, in
    // units of the result.
    let functions: [(&str, Function, Values, Bound); 11] = [
        ("neg", Var::neg, Values::Normal, Bound::Exact),
        ("exp", Var::exp, Values::Normal, Bound::Ulps(32.0)),
        ("log", Var::log, Values::Uniform(0.1, 9.0), Bound::Ulps(64.0)),
        ("sqrt", Var::sqrt, Values::Uniform(0.1, 9.0), Bound::Ulps(6.0)),
        ("square", Var::square, Values::Normal, Bound::Ulps(2.0)),
        ("abs", Var::abs, Values::OffZero, Bound::Exact),
        ("relu", Var::relu, Values::OffZero, Bound::Exact),
        ("sigmoid", Var::sigmoid, Values::Normal, Bound::Ulps(64.0)),
        ("tanh", Var::tanh, Values::OffZero, Bound::Ulps(256.0)),
        ("scale", |x| x.scale(0.5), Values::Normal, Bound::Exact),
        ("shift", |x| x.shift(0.25), Values::Normal, Bound::Ulps(2.0)),
    ];
    let mut rows: Vec<Row> = functions
        .into_iter()
        .map(|(name, f, values, bound)| {
            let row = Row::new(name, move |_, x| Ok(vec![f(&x[0])?])).f32([7, 19], values);
            row.bounds(bound, Bound::Scale(512.0))
        })
        .collect();
    let exact = |name: &str, f: Function, x: &[f32]| {
        let row = Row::new(name, move |_, x| Ok(vec![f(&x[0])?]));
        row.constant([x.len()], Values::Exactly(x.to_vec())).bounds(Bound::Ulps(256.0), Bound::Exact)
    };
    rows.push(exact("log_of_negative", Var::log, &[-1.0, 1.0, -1e-3]));
    rows.push(exact("sqrt_of_negative", Var::sqrt, &[-1.0, 4.0, -1e-3]));
    rows.push(exact("relu_kinks", Var::relu, &[0.0, -0.0, f32::NAN, -1.0, 1.0]));
    rows.push(exact("sigmoid_saturated", Var::sigmoid, &[-200.0, -80.0, 80.0, 200.0]));
    rows.push(exact("tanh_saturated", Var::tanh, &[-200.0, -40.0, 40.0, 200.0]));
    for (name, f) in [("exp", Var::exp as Function), ("sigmoid", Var::sigmoid), ("tanh", Var::tanh), ("log", Var::log)] {
        rows.push(exact(&format!("{name}_of_nan"), f, &[f32::NAN, 0.5, 1.0]));
    }
    // At the kink the gradient is 0 by convention; a finite difference would say 1/2.
    let kink = |name: &str, f: Function| {
        let build = move |g: &galen::Graph, x: &[Var]| {
            let y = f(&x[0])?;
            g.gradients_from(&[(y, x[1].clone())], &x[..1])
        };
        let row = Row::new(name, build).constant([3], Values::Exactly(vec![0.0, -2.0, 2.0]));
        row.constant([3], Values::Normal).bounds(Bound::Exact, Bound::Exact)
    };
    rows.push(kink("relu_gradient_at_0", Var::relu));
    rows.push(kink("abs_gradient_at_0", Var::abs));
    rows.push(Row::new("large", |_, x| Ok(vec![x[0].relu()?])).f32([65, 331], Values::OffZero).bounds(Bound::Exact, Bound::Exact));
    rows
}

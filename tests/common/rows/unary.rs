use super::{Bound, Row, Values};
use galen::{Result, Var};

type Function = fn(&Var) -> Result<Var>;
type Case = (&'static str, Function, Values, Bound);

pub fn rows() -> Vec<Row> {
    // exp, log, tanh of WGSL are less exact than those of libm; the bounds are what the specification lets them be off by, in
    // units of the result.
    let functions: [Case; 11] = [
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
        .chain(activations())
        .chain(others())
        .map(|(name, f, values, bound)| {
            let row = Row::new(name, move |_, x| Ok(vec![f(&x[0])?])).f32([7, 19], values);
            row.bounds(bound, Bound::Rounding(512.0))
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
    for (name, f) in [("exp", Var::exp as Function), ("sigmoid", Var::sigmoid), ("tanh", Var::tanh), ("log", Var::log)]
    {
        rows.push(exact(&format!("{name}_of_nan"), f, &[f32::NAN, 0.5, 1.0]));
    }
    for (name, f, ..) in activations().into_iter().chain(others()) {
        rows.push(exact(&format!("{name}_of_nan"), f, &[f32::NAN, 0.5, 1.0]));
    }
    for (name, f, ..) in activations() {
        rows.push(exact(&format!("{name}_of_large"), f, &[-3e38, -1e10, -300.0, -90.0, 90.0, 300.0, 1e10, 3e38]));
        rows.push(slope_of_large(name, f));
    }
    rows.push(exact("erf_saturated", Var::erf, &[-3e38, -90.0, -5.0, 0.0, 5.0, 90.0, 3e38]));
    rows.push(exact("log1p_of_negative", Var::log1p, &[-2.0, -1.0000001, -1e30, 0.0, 1e30]));
    rows.push(exact("rsqrt_of_negative", Var::rsqrt, &[-1.0, 4.0, -1e-3]));
    rows.push(exact("sign_of_0", Var::sign, &[0.0, -0.0, -1e-30, 1e-30]));
    rows.push(exact(
        "is_nan",
        Var::is_nan,
        &[f32::NAN, 0.0, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -1e-40],
    ));
    rows.push(exact("is_nan_in_chain", |x| x.is_nan()?.neg()?.shift(1.0), &[1.0, f32::NAN, -2.0]));
    rows.push(exact("clip_bounds", |x| x.clip(-1.0, 2.0), &[-1.0, 2.0, -3e38, 3e38, 2.0000002]));
    rows.push(exact("powf_of_negative", |x| x.powf(0.5), &[-1.0, 4.0, 0.0]));
    rows.push(exact("powf_odd", |x| x.powf(-3.0), &[-2.0, 2.0, -0.5]));
    rows.push(exact("sin_of_large", Var::sin, &[2000.5, -9000.25, 12000.0]));
    rows.push(exact("cos_of_large", Var::cos, &[2000.5, -9000.25, 12000.0]));
    // Each channel's alpha, and one alpha for all.
    for (name, alpha) in [("channels", vec![3, 1, 1]), ("shared", vec![1]), ("each", vec![3, 4, 5])] {
        let row = Row::new(&format!("prelu_{name}"), |_, x| Ok(vec![x[0].prelu(&x[1])?]));
        let row = row.f32([2, 3, 4, 5], Values::OffZero).f32(alpha, Values::Normal);
        rows.push(row.bounds(Bound::Ulps(4.0), Bound::Rounding(64.0)));
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
    rows.push(kink("leaky_relu_gradient_at_0", |x| x.leaky_relu(0.25)));
    rows.push(kink("relu6_gradient_at_ends", |x| x.scale(3.0)?.relu6()));
    rows.push(kink("clip_gradient_at_bounds", |x| x.clip(-2.0, 2.0)));
    rows.push(kink("clip_gradient_outside", |x| x.clip(-1.5, 0.0)));
    rows.push(kink("powf_gradient_at_0", |x| x.powf(1.0)));
    rows.push(
        Row::new("large", |_, x| Ok(vec![x[0].relu()?]))
            .f32([65, 331], Values::OffZero)
            .bounds(Bound::Exact, Bound::Exact),
    );
    rows
}

fn activations() -> Vec<Case> {
    let wide = Values::Uniform(-6.0, 6.0);
    vec![
        ("relu6", |x| x.scale(2.0)?.relu6(), Values::Distinct, Bound::Exact),
        ("leaky_relu", |x| x.leaky_relu(0.3), Values::OffZero, Bound::Ulps(2.0)),
        ("leaky_relu_0", |x| x.leaky_relu(0.0), Values::OffZero, Bound::Ulps(2.0)),
        ("leaky_relu_negative", |x| x.leaky_relu(-0.3), Values::OffZero, Bound::Ulps(2.0)),
        ("elu", |x| x.elu(1.0), Values::OffZero, Bound::Ulps(32.0)),
        ("elu_2", |x| x.elu(2.0), Values::OffZero, Bound::Ulps(32.0)),
        ("elu_negative", |x| x.elu(-0.5), Values::OffZero, Bound::Ulps(32.0)),
        ("selu", Var::selu, Values::OffZero, Bound::Ulps(32.0)),
        // In the lower tail the share is of the size of e^(-x^2 / 2), whose exponent is rounded.
        ("gelu", Var::gelu, wide.clone(), Bound::Ulps(96.0)),
        ("gelu_tanh", Var::gelu_tanh, wide.clone(), Bound::Ulps(192.0)),
        ("silu", Var::silu, wide.clone(), Bound::Ulps(64.0)),
        ("softplus", Var::softplus, wide.clone(), Bound::Ulps(64.0)),
        ("softsign", Var::softsign, Values::OffZero, Bound::Ulps(8.0)),
        ("hard_sigmoid", Var::hard_sigmoid, Values::Distinct, Bound::Rounding(4.0)),
        ("hard_silu", Var::hard_silu, Values::Distinct, Bound::Rounding(4.0)),
        ("mish", Var::mish, wide, Bound::Ulps(64.0)),
    ]
}

fn others() -> Vec<Case> {
    let positive = Values::Uniform(0.1, 9.0);
    vec![
        ("expm1", Var::expm1, Values::Normal, Bound::Ulps(32.0)),
        ("expm1_near_0", Var::expm1, Values::Uniform(-1e-3, 1e-3), Bound::Ulps(4.0)),
        ("log1p", Var::log1p, Values::Uniform(-0.9, 9.0), Bound::Ulps(6.0)),
        ("log1p_near_0", Var::log1p, Values::Uniform(-1e-3, 1e-3), Bound::Ulps(4.0)),
        ("rsqrt", Var::rsqrt, positive.clone(), Bound::Ulps(8.0)),
        ("reciprocal", Var::reciprocal, Values::OffZero, Bound::Ulps(6.0)),
        ("clip", |x| x.clip(-1.03, 0.77), Values::Distinct, Bound::Ulps(0.5)),
        ("sin", Var::sin, Values::Uniform(-30.0, 30.0), Bound::Ulps(32.0)),
        ("cos", Var::cos, Values::Uniform(-30.0, 30.0), Bound::Ulps(32.0)),
        ("erf", Var::erf, Values::Uniform(-4.0, 4.0), Bound::Ulps(8.0)),
        ("powf_3", |x| x.powf(3.0), Values::OffZero, Bound::Ulps(48.0)),
        ("powf_of_positive", |x| x.powf(-1.7), positive, Bound::Ulps(48.0)),
        ("powf_0", |x| x.powf(0.0), Values::OffZero, Bound::Exact),
        ("powf_minus_2", |x| x.powf(-2.0), Values::OffZero, Bound::Ulps(48.0)),
    ]
}

/// Far from 0 the slope is that of a line, and not NaN.
fn slope_of_large(name: &str, f: Function) -> Row {
    let build = move |g: &galen::Graph, x: &[Var]| {
        let y = f(&x[0])?;
        g.gradients_from(&[(y, x[1].clone())], &x[..1])
    };
    let row = Row::new(&format!("{name}_slope_of_large"), build);
    let row = row.constant([6], Values::Exactly(vec![-3e38, -1e10, -300.0, 300.0, 1e10, 3e38]));
    row.constant([6], Values::Normal).bounds(Bound::Unit(4.0), Bound::Exact)
}

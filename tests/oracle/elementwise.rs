//! `elementwise.json`: functions of one element and of two, comparisons, choices, one-hot codes.

use galen::{Result, Var};

use super::case::{Given, y};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let constant = |name: &str| given.number(name) as f32;
    let (x, a, b) = (|| given.var("x"), || given.var("a"), || given.var("b"));
    let found = match op {
        "leaky_relu" => x().leaky_relu(constant("alpha")),
        "elu" => x().elu(constant("alpha")),
        "selu" => x().selu(),
        "gelu" => x().gelu(),
        "gelu_tanh" => x().gelu_tanh(),
        "silu" => x().silu(),
        "softplus" => x().softplus(),
        "mish" => x().mish(),
        "relu6" => x().clip(0.0, 6.0),
        "clip" => x().clip(constant("low"), constant("high")),
        "hard_sigmoid" => x().hard_sigmoid(),
        "hard_silu" => x().hard_silu(),
        "softsign" => x().softsign(),
        "log1p" => x().log1p(),
        "expm1" => x().expm1(),
        "erf" => x().erf(),
        "rsqrt" => x().rsqrt(),
        "reciprocal" => x().reciprocal(),
        "sin" => x().sin(),
        "cos" => x().cos(),
        "powf" => x().powf(constant("exponent")),
        "pow" => a().pow(b()),
        "equal" => a().equal(b()),
        "not_equal" => a().not_equal(b()),
        "less" => a().less(b()),
        "less_equal" => a().less_equal(b()),
        "greater" => a().greater(b()),
        "greater_equal" => a().greater_equal(b()),
        "select" => given.var("condition").to_f32()?.select(a(), b()),
        "prelu" => x().prelu(given.var("alpha")),
        "one_hot" => given.var("ids").one_hot(given.whole("classes")),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(y(found?))
}

// What the functions of unary.wgsl and their slopes call besides. `bits` and `math` must be included before.

// The share of x that the tanh form of GELU lets through: (1 + tanh(u / 2)) / 2 is the logistic function of u.
fn gelu_share(x: f32) -> f32 {
    return logistic(1.5957691216 * (x + 0.044715 * x * x * x));
}

fn gelu_slope(x: f32) -> f32 {
    return normal_cdf(x) + x * 0.3989422804 * exp(-0.5 * x * x);
}

fn gelu_tanh_slope(x: f32) -> f32 {
    let s = gelu_share(x);
    return s + x * s * (1.0 - s) * 1.5957691216 * (1.0 + 0.134145 * x * x);
}

fn silu_slope(x: f32) -> f32 {
    let s = logistic(x);
    return s * (1.0 + x * (1.0 - s));
}

// tanh(ln(1 + e^x)), for x <= 20.
fn mish_share(x: f32) -> f32 {
    let e = exp(x);
    let n = e * (e + 2.0);
    return n / (n + 2.0);
}

fn mish_slope(x: f32) -> f32 {
    let w = mish_share(x);
    return w + x * (1.0 - w * w) * logistic(x);
}

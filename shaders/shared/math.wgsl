// Functions that WGSL lacks, or whose WGSL forms may be wrong in the fourth digit. `bits` must be included before.

// ln(2^e (1 + f)) with 1 + f between sqrt(1/2) and sqrt(2). Source: fdlibm, e_logf.c.
fn ln_of_parts(e: f32, f: f32) -> f32 {
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * (0.66666662693 + z * (0.40000972152 + z * (0.28498786688 + z * 0.24279078841)));
    let half_square = 0.5 * f * f;
    return e * 0.69313812256 - ((half_square - (s * (half_square + r) + e * 9.0580006145e-6)) - f);
}

// ln(x) for a positive x that is not subnormal; exact to about one unit in the last place.
fn ln(x: f32) -> f32 {
    let bits = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
    let e = f32(bits >> 23u) - 127.0;
    let f = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    return select(x, ln_of_parts(e, f), is_finite_bits(x));
}

// ln(1 + x), without the digits that 1 + x loses of a small x.
fn ln_1p(x: f32) -> f32 {
    if (x > -0.2928 && x < 0.4142) {
        return ln_of_parts(0.0, x);
    }
    if (x <= -1.0) {
        return select(not_a_number(x), log(1.0 + x), x == -1.0);
    }
    return ln(1.0 + x);
}

// e^x - 1: near 0 the first terms of its series.
fn exp_m1(x: f32) -> f32 {
    if (abs(x) < 0.5) {
        return x + x * x * (0.5 + x * (1.6666667e-1 + x * (4.1666668e-2 + x * (8.3333333e-3
            + x * (1.3888889e-3 + x * (1.9841270e-4 + x * 2.4801587e-5))))));
    }
    return exp(x) - 1.0;
}

// 1 / (1 + e^-x)
fn logistic(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0)));
}

// erfc(x) for 0.9 <= x. Source: the form of M. Abramowitz, I. Stegun, "Handbook of mathematical functions" (1964), 7.1.26,
// t P(t) e^(-x^2) with t = 1 / (1 + k x); here k = 0.4 and a P of degree 6 that minimises the largest relative error, 3.5e-8.
fn erfc_tail(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.4 * x);
    let series = 0.22562552588 + t * (0.226716091017 + t * (0.198633193606 + t * (0.21353910196
        + t * (0.00739103944703 + t * (0.244409035949 - t * 0.116560274501)))));
    return t * series * exp(-x * x);
}

// erf(x) for |x| <= 0.9: x P(x^2) with a P of degree 5 that minimises the largest relative error, 1.2e-8.
fn erf_small(x: f32) -> f32 {
    let s = x * x;
    return x * (1.1283791538 + s * (-0.376125232789 + s * (0.112821408388 + s * (-0.0267789098569
        + s * (0.00501196414677 - s * 0.000609036647796)))));
}

// The error function, within 1.3e-7 of the truth.
fn erf(x: f32) -> f32 {
    let a = min(abs(x), 10.0);
    if (a <= 0.9) {
        return erf_small(x);
    }
    return sign(x) * (1.0 - erfc_tail(a));
}

// The normal distribution's share below x: (1 + erf(x / sqrt 2)) / 2, for |x| <= 20; small shares keep their digits.
fn normal_cdf(x: f32) -> f32 {
    let a = abs(x) * 0.70710678;
    if (a <= 0.9) {
        return 0.5 + 0.5 * erf_small(x * 0.70710678);
    }
    let tail = 0.5 * erfc_tail(a);
    return select(1.0 - tail, tail, x < 0.0);
}

// a^b. Of a negative number only whole powers exist.
fn power(a: f32, b: f32) -> f32 {
    let size = abs(a);
    let whole = floor(b) == b;
    var y = exp(clamp(b * ln(size), -104.0, 89.0));
    if (size < 1.1754944e-38) {
        y = select(0.0, 1.0 / size, b < 0.0);
    }
    if (a < 0.0) {
        y = select(y, -y, whole && 2.0 * floor(0.5 * b) != b);
        y = select(not_a_number(a), y, whole);
    }
    return select(y, 1.0, b == 0.0);
}

// x as a whole number of quarters of the circle, and the rest, at most an eighth either way. Source: Cephes, sinf.c, whose three
// parts of the quarter are exact up to |x| = 12000; from there on the rest is as exact as one unit in the last place of x.
fn quarters(x: f32) -> vec2<f32> {
    let q = round(x * 0.63661977);
    let rest = ((x - q * 1.5703125) - q * 4.837512969970703125e-4) - q * 7.54978995489188216e-8;
    return vec2<f32>(q - 4.0 * floor(0.25 * q), clamp(rest, -0.8, 0.8));
}

// sin of `shift` quarters of the circle more than x.
fn sine(x: f32, shift: u32) -> f32 {
    if (!is_finite_bits(x)) {
        return not_a_number(x);
    }
    let v = quarters(x);
    let a = v.y;
    let z = a * a;
    let s = a + a * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    let quarter = u32(v.x) + shift;
    let y = select(s, c, (quarter & 1u) != 0u);
    return select(y, -y, (quarter & 2u) != 0u);
}

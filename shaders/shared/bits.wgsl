// Questions about floats that must be asked of their bits: WGSL lets an implementation assume that there is no NaN or infinity.

fn is_finite_bits(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn is_nan_bits(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The larger of two, where a NaN counts as largest.
fn larger(a: f32, b: f32) -> f32 {
    return select(a, b, !is_nan_bits(a) && (b > a || is_nan_bits(b)));
}

// A NaN that no compiler folds away, made of any number.
fn not_a_number(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
}

// `value`, or NaN where `top` is NaN or infinite. What a driver's exp or log makes of a NaN is its own affair (one was seen to give
// an ordinary number), so a column with such a top is marked here.
fn spoiled_by(top: f32, value: f32) -> f32 {
    return select(not_a_number(top), value, is_finite_bits(top));
}

// A NaN that no compiler folds away: `zero` is a uniform or loaded 0.
fn quiet_nan(zero: u32) -> f32 {
    return bitcast<f32>(0x7fc00000u | zero);
}

// A key whose order as u32 is the order of x as a float: both zeros are one, every NaN is largest, and 0 is below all.
fn order_bits(x: f32) -> u32 {
    let b = bitcast<u32>(x);
    if ((b & 0x7fffffffu) > 0x7f800000u) {
        return 0xffffffffu;
    }
    if (b > 0x80000000u) {
        return ~b;
    }
    return b | 0x80000000u;
}

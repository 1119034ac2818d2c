// Normal numbers from random words (Box and Muller). Twin: src/ops/random.rs.
// WGSL's log, sin and cos may be wrong in the third digit; these are exact to about one unit in the last place everywhere.

// -ln(x) for 2^-24 <= x <= 1. Source: fdlibm, e_logf.c.
fn minus_ln(x: f32) -> f32 {
    // x = 2^e (1 + f) with 1 + f between sqrt(1/2) and sqrt(2)
    let bits = bitcast<u32>(x) + (0x3f800000u - 0x3f3504f3u);
    let e = f32(bits >> 23u) - 127.0;
    let f = bitcast<f32>((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * (0.66666662693 + z * (0.40000972152 + z * (0.28498786688 + z * 0.24279078841)));
    let half_square = 0.5 * f * f;
    return (half_square - (s * (half_square + r) + e * 9.0580006145e-6)) - f - e * 0.69313812256;
}

// cos and sin of 2 pi w / 2^24 for a whole w below 2^24. Source: Cephes, sinf.c.
fn circle(w: u32) -> vec2<f32> {
    let quarter = (w + 0x200000u) >> 22u;
    // At most an eighth of the circle either way, exact.
    let a = f32(i32(w) - i32(quarter << 22u)) * 3.7450702829e-7;
    let z = a * a;
    let s = a + a * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5));
    var v = vec2<f32>(c, s);
    if ((quarter & 1u) != 0u) {
        v = vec2<f32>(-s, c);
    }
    return select(v, -v, (quarter & 2u) != 0u);
}

// Two independent normal numbers from two words below 2^24.
fn normals(words: vec2<u32>) -> vec2<f32> {
    // 1 - u is a whole number of 2^-24 and not 0.
    let radius = sqrt(2.0 * minus_ln(f32(0x1000000u - words.x) * 5.9604644775390625e-8));
    return radius * circle(words.y);
}

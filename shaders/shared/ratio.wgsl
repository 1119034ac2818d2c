// Exact arithmetic on the ratio of two extents. With WIDE a product does not fit 32 bits, and it is multiplied and divided bit by bit.

// Quotient and remainder of i * a / d. All three, and the quotient, are below 2^31.
fn ratio(i: u32, a: u32, d: u32) -> vec2<u32> {
#if WIDE
    let whole = a / d;
    let part = a % d;
    var quotient = 0u;
    var rest = 0u;
    for (var bit = 31u; bit > 0u; bit--) {
        quotient = 2u * quotient;
        rest = 2u * rest;
        if (rest >= d) {
            rest -= d;
            quotient += 1u;
        }
        if (((i >> (bit - 1u)) & 1u) == 1u) {
            quotient += whole;
            rest += part;
            if (rest >= d) {
                rest -= d;
                quotient += 1u;
            }
        }
    }
    return vec2<u32>(quotient, rest);
#else
    let product = i * a;
    return vec2<u32>(product / d, product % d);
#end
}

// The same, rounded up.
fn ratio_up(i: u32, a: u32, d: u32) -> u32 {
    let found = ratio(i, a, d);
    return found.x + select(0u, 1u, found.y > 0u);
}

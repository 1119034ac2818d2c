// Threefry-2x32-20 (Salmon et al., SC 2011). Twin: src/contract/random.rs.

fn rotate_left(x: u32, n: u32) -> u32 {
    return (x << n) | (x >> (32u - n));
}

fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let k2 = key.x ^ key.y ^ 0x1BD11BDAu;
    var a = counter.x + key.x;
    var b = counter.y + key.y;
    a += b; b = rotate_left(b, 13u) ^ a;
    a += b; b = rotate_left(b, 15u) ^ a;
    a += b; b = rotate_left(b, 26u) ^ a;
    a += b; b = rotate_left(b, 6u) ^ a;
    a += key.y; b += k2 + 1u;
    a += b; b = rotate_left(b, 17u) ^ a;
    a += b; b = rotate_left(b, 29u) ^ a;
    a += b; b = rotate_left(b, 16u) ^ a;
    a += b; b = rotate_left(b, 24u) ^ a;
    a += k2; b += key.x + 2u;
    a += b; b = rotate_left(b, 13u) ^ a;
    a += b; b = rotate_left(b, 15u) ^ a;
    a += b; b = rotate_left(b, 26u) ^ a;
    a += b; b = rotate_left(b, 6u) ^ a;
    a += key.x; b += key.y + 3u;
    a += b; b = rotate_left(b, 17u) ^ a;
    a += b; b = rotate_left(b, 29u) ^ a;
    a += b; b = rotate_left(b, 16u) ^ a;
    a += b; b = rotate_left(b, 24u) ^ a;
    a += key.y; b += k2 + 4u;
    a += b; b = rotate_left(b, 13u) ^ a;
    a += b; b = rotate_left(b, 15u) ^ a;
    a += b; b = rotate_left(b, 26u) ^ a;
    a += b; b = rotate_left(b, 6u) ^ a;
    a += k2; b += key.x + 5u;
    return vec2<u32>(a, b);
}

// The random words of elements 2 * pair and 2 * pair + 1 in step `t` of a stream.
fn stream_words(seed: vec2<u32>, stream: u32, t: u32, pair: u32) -> vec2<u32> {
    return threefry2x32(vec2<u32>(seed.x ^ stream, seed.y), vec2<u32>(pair, t));
}

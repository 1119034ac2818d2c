// Index arithmetic that kernels share.

// The element of this invocation in a grid made by `grid()` (src/contract/launch.rs): long grids are folded into y.
fn linear_id(gid: vec3<u32>, groups: vec3<u32>) -> u32 {
    return gid.y * groups.x * ${GROUP}u + gid.x;
}

// The first window along an axis that reaches cell `at`, counted in the padded image.
fn first_window(at: u32, kernel: u32, stride: u32) -> u32 {
    return select(0u, (at - kernel) / stride + 1u, at >= kernel);
}

// clock[STEP] += 1, unless the clock shows a fault
// Shapes: clock [8]. One invocation does it. Twin: src/ops/tick.rs.
#include "clock"

struct Params {
    steps: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> clock: array<u32>;

@compute @workgroup_size(1)
fn tick() {
    if (clock[CLOCK_FAULT] == 0u) {
        clock[CLOCK_STEP] += p.steps;
    }
}

// ring[(k mod rows) * columns + column] = value, for step k of the epoch
// Shapes: ring [rows * columns], clock [8], schedule [1 + steps], value [1] (its bits, whatever its type). One invocation does it.
// Twin: src/ops/record.rs.
#include "clock"

struct Params {
    column: u32,
    columns: u32,
    rows: u32,
    steps: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> ring: array<u32>;
@group(0) @binding(2) var<storage, read> clock: array<u32>;
@group(0) @binding(3) var<storage, read> schedule: array<u32>;
@group(0) @binding(4) var<storage, read> value: array<u32>;

@compute @workgroup_size(1)
fn record() {
    let t = clock[CLOCK_STEP];
    let fault = clock[CLOCK_FAULT];
    if (fault == 0u || fault == t + 1u) {
        let k = step_of_epoch(t, schedule[SCHEDULE_BASE], p.steps);
        ring[(k % p.rows) * p.columns + p.column] = value[0];
    }
}

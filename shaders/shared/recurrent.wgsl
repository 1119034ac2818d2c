// What the recurrent kernels share. Each launch computes one time step of all states (sample, unit). With LANES == 1 an invocation
// has a state to itself; else LANES of a workgroup share one, take every LANES-th term of its sums, and add their parts in the
// order of the lanes. Neighbouring invocations have neighbouring units, so that they read a row of the weights together. `p` is the
// kernel's Params, with n, units, time, t and other; `index` and `bits` must be included before.

const LANES: u32 = ${LANES}u;

#if LANES == 1
fn state_of(gid: vec3<u32>, group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return linear_id(gid, groups);
}

fn lane_of(local: u32) -> u32 {
    return 0u;
}

fn total(local: u32, part: ${SUM}) -> ${SUM} {
    return part;
}
#else
// States of a workgroup.
const STATES: u32 = ${WIDTH / LANES}u;

var<workgroup> parts: array<${SUM}, ${WIDTH}>;

fn state_of(gid: vec3<u32>, group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * STATES + local % STATES;
}

fn lane_of(local: u32) -> u32 {
    return local / STATES;
}

// To be called once, by all invocations.
fn total(local: u32, part: ${SUM}) -> ${SUM} {
    parts[local] = part;
    workgroupBarrier();
    var sum = parts[local % STATES];
    for (var lane = 1u; lane < LANES; lane++) {
        sum += parts[lane * STATES + local % STATES];
    }
    return sum;
}
#end

// A driver's exp and tanh may overflow into NaN, and clamp may lose one.
fn sigmoid(x: f32) -> f32 {
    return select(1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0))), x, is_nan_bits(x));
}

fn bounded_tanh(x: f32) -> f32 {
    return select(tanh(clamp(x, -15.0, 15.0)), x, is_nan_bits(x));
}

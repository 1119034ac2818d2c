// Walking a tensor [outer, c, inner] one column at a time: the c elements that share an outer and an inner index. Element j of a
// column lies at first_of(column) + j * p.inner. With LANES == 1 an invocation has a column to itself; else a workgroup of LANES
// invocations shares it, lane by lane, and sums are trees of a fixed shape. `p` is the kernel's Params, with columns, c and inner; `bits` must be
// included before.

const LANES: u32 = ${LANES}u;

fn first_of(column: u32) -> u32 {
    return column / p.inner * p.c * p.inner + column % p.inner;
}

#if LANES == 1
fn column_of(gid: vec3<u32>, group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return linear_id(gid, groups);
}

fn lane_of(local: u32) -> u32 {
    return 0u;
}

fn column_sum(lane: u32, v: f32) -> f32 {
    return v;
}

fn column_max(lane: u32, v: f32) -> f32 {
    return v;
}
#else
var<workgroup> partial: array<f32, ${LANES}>;

fn column_of(gid: vec3<u32>, group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.y * groups.x + group.x;
}

fn lane_of(local: u32) -> u32 {
    return local;
}

fn column_sum(lane: u32, v: f32) -> f32 {
    partial[lane] = v;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    workgroupBarrier();
    let all = partial[0];
    // The next call writes `partial` again.
    workgroupBarrier();
    return all;
}

fn column_max(lane: u32, v: f32) -> f32 {
    partial[lane] = v;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] = larger(partial[lane], partial[lane + half]);
        }
    }
    workgroupBarrier();
    let all = partial[0];
    workgroupBarrier();
    return all;
}
#end

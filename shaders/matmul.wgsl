// y = op(a) op(b) (+ bias) (then relu)
// Shapes: a [.., m, k] or with TA [.., k, m]; b [.., k, n] or with TB [.., n, k]; bias [n]; y [.., m, n]; batch in z, with
// strides that are 0 along broadcast dimensions. Sums run over k in ascending order in both forms. Twin: src/ops/matmul.rs.
//
// matmul_tiled: a workgroup computes BM x BN outputs, an invocation TM x TN of them in named registers; BK columns of a and rows
//   of b at a time lie in workgroup memory.
// matmul_register: an invocation computes TM x TN outputs straight from storage; the fast form on software adapters, where
//   workgroup memory costs as much as storage.

struct Params {
    batch: array<vec4<u32>, 2>,
    a_strides: array<vec4<u32>, 2>,
    b_strides: array<vec4<u32>, 2>,
    m: u32,
    n: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
#if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#end

// Where matrix `z` of the batch starts in a (x) and b (y).
fn bases(z: u32) -> vec2<u32> {
    var rest = z;
    var at = vec2<u32>(0u, 0u);
#for r in 0..BATCH_RANK
    at += rest % p.batch[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}]
        * vec2<u32>(p.a_strides[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}],
                    p.b_strides[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}]);
    rest /= p.batch[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}];
#end
    return at;
}

fn a_index(row: u32, k: u32) -> u32 {
#if TA
    return k * p.m + row;
#else
    return row * p.k + k;
#end
}

fn b_index(k: u32, column: u32) -> u32 {
#if TB
    return column * p.k + k;
#else
    return k * p.n + column;
#end
}

fn store(z: u32, row: u32, column: u32, sum: f32) {
    if (row < p.m && column < p.n) {
        var v = sum;
#if BIAS
        v += bias[column];
#end
#if RELU
        v = select(v, 0.0, v < 0.0);
#end
        y[(z * p.m + row) * p.n + column] = v;
    }
}

#if TILED
var<workgroup> tile_a: array<f32, ${BK * BM}>;
var<workgroup> tile_b: array<f32, ${BK * BN}>;

@compute @workgroup_size(${BN / TN}, ${BM / TM})
fn matmul_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let base = bases(group.z);
    let row0 = group.y * ${BM}u;
    let column0 = group.x * ${BN}u;
#for i in 0..TM
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
    for (var k0 = 0u; k0 < p.k; k0 += ${BK}u) {
        // Neighbouring lanes read neighbouring addresses, whichever way the operand is stored.
#for l in 0..(BM * BK * TM * TN / (BM * BN))
        {
            let e = lane + ${l * BM * BN / (TM * TN)}u;
#if TA
            let r = e % ${BM}u;
            let k = e / ${BM}u;
#else
            let r = e / ${BK}u;
            let k = e % ${BK}u;
#end
            var v = 0.0;
            if (row0 + r < p.m && k0 + k < p.k) {
                v = a[base.x + a_index(row0 + r, k0 + k)];
            }
            tile_a[k * ${BM}u + r] = v;
        }
#end
#for l in 0..(BN * BK * TM * TN / (BM * BN))
        {
            let e = lane + ${l * BM * BN / (TM * TN)}u;
#if TB
            let c = e / ${BK}u;
            let k = e % ${BK}u;
#else
            let c = e % ${BN}u;
            let k = e / ${BN}u;
#end
            var v = 0.0;
            if (column0 + c < p.n && k0 + k < p.k) {
                v = b[base.y + b_index(k0 + k, column0 + c)];
            }
            tile_b[k * ${BN}u + c] = v;
        }
#end
        workgroupBarrier();
        for (var k = 0u; k < ${BK}u; k++) {
#for i in 0..TM
            let a${i} = tile_a[k * ${BM}u + local.y * ${TM}u + ${i}u];
#end
#for j in 0..TN
            let b${j} = tile_b[k * ${BN}u + local.x * ${TN}u + ${j}u];
#end
#for i in 0..TM
#for j in 0..TN
            s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
        }
        workgroupBarrier();
    }
#for i in 0..TM
#for j in 0..TN
    store(group.z, row0 + local.y * ${TM}u + ${i}u, column0 + local.x * ${TN}u + ${j}u, s${i}_${j});
#end
#end
}
#else
@compute @workgroup_size(8, 1)
fn matmul_register(@builtin(global_invocation_id) gid: vec3<u32>) {
    let row0 = gid.y * ${TM}u;
    let column0 = gid.x * ${TN}u;
    if (row0 >= p.m || column0 >= p.n) {
        return;
    }
    let base = bases(gid.z);
    // Rows and columns past the edge repeat the last one, so that loads need no test; their sums are not stored.
#for i in 0..TM
    let r${i} = min(row0 + ${i}u, p.m - 1u);
#end
#for j in 0..TN
    let c${j} = min(column0 + ${j}u, p.n - 1u);
#end
#for i in 0..TM
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
    for (var k = 0u; k < p.k; k++) {
#for i in 0..TM
        let a${i} = a[base.x + a_index(r${i}, k)];
#end
#for j in 0..TN
        let b${j} = b[base.y + b_index(k, c${j})];
#end
#for i in 0..TM
#for j in 0..TN
        s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
    }
#for i in 0..TM
#for j in 0..TN
    store(gid.z, row0 + ${i}u, column0 + ${j}u, s${i}_${j});
#end
#end
}
#end

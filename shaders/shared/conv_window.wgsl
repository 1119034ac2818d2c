// The convolutions where an invocation sees a whole window of neighbouring columns: for software adapters, where a load costs as much as
// dozens of products, and for strides and dilations of 1 along the columns. Part of conv.wgsl.
//
// conv_forward_window, conv_grad_x_window: an invocation computes TM channels by TN neighbouring columns of a row. It loads the
//   TN + KW - 1 columns that their KW taps see once for all of them.
// conv_grad_w_window: an invocation computes the gradient of TM output channels by TI input channels by TR rows and KW columns of taps. It
//   walks along the rows of dy, and with it walks the window of x.
// Sums run over k in the order of the other forms. With SPLIT, the channels that are seen and their rows of taps are one loop, of which
// each split has a part.

// Sums leave their registers through an array, so that they are stored by a loop: what one store compiles to is long here.
#if KIND == grad_w
fn plane_taps() -> u32 {
    return p.kd * p.kh * ${KW}u;
}

@compute @workgroup_size(${GROUP})
fn conv_grad_w_window(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // Neighbours are parts of one sum.
    let id = linear_id(gid, groups);
    let split = id % p.splits;
    var rest = id / p.splits;
    let tap_rows = p.kd * p.kh / ${TR}u;
    let tap_row = rest % tap_rows * ${TR}u;
    rest /= tap_rows;
    let input0 = rest % p.column_tiles * ${TI}u;
    rest /= p.column_tiles;
    let row0 = rest % p.row_tiles * ${TM}u;
    let g = rest / p.row_tiles;
    if (g >= p.groups) {
        return;
    }
    let first_tap_row = tap_row % p.kh;
    let positions = p.od * p.oh * p.ow;
    // Channels past the last repeat it, so that loads need no test; their sums are not stored.
#for i in 0..TM
    let r${i} = min(row0 + ${i}u, p.rows - 1u) * positions;
#end
#for c in 0..TI
    let c${c} = min(input0 + ${c}u, p.group_in - 1u) * (p.d * p.h * p.w);
#end
#for i in 0..TM
#for c in 0..TI
#for r in 0..TR
#for s in 0..KW
    var s${i}_${c}_${r}_${s} = 0.0;
#end
#end
#end
#end
    let start = split * p.chunk;
    let end = min(start + p.chunk, p.k);
    var k = start;
    while (k < end) {
        // What there is of one row of dy.
        let line = k / p.ow;
        let column = k - line * p.ow;
        let stop = min(p.ow - column, end - k);
        let oy = line % p.oh;
#if DEPTH
        let oz = line / p.oh % p.od;
        let sample = line / (p.oh * p.od);
        let iz = oz * p.stride_d + tap_row / p.kh * p.dilation_d - p.pad_front;
        let slice = iz < p.d;
        let dy_base = (((sample * p.c_out + g * p.group_out) * p.od + oz) * p.oh + oy) * p.ow + column;
        let x_base = ((sample * p.c_in + g * p.group_in) * p.d + iz) * p.h;
#else
        let sample = line / p.oh;
        let slice = true;
        let dy_base = ((sample * p.c_out + g * p.group_out) * p.oh + oy) * p.ow + column;
        let x_base = (sample * p.c_in + g * p.group_in) * p.h;
#end
        var at = column - p.pad_left;
#for r in 0..TR
        let iy${r} = oy * p.stride_h + (first_tap_row + ${r}u) * p.dilation_h - p.pad_top;
        let inside${r} = slice && iy${r} < p.h;
        let x${r} = select(0u, (x_base + iy${r}) * p.w, inside${r});
#for c in 0..TI
#for s in 0..(KW - 1)
        var v${c}_${r}_${s} = padded(x${r} + c${c}, at + ${s}u, inside${r});
#end
#end
#end
        at += ${KW - 1}u;
        for (var j = 0u; j < stop; j++) {
#for i in 0..TM
            let d${i} = dy[dy_base + r${i} + j];
#end
#for c in 0..TI
#for r in 0..TR
            let v${c}_${r}_${KW - 1} = padded(x${r} + c${c}, at, inside${r});
#for s in 0..KW
#for i in 0..TM
            s${i}_${c}_${r}_${s} = fma(d${i}, v${c}_${r}_${s}, s${i}_${c}_${r}_${s});
#end
#end
#for s in 0..(KW - 1)
            v${c}_${r}_${s} = v${c}_${r}_${s + 1};
#end
#end
#end
            at += 1u;
        }
        k += stop;
    }
    var sums: array<f32, ${TM * TI * TR * KW}>;
#for i in 0..TM
#for c in 0..TI
#for r in 0..TR
#for s in 0..KW
    sums[${((i * TI + c) * TR + r) * KW + s}] = s${i}_${c}_${r}_${s};
#end
#end
#end
#end
    let rows = min(${TM}u, p.rows - row0);
    let inputs = min(${TI}u, p.group_in - input0);
    for (var i = 0u; i < rows; i++) {
        for (var c = 0u; c < inputs; c++) {
            let to = ((split * p.groups + g) * p.rows + row0 + i) * p.columns + (input0 + c) * plane_taps() + tap_row * ${KW}u;
            for (var t = 0u; t < ${TR * KW}u; t++) {
                dw[to + t] = sums[(i * ${TI}u + c) * ${TR * KW}u + t];
            }
        }
    }
}

fn padded(line: u32, column: u32, row: bool) -> f32 {
    let v = x[line + min(column, p.w - 1u)];
    return select(0.0, v, row && column < p.w);
}
#else
@compute @workgroup_size(${GROUP})
fn conv_${KIND}_window(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
#if KIND == forward
    let out = result();
    let seen = image();
    let seen_channels = p.group_in;
    let seen_all = p.c_in;
#else
    let out = image();
    let seen = result();
    let seen_channels = p.group_out;
    let seen_all = p.c_out;
#end
    let column0 = id % p.column_tiles * ${TN}u;
    let c = cut(id / p.column_tiles * out.y, out);
    // c.x counts samples within tiles of rows within groups.
    let batch = p.columns / (out.y * out.x * out_slices());
    let sample = c.x % batch;
    let tile = c.x / batch;
    let row0 = tile % p.row_tiles * ${TM}u;
#if SPLIT
    let split = tile / p.row_tiles / p.groups;
    let g = tile / p.row_tiles % p.groups;
    if (split >= p.splits) {
        return;
    }
#else
    let g = tile / p.row_tiles;
    if (g >= p.groups) {
        return;
    }
#end
    let taps = p.kd * p.kh * ${KW}u;
    // Rows past the edge repeat the last one, so that loads need no test; their sums are not stored.
#for i in 0..TM
#if KIND == forward
    let w${i} = (g * p.group_out + min(row0 + ${i}u, p.rows - 1u)) * p.group_in * taps;
#else
    let w${i} = (g * p.group_out * p.group_in + min(row0 + ${i}u, p.rows - 1u)) * taps;
#end
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
#if KIND == forward
    let first = column0 - p.pad_left;
#else
    let first = column0 + p.pad_left - ${KW - 1}u;
#end
#if SPLIT
    let start = split * p.chunk;
    let end = min(start + p.chunk, seen_channels * taps);
    for (var at = start; at < end; at += ${KW}u) {
        {
            let q = at / taps;
            let t = at % taps / ${KW}u;
#if KIND == forward
            var k = at;
#else
            var k = q * p.group_in * taps + at % taps;
#end
#else
    for (var q = 0u; q < seen_channels; q++) {
#if KIND == forward
        var k = q * taps;
#else
        var k = q * p.group_in * taps;
#end
        for (var t = 0u; t < p.kd * p.kh; t++) {
#end
#if KIND == forward
            let y = c.y * p.stride_h + t % p.kh * p.dilation_h - p.pad_top;
#else
            let y = c.y + p.pad_top - t % p.kh * p.dilation_h;
#end
            var inside = y < seen.x;
            var line = (sample * seen_all + g * seen_channels + q);
#if DEPTH
#if KIND == forward
            let z = c.w * p.stride_d + t / p.kh * p.dilation_d - p.pad_front;
#else
            let z = c.w + p.pad_front - t / p.kh * p.dilation_d;
#end
            inside = inside && z < seen.z;
            line = line * seen.z + z;
#end
            line = select(0u, (line * seen.x + y) * seen.y, inside);
#for u in 0..(TN + KW - 1)
            let v${u} = padded(line, first + ${u}u, seen.y, inside);
#end
#for s in 0..KW
#for i in 0..TM
            let a${i}_${s} = weight(w${i} + k + ${s}u);
#end
#end
#for s in 0..KW
#for i in 0..TM
#for j in 0..TN
#if KIND == forward
            s${i}_${j} = fma(a${i}_${s}, v${j + s}, s${i}_${j});
#else
            s${i}_${j} = fma(a${i}_${s}, v${j + KW - 1 - s}, s${i}_${j});
#end
#end
#end
#end
            k += ${KW}u;
        }
    }
    var sums: array<f32, ${TM * TN}>;
#for i in 0..TM
#for j in 0..TN
    sums[${i * TN + j}] = s${i}_${j};
#end
#end
    let rows = min(${TM}u, p.rows - row0);
    let columns = min(${TN}u, out.y - column0);
#if SPLIT
    let before = split * p.groups * p.rows * p.columns;
#else
    let before = 0u;
#end
    for (var i = 0u; i < rows; i++) {
#if KIND == forward
        let o = g * p.group_out + row0 + i;
        let to = index(sample * p.c_out + o, spatial(c), out) + column0 + before;
#if BIAS
        let shift = bias[o];
#end
#else
        let to = index(sample * p.c_in + g * p.group_in + row0 + i, spatial(c), out) + column0 + before;
#end
        for (var j = 0u; j < columns; j++) {
            var v = sums[i * ${TN}u + j];
#if BIAS
            v += shift;
#end
#if RESIDUAL
            v += residual[to + j];
#end
#if RELU
            v = select(v, 0.0, v < 0.0);
#end
#if KIND == forward
            y[to + j] = v;
#else
            dx[to + j] = v;
#end
        }
    }
}

fn out_slices() -> u32 {
#if KIND == forward
    return p.od;
#else
    return p.d;
#end
}

fn weight(i: u32) -> f32 {
    return w[i];
}

// A column of a row, or 0 outside: coordinates in the padding wrap around to large numbers, and one comparison finds them.
fn padded(line: u32, column: u32, columns: u32, row: bool) -> f32 {
#if KIND == forward
    let v = x[line + min(column, columns - 1u)];
#else
    let v = dy[line + min(column, columns - 1u)];
#end
#if PADDED
    return select(0.0, v, row && column < columns);
#else
    return v;
#end
}
#end

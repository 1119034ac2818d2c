// Mean and squared deviations of every row of a convolution's tile, which conv_tiled.wgsl has in registers: the corrected two-pass algorithm
// of moments.wgsl, by fours of rows as they lie in tile_a. The tiles are free by now. Each lane puts its sums there, for which there is room
// as BN / TN is at most 2 BK (see tiles.rs), and one lane for each four adds them up.
    let count = f32(min(${BN}u, part.columns - column0));
    let slot = lane_column * ${BM / 4}u + lane_row;
    var mean = vec4<f32>();
#for h in 0..(TM / 4)
    let bias${h} = four_biases(part, row + ${h * BM / TM * 4}u);
    var t${h} = vec4<f32>();
#for g in 0..(TN / 4)
#for j in 0..4
    t${h} += or_zero(part, column0 + (${g * BN / TN}u + lane_column) * 4u + ${j}u,
        vec4<f32>(s${4 * h}_${g}[${j}], s${4 * h + 1}_${g}[${j}], s${4 * h + 2}_${g}[${j}], s${4 * h + 3}_${g}[${j}]) + bias${h});
#end
#end
    tile_a[slot + ${h * BM / TM}u] = t${h};
#end
    workgroupBarrier();
    if (lane < ${BM / 4}u) {
        for (var c = 0u; c < ${BN / TN}u; c++) {
            mean += tile_a[c * ${BM / 4}u + lane];
        }
        mean /= count;
        tile_a[lane] = mean;
    }
    workgroupBarrier();
#for h in 0..(TM / 4)
    let m${h} = tile_a[${h * BM / TM}u + lane_row];
    // The deviations' own sum would be 0, were the mean exact.
    var d${h} = vec4<f32>();
    var q${h} = vec4<f32>();
#for g in 0..(TN / 4)
#for j in 0..4
    {
        let d = or_zero(part, column0 + (${g * BN / TN}u + lane_column) * 4u + ${j}u,
            vec4<f32>(s${4 * h}_${g}[${j}], s${4 * h + 1}_${g}[${j}], s${4 * h + 2}_${g}[${j}], s${4 * h + 3}_${g}[${j}]) + bias${h} - m${h});
        d${h} += d;
        q${h} += d * d;
    }
#end
#end
#end
    workgroupBarrier();
#for h in 0..(TM / 4)
    tile_a[slot + ${h * BM / TM}u] = d${h};
    tile_b[slot + ${h * BM / TM}u] = q${h};
#end
    workgroupBarrier();
    if (lane < ${BM / 4}u) {
        var sum = vec4<f32>();
        var squares = vec4<f32>();
        for (var c = 0u; c < ${BN / TN}u; c++) {
            sum += tile_a[c * ${BM / 4}u + lane];
            squares += tile_b[c * ${BM / 4}u + lane];
        }
        let rest = sum / count;
        squares -= sum * rest;
        for (var r = 0u; r < 4u; r++) {
            let o = row0 + lane * 4u + r;
            if (o < p.rows) {
                let to = ((part.group * p.group_out + o) * p.column_tiles + at.y) * 3u;
                moments[to] = mean[r];
                moments[to + 1u] = rest[r];
                moments[to + 2u] = squares[r];
            }
        }
    }

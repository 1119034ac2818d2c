use super::{Bound, Row, Values};
use galen::ops::warp::{DRAWS, Fill, Sampling, WarpMap};

/// Maps of all kinds: nothing, a flip, a quarter turn, half a pixel, and turned, magnified and shifted far out.
const MAPS: [[f32; 6]; 5] = [
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    [0.0, -1.0, 0.0, 1.0, 0.0, 0.0],
    [1.0, 0.0, 0.5, 0.0, 1.0, -0.25],
    [0.831_37, -0.612_91, 2.317_3, 0.571_53, 0.913_67, -7.123_9],
];

pub fn rows() -> Vec<Row> {
    let maps = |batch: usize| Values::Exactly((0..batch).flat_map(|i| MAPS[i % MAPS.len()]).collect());
    let mut rows = Vec::new();
    let fills = [("constant", Fill::Constant(3.0)), ("edge", Fill::Edge), ("reflect", Fill::Reflect)];
    for (name, fill) in fills {
        for (kind, sampling) in [("linear", Sampling::Linear), ("nearest", Sampling::Nearest)] {
            let row =
                Row::new(&format!("{kind}_{name}"), move |_, x| Ok(vec![x[0].warp(&x[1], None, sampling, fill)?]));
            let row = row.constant([5, 2, 7, 9], Values::Normal).constant([5, 6], maps(5));
            let exact = sampling == Sampling::Nearest;
            rows.push(row.bounds(if exact { Bound::Exact } else { Bound::Rounding(32.0) }, Bound::Exact));
        }
        let row = Row::new(&format!("classes_{name}"), move |_, x| {
            Ok(vec![x[0].warp_classes(&x[1], None, fill, 16_777_217)?])
        });
        rows.push(row.u32([5, 11, 13], 1000).constant([5, 6], maps(5)).bounds(Bound::Exact, Bound::Exact));
        let row = Row::new(&format!("elastic_{name}"), move |_, x| {
            Ok(vec![x[0].warp(&x[1], Some(&x[2]), Sampling::Linear, fill)?])
        });
        let row = row.constant([5, 1, 13, 11], Values::Normal).constant([5, 6], maps(5));
        rows.push(row.constant([5, 2, 6, 6], Values::Uniform(-2.0, 2.0)).bounds(Bound::Rounding(256.0), Bound::Exact));
    }
    let row = Row::new("one_pixel", |_, x| Ok(vec![x[0].warp(&x[1], None, Sampling::Linear, Fill::Reflect)?]));
    rows.push(row.constant([2, 1, 1, 1], Values::Normal).constant([2, 6], maps(2)).bounds(Bound::Exact, Bound::Exact));

    let identity = WarpMap::identity([31, 31]);
    let all = WarpMap {
        flip: [true; 2],
        quarter_turns: true,
        rotation: 180.0,
        shift: [0.1, 0.2],
        zoom: [0.5, 2.0],
        shear: 30.0,
        ..identity.clone()
    };
    let few = WarpMap { size: [33, 17], quarter_turns: false, ..all.clone() };
    for (name, op, batch) in [("map_identity", identity, 3), ("map_all", all, 67), ("map_few", few, 5)] {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].warp_map(&op)?]));
        let row = row.constant([batch, DRAWS], Values::Uniform(0.0, 1.0));
        rows.push(row.bounds(if name == "map_identity" { Bound::Exact } else { Bound::Rounding(32.0) }, Bound::Exact));
    }
    let row = Row::new("boxes", |_, x| Ok(vec![x[0].warp_boxes(&x[1], [9, 7])?]));
    let row = row.constant([5, 13, 4], Values::Uniform(0.0, 8.0)).constant([5, 6], maps(5));
    rows.push(row.bounds(Bound::Rounding(32.0), Bound::Exact));
    rows
}

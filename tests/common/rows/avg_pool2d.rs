use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::max_pool2d::PoolOptions;

pub fn rows() -> Vec<Row> {
    let plain = PoolOptions::new;
    let same = |kernel, stride| plain(kernel).stride(stride).padding(Padding::Same);
    let explicit = |kernel, stride, padding| plain(kernel).stride(stride).padding(Padding::Explicit(padding));
    let cases = [
        ("2x2", [2, 3, 4, 6], plain([2, 2])),
        ("2x2_leftover", [3, 5, 13, 27], plain([2, 2])),
        ("3x3_stride2", [2, 2, 7, 9], plain([3, 3]).stride([2, 2])),
        ("2x3_stride_1_2", [1, 3, 4, 7], plain([2, 3]).stride([1, 2])),
        ("2x2_stride3", [1, 3, 8, 11], plain([2, 2]).stride([3, 3])),
        ("same", [2, 2, 5, 6], same([3, 3], [2, 2])),
        ("same_stride1", [1, 2, 3, 4], same([2, 2], [1, 1])),
        ("explicit", [2, 1, 6, 5], explicit([3, 4], [2, 3], [[1, 2], [3, 0]])),
        ("one_cell", [2, 3, 4, 5], plain([1, 1])),
        ("whole_image", [2, 5, 7, 6], plain([7, 6])),
        ("one_row", [1, 1, 1, 9], plain([1, 3]).stride([1, 2])),
    ];
    let mut rows = Vec::new();
    for (name, shape, options) in cases {
        for include_pad in [false, true] {
            // Without padding both rules are one.
            if include_pad && options.padding == Padding::Valid {
                continue;
            }
            let name = format!("{name}{}", if include_pad { "_include_pad" } else { "" });
            let row = Row::new(&name, move |_, x| Ok(vec![x[0].avg_pool2d(options, include_pad)?]));
            rows.push(row.f32(shape, Values::Normal).bounds(Bound::Terms(12.0), Bound::Terms(16.0)));
        }
    }
    rows
}

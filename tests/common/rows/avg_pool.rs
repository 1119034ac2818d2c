use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::max_pool::PoolOptions;

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
        push(&mut rows, name, &shape, options);
    }
    signals(&mut rows);
    volumes(&mut rows);
    rows
}

fn signals(rows: &mut Vec<Row>) {
    let plain = PoolOptions::<1>::new;
    push(rows, "signal_2", &[2, 3, 9], plain([2]));
    // One invocation past a workgroup.
    push(rows, "signal_5_stride2", &[1, 1, 133], plain([5]).stride([2]));
    push(rows, "signal_same", &[2, 2, 8], plain([3]).stride([2]).padding(Padding::Same));
    push(rows, "signal_explicit", &[1, 2, 6], plain([4]).stride([3]).padding(Padding::Explicit([[3, 1]])));
    push(rows, "signal_of_one", &[2, 1, 1], plain([1]));
}

fn volumes(rows: &mut Vec<Row>) {
    let plain = PoolOptions::<3>::new;
    let explicit = Padding::Explicit([[1, 0], [0, 2], [2, 1]]);
    push(rows, "volume_2", &[2, 2, 4, 6, 4], plain([2, 2, 2]));
    push(rows, "volume_2_leftover", &[1, 3, 5, 7, 9], plain([2, 2, 2]));
    push(rows, "volume_3_stride2", &[1, 2, 5, 7, 6], plain([3, 3, 3]).stride([2, 2, 2]));
    push(rows, "volume_same", &[1, 2, 4, 5, 6], plain([3, 2, 3]).stride([2, 1, 2]).padding(Padding::Same));
    push(rows, "volume_explicit", &[2, 1, 4, 5, 3], plain([2, 3, 4]).stride([1, 2, 3]).padding(explicit));
    push(rows, "volume_slices_alone", &[1, 2, 5, 3, 4], plain([2, 1, 1]));
    push(rows, "volume_images", &[1, 2, 3, 4, 6], plain([1, 2, 2]));
    push(rows, "volume_of_one_slice", &[2, 2, 1, 5, 4], plain([1, 2, 3]).stride([1, 1, 2]));
    push(rows, "volume_one_slice_padded", &[1, 2, 1, 4, 4], plain([2, 2, 2]).padding(Padding::around(1)));
    push(rows, "whole_volume", &[2, 3, 3, 4, 2], plain([3, 4, 2]));
}

fn push<const N: usize>(rows: &mut Vec<Row>, name: &str, shape: &[usize], options: PoolOptions<N>) {
    let cells: usize = options.kernel.iter().product();
    for include_pad in [false, true] {
        // Without padding both rules are one.
        if include_pad && options.padding == Padding::Valid {
            continue;
        }
        let name = format!("{name}{}", if include_pad { "_include_pad" } else { "" });
        let row = Row::new(&name, move |_, x| Ok(vec![x[0].avg_pool(options, include_pad)?]));
        let bound = Bound::Terms(16.0f64.max(cells as f64));
        rows.push(row.f32(shape, Values::Normal).bounds(bound, bound));
    }
}

use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::max_pool::PoolOptions;

pub fn rows() -> Vec<Row> {
    let plain = PoolOptions::new;
    let same = |kernel, stride| plain(kernel).stride(stride).padding(Padding::Same);
    let explicit = |kernel, stride, padding| plain(kernel).stride(stride).padding(Padding::Explicit(padding));
    // Where windows overlap, a gradient is a sum of as many terms as windows cover an element; else it is a copy.
    let (copied, summed) = (Bound::Exact, Bound::Rounding(16.0));
    let cases = [
        ("2x2", [2, 3, 4, 6], plain([2, 2]), copied),
        ("2x2_leftover", [3, 5, 13, 27], plain([2, 2]), copied),
        ("3x3_stride2", [2, 2, 7, 9], plain([3, 3]).stride([2, 2]), summed),
        ("3x3_stride1", [2, 2, 5, 6], plain([3, 3]).stride([1, 1]), summed),
        ("2x3_stride_1_2", [1, 3, 4, 7], plain([2, 3]).stride([1, 2]), summed),
        ("2x2_stride3", [1, 3, 8, 11], plain([2, 2]).stride([3, 3]), copied),
        ("same", [2, 2, 5, 6], same([3, 3], [2, 2]), summed),
        ("same_stride1", [1, 2, 3, 4], same([2, 2], [1, 1]), summed),
        ("explicit", [2, 1, 6, 5], explicit([3, 4], [2, 3], [[1, 2], [3, 0]]), summed),
        ("one_cell", [2, 3, 4, 5], plain([1, 1]), copied),
        ("whole_image", [2, 5, 7, 6], plain([7, 6]), copied),
        ("one_row", [1, 1, 1, 9], plain([1, 3]).stride([1, 2]), summed),
        ("one_element", [1, 1, 1, 1], plain([1, 1]), copied),
    ];
    let mut rows = Vec::new();
    for (name, shape, options, backward) in cases {
        push(&mut rows, name, &shape, options, backward);
    }
    ties(&mut rows, "ties_2x2", &[2, 3, 6, 9], plain([2, 2]), &[2, 3, 3, 4]);
    ties(&mut rows, "ties_3x3", &[2, 2, 6, 5], plain([3, 3]).stride([1, 1]), &[2, 2, 4, 3]);
    ties(&mut rows, "ties_same", &[2, 2, 6, 5], same([3, 3], [2, 2]), &[2, 2, 3, 3]);
    signals(&mut rows);
    volumes(&mut rows);
    // An infinity is within no bound of itself, so where there are some the positions alone are compared.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    #[rustfmt::skip]
    let values = vec![
        1.0, nan, nan, nan, -inf, -inf, 0.0,
        inf, 2.0, nan, inf, -inf, -1.0, nan,
        -inf, -inf, 3.0, -0.0, 0.0, nan, nan,
        -inf, -inf, 0.0, inf, inf, nan, inf,
    ];
    for (name, options) in [("nan", plain([2, 2])), ("nan_same", same([3, 3], [1, 1]))] {
        let positions = Row::new(name, move |_, x| Ok(vec![x[0].max_pool2d_with_positions(options)?.1]));
        let both = Row::new(&format!("{name}_value"), move |_, x| {
            let (y, positions) = x[0].max_pool2d_with_positions(options)?;
            Ok(vec![y, positions])
        });
        let finite = values.iter().map(|v| if v.is_infinite() { -7.5 } else { *v }).collect();
        for (row, values) in [(positions, values.clone()), (both, finite)] {
            rows.push(row.constant([1, 1, 4, 7], Values::Exactly(values)).bounds(Bound::Exact, Bound::Exact));
        }
    }
    rows
}

fn signals(rows: &mut Vec<Row>) {
    let plain = PoolOptions::<1>::new;
    let (copied, summed) = (Bound::Exact, Bound::Rounding(16.0));
    push(rows, "signal_2", &[2, 3, 9], plain([2]), copied);
    // One invocation past a workgroup.
    push(rows, "signal_5_stride2", &[1, 1, 133], plain([5]).stride([2]), summed);
    push(rows, "signal_same", &[2, 2, 8], plain([3]).stride([2]).padding(Padding::Same), summed);
    push(rows, "signal_explicit", &[1, 2, 6], plain([4]).stride([3]).padding(Padding::Explicit([[3, 1]])), summed);
    push(rows, "signal_of_one", &[2, 1, 1], plain([1]), copied);
    ties(rows, "signal_ties", &[2, 3, 17], plain([3]).stride([2]), &[2, 3, 8]);
}

fn volumes(rows: &mut Vec<Row>) {
    let plain = PoolOptions::<3>::new;
    let explicit = Padding::Explicit([[1, 0], [0, 2], [2, 1]]);
    let (copied, summed) = (Bound::Exact, Bound::Rounding(16.0));
    push(rows, "volume_2", &[2, 2, 4, 6, 4], plain([2, 2, 2]), copied);
    push(rows, "volume_2_leftover", &[1, 3, 5, 7, 9], plain([2, 2, 2]), copied);
    push(rows, "volume_3_stride2", &[1, 2, 5, 7, 6], plain([3, 3, 3]).stride([2, 2, 2]), summed);
    push(rows, "volume_same", &[1, 2, 4, 5, 6], plain([3, 2, 3]).stride([2, 1, 2]).padding(Padding::Same), summed);
    push(rows, "volume_explicit", &[2, 1, 4, 5, 3], plain([2, 3, 4]).stride([1, 2, 3]).padding(explicit), summed);
    push(rows, "volume_slices_alone", &[1, 2, 5, 3, 4], plain([2, 1, 1]), copied);
    push(rows, "volume_images", &[1, 2, 3, 4, 6], plain([1, 2, 2]), copied);
    push(rows, "volume_of_one_slice", &[2, 2, 1, 5, 4], plain([1, 2, 3]).stride([1, 1, 2]), summed);
    push(rows, "volume_one_slice_padded", &[1, 2, 1, 4, 4], plain([2, 2, 2]).padding(Padding::around(1)), copied);
    push(rows, "whole_volume", &[2, 3, 3, 4, 2], plain([3, 4, 2]), copied);
    ties(rows, "volume_ties_2", &[2, 2, 4, 5, 6], plain([2, 2, 2]), &[2, 2, 2, 2, 3]);
    ties(rows, "volume_ties_3", &[1, 2, 4, 5, 3], plain([3, 3, 2]).stride([1, 1, 1]), &[1, 2, 2, 3, 2]);
}

/// Values, positions, and gradients where there are no ties.
fn push<const N: usize>(rows: &mut Vec<Row>, name: &str, shape: &[usize], options: PoolOptions<N>, backward: Bound) {
    let row = Row::new(name, move |_, x| {
        let (y, positions) = x[0].max_pool_with_positions(options)?;
        Ok(vec![y, positions])
    });
    rows.push(row.f32(shape, Values::Distinct).bounds(Bound::Exact, backward));
}

/// Ties have no finite differences: there the gradient is an output of the row, with the cotangent as its second input.
fn ties<const N: usize>(rows: &mut Vec<Row>, name: &str, shape: &[usize], options: PoolOptions<N>, output: &[usize]) {
    let row = Row::new(name, move |graph, x| {
        let (y, positions) = x[0].max_pool_with_positions(options)?;
        let dx = graph.gradients_from(&[(y.clone(), x[1].clone())], &x[..1])?;
        Ok(vec![y, positions, dx[0].clone()])
    });
    let bound = if options.stride == options.kernel { Bound::Exact } else { Bound::Rounding(16.0) };
    rows.push(row.constant(shape, Values::Whole(3)).constant(output, Values::Normal).bounds(bound, bound));
}

use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::max_pool2d::PoolOptions;

pub fn rows() -> Vec<Row> {
    let plain = PoolOptions::new;
    let same = |kernel, stride| plain(kernel).stride(stride).padding(Padding::Same);
    let explicit = |kernel, stride, padding| plain(kernel).stride(stride).padding(Padding::Explicit(padding));
    // Where windows overlap, a gradient is a sum of as many terms as windows cover an element; else it is a copy.
    let (copied, summed) = (Bound::Exact, Bound::Scale(16.0));
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
        let row = Row::new(name, move |_, x| {
            let (y, positions) = x[0].max_pool2d_with_positions(options)?;
            Ok(vec![y, positions])
        });
        rows.push(row.f32(shape, Values::Distinct).bounds(Bound::Exact, backward));
    }
    // Ties have no finite differences: there the gradient is an output of the row, with the cotangent as its second input.
    for (name, shape, options, output, bound) in [
        ("ties_2x2", [2, 3, 6, 9], plain([2, 2]), [2, 3, 3, 4], Bound::Exact),
        ("ties_3x3", [2, 2, 6, 5], plain([3, 3]).stride([1, 1]), [2, 2, 4, 3], Bound::Scale(16.0)),
        ("ties_same", [2, 2, 6, 5], same([3, 3], [2, 2]), [2, 2, 3, 3], Bound::Scale(16.0)),
    ] {
        let row = Row::new(name, move |graph, x| {
            let (y, positions) = x[0].max_pool2d_with_positions(options)?;
            let dx = graph.gradients_from(&[(y.clone(), x[1].clone())], &x[..1])?;
            Ok(vec![y, positions, dx[0].clone()])
        });
        rows.push(row.constant(shape, Values::Whole(3)).constant(output, Values::Normal).bounds(bound, bound));
    }
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

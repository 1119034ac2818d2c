use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], &[isize]); 10] = [
        ("all", &[3, 5], &[0, 1]),
        ("first", &[5, 3], &[0]),
        ("last", &[5, 3], &[-1]),
        ("middle", &[2, 7, 3], &[1]),
        ("outer_two", &[2, 3, 4], &[0, 2]),
        ("channels", &[5, 3, 9, 7], &[0, 2, 3]),
        ("none", &[4], &[]),
        ("group", &[3, 200], &[1]),
        ("group_strided", &[130, 5, 4], &[0, 2]),
        ("two_passes", &[17_000, 2], &[0]),
    ];
    let mut rows = Vec::new();
    for (name, shape, axes) in cases {
        let case = |kind: &str, f: fn(&galen::Var, &[isize], bool) -> galen::Result<galen::Var>, keep| {
            Row::new(&format!("{kind}_{name}"), move |_, x| Ok(vec![f(&x[0], axes, keep)?]))
        };
        rows.push(
            case("sum", galen::Var::sum, false).f32(shape, Values::Normal).bounds(Bound::Terms(16.0), Bound::Exact),
        );
        rows.push(
            case("mean", galen::Var::mean, true)
                .f32(shape, Values::Normal)
                .bounds(Bound::Terms(16.0), Bound::Ulps(4.0)),
        );
        if shape.iter().product::<usize>() < 2000 {
            let max = case("max", galen::Var::max, false);
            rows.push(max.f32(shape, Values::Distinct).bounds(Bound::Exact, Bound::Exact));
        }
    }
    let spread = |name: &str, from: &[usize], to: &'static [usize]| {
        Row::new(name, move |_, x| Ok(vec![x[0].broadcast_to(to)?]))
            .f32(from, Values::Normal)
            .bounds(Bound::Exact, Bound::Terms(16.0))
    };
    rows.push(spread("expand_new", &[5], &[3, 5]));
    rows.push(spread("expand_ones", &[2, 1, 5], &[2, 7, 5]));
    rows.push(spread("expand_scalar", &[], &[3, 70]));
    rows
}

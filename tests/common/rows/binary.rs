use super::{Bound, Row, Values};
use galen::{Result, Var};

type Function = fn(&Var, &Var) -> Result<Var>;

pub fn rows() -> Vec<Row> {
    let shapes: [(&str, &[usize], &[usize]); 6] = [
        ("same", &[3, 5], &[3, 5]),
        ("inner", &[2, 3, 5], &[3, 1]),
        ("both", &[2, 1, 5], &[3, 1]),
        ("scalar", &[7], &[]),
        ("grown", &[4], &[2, 3, 4]),
        ("long", &[33, 130], &[130]),
    ];
    let functions: [(&str, Function, Values, Values); 6] = [
        ("add", Var::add, Values::Normal, Values::Normal),
        ("sub", Var::sub, Values::Normal, Values::Normal),
        ("mul", Var::mul, Values::Normal, Values::Normal),
        ("div", Var::div, Values::Normal, Values::OffZero),
        ("maximum", Var::maximum, Values::Normal, Values::Uniform(-1.0, 1.0)),
        ("minimum", Var::minimum, Values::Normal, Values::Uniform(-1.0, 1.0)),
    ];
    let mut rows = Vec::new();
    for (name, f, a, b) in functions {
        for (shape, sa, sb) in shapes {
            let row = Row::new(&format!("{name}_{shape}"), move |_, x| Ok(vec![f(&x[0], &x[1])?]));
            rows.push(row.f32(sa, a.clone()).f32(sb, b.clone()).bounds(Bound::Ulps(4.0), Bound::Scale(32.0)));
        }
    }
    let mask = |name, f: Function| {
        Row::new(name, move |_, x| Ok(vec![f(&x[0], &x[1])?]))
            .constant([4, 9], Values::Whole(3))
            .constant([9], Values::Whole(3))
            .bounds(Bound::Exact, Bound::Exact)
    };
    rows.push(mask("greater_equal", Var::greater_equal));
    rows.push(mask("equal", Var::equal));
    rows
}

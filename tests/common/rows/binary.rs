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
    let functions: [(&str, Function, Values, Values); 7] = [
        ("add", Var::add, Values::Normal, Values::Normal),
        ("sub", Var::sub, Values::Normal, Values::Normal),
        ("mul", Var::mul, Values::Normal, Values::Normal),
        ("div", Var::div, Values::Normal, Values::OffZero),
        ("maximum", Var::maximum, Values::Normal, Values::Uniform(-1.0, 1.0)),
        ("pow", Var::pow, Values::Uniform(0.2, 3.0), Values::Uniform(-2.0, 2.0)),
        ("minimum", Var::minimum, Values::Normal, Values::Uniform(-1.0, 1.0)),
    ];
    let mut rows = Vec::new();
    for (name, f, a, b) in functions {
        for (shape, sa, sb) in shapes {
            let row = Row::new(&format!("{name}_{shape}"), move |_, x| Ok(vec![f(&x[0], &x[1])?]));
            // The WGSL of exp and log may be off by more than that of the rest.
            let bounds = match name {
                "pow" => (Bound::Ulps(48.0), Bound::Rounding(128.0)),
                _ => (Bound::Ulps(4.0), Bound::Rounding(32.0)),
            };
            rows.push(row.f32(sa, a.clone()).f32(sb, b.clone()).bounds(bounds.0, bounds.1));
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
    rows.push(mask("greater", Var::greater));
    rows.push(mask("less", Var::less));
    rows.push(mask("less_equal", Var::less_equal));
    rows.push(mask("not_equal", Var::not_equal));
    // Powers of negative numbers, of 0, and of what is no number; the gradient at 0 is none of NaN and infinity.
    let a = vec![-2.0, -2.0, -8.0, 0.0, 0.0, f32::NAN, 2.0, f32::NAN, -1.5];
    let b = vec![3.0, 2.0, 0.5, 0.0, 2.0, 1.0, f32::NAN, 0.0, -2.0];
    let row = Row::new("pow_odd", |_, x| Ok(vec![x[0].pow(&x[1])?]));
    let row = row.constant([9], Values::Exactly(a)).constant([9], Values::Exactly(b));
    rows.push(row.bounds(Bound::Ulps(48.0), Bound::Exact));
    let row = Row::new("pow_gradient_at_0", |g, x| {
        let y = x[0].pow(&x[1])?;
        g.gradients_from(&[(y, x[2].clone())], &x[..2])
    });
    let row = row.constant([4], Values::Exactly(vec![0.0, 0.0, -2.0, 0.0]));
    let row = row.constant([4], Values::Exactly(vec![0.0, 2.0, 2.0, 1.0])).constant([4], Values::Normal);
    rows.push(row.bounds(Bound::Ulps(48.0), Bound::Exact));
    rows
}

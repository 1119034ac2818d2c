//! Chains are made of element-wise ops by fusion: each kind of link, inputs that broadcast, and gradients, which are chains again.

use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let (normal, off_zero) = (Values::Normal, Values::OffZero);
    let scale = |row: Row| row.bounds(Bound::Rounding(64.0), Bound::Rounding(256.0));
    vec![
        scale(Row::new("add_relu", |_, x| Ok(vec![x[0].add(&x[1])?.relu()?])))
            .f32([3, 5, 7], off_zero.clone())
            .f32([3, 5, 7], normal.clone()),
        scale(Row::new("scale_shift", |_, x| Ok(vec![x[0].scale(0.5)?.shift(-0.25)?]))).f32([130], normal.clone()),
        scale(Row::new("one", |_, x| Ok(vec![x[0].neg()?.exp()?]))).f32([1], normal.clone()),
        scale(Row::new("scalars", |_, x| Ok(vec![x[0].mul(&x[1])?.tanh()?])))
            .f32([0; 0], normal.clone())
            .f32([0; 0], normal.clone()),
        // Functions with constants and with code of their own.
        scale(Row::new("activations", |_, x| {
            Ok(vec![x[0].leaky_relu(0.2)?.gelu()?.mul(&x[0].clip(-1.5, 1.25)?)?.mish()?.elu(0.5)?])
        }))
        .f32([9, 33], off_zero.clone()),
        scale(Row::new("broadcast", |_, x| Ok(vec![x[0].mul(&x[1])?.add(&x[2])?.sigmoid()?.sub(&x[3])?])))
            .f32([2, 3, 5, 7], normal.clone())
            .f32([3, 1, 1], normal.clone())
            .f32([7], normal.clone())
            .f32([2, 1, 5, 1], normal.clone()),
        scale(Row::new("select", |_, x| Ok(vec![x[0].greater(&x[1])?.select(&x[0].square()?, &x[1].scale(3.0)?)?])))
            .f32([4, 70], normal.clone())
            .f32([4, 70], normal.clone()),
        // More than one invocation's elements, and more than a block of the twin's.
        scale(Row::new("long", |_, x| Ok(vec![x[0].maximum(&x[1])?.mul(&x[0])?.abs()?.sqrt()?])))
            .f32([3, 701], off_zero)
            .f32([701], normal.clone()),
        scale(Row::new("seven_inputs", |_, x| {
            x[1..].iter().try_fold(x[0].clone(), |sum, x| sum.add(x)).map(|sum| vec![sum])
        }))
        .f32([65], normal.clone())
        .f32([65], normal.clone())
        .f32([65], normal.clone())
        .f32([65], normal.clone())
        .f32([65], normal.clone())
        .f32([65], normal.clone())
        .f32([65], normal),
    ]
}

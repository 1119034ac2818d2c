//! `ops.json`: the first ops.

use galen::{Result, Var};

use super::case::{Given, y};
use super::conv::{conv, pool};
use super::{list, whole};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let input = |name: &str| given.var(name);
    let (x, a, b) = (|| input("x"), || input("a"), || input("b"));
    let (axis, axes, keep) = (|| given.axis(), || given.axes(), || given.flag("keepdims"));
    let found = match op {
        "conv2d" => x().conv2d(input("w"), &conv(given)),
        "max_pool2d" => {
            let (y, positions) = x().max_pool2d_with_positions(pool(given))?;
            return Ok(vec![("y", y), ("positions", positions)]);
        }
        "avg_pool2d" => x().avg_pool2d(pool(given), given.flag("count_include_pad")),
        "softmax" => x().softmax(axis()),
        "log_softmax" => x().log_softmax(axis()),
        "cross_entropy_logits" => input("logits").cross_entropy(input("targets"), -1, true),
        "cross_entropy_probs" => {
            assert!(!given.flag("normalize") && given.number("epsilon") == 1e-7, "not Galen's definition");
            input("probs").cross_entropy(input("targets"), -1, false)
        }
        "mse" => {
            let squares = input("pred").sub(input("target"))?.square()?;
            match given.text("reduction") {
                "last_axis" => squares.mean(&[-1], false),
                "all" => squares.mean_all(),
                other => panic!("mse reduced over {other}"),
            }
        }
        "matmul" => a().matmul_with(b(), given.flag("transpose_a"), given.flag("transpose_b")),
        "add" => a().add(b()),
        "sub" => a().sub(b()),
        "mul" => a().mul(b()),
        "div" => a().div(b()),
        "maximum" => a().maximum(b()),
        "minimum" => a().minimum(b()),
        "neg" => x().neg(),
        "exp" => x().exp(),
        "log" => x().log(),
        "sqrt" => x().sqrt(),
        "square" => x().square(),
        "abs" => x().abs(),
        "sigmoid" => x().sigmoid(),
        "tanh" => x().tanh(),
        "relu" => x().relu(),
        "sum" => x().sum(&axes(), keep()),
        "mean" => x().mean(&axes(), keep()),
        "max" => x().max(&axes(), keep()),
        "argmax" => x().argmax(axis()),
        "gather" => {
            assert_eq!(axis(), 0, "gather takes rows");
            input("table").gather(input("ids"))
        }
        // x0, x1, ..: the file's objects are read in the order of their names.
        "concat" => Var::concat(&given.vars(), axis()),
        "pad" => {
            let around = list(given.attr("pads"), |pair| (whole(&pair[0]), whole(&pair[1])));
            x().pad(&around, given.number("value") as f32)
        }
        "slice" => {
            let (begin, size) = (given.wholes("begin"), given.wholes("size"));
            let ranges: Vec<(usize, usize)> = begin.iter().zip(size).map(|(b, size)| (*b, b + size)).collect();
            x().slice(&ranges)
        }
        "transpose" => x().transpose(&given.wholes("perm")),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(y(found?))
}

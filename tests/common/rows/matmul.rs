use super::{Bound, Row, Values};

/// Sizes around the tiles of both kernel forms: 1, one past a tile, several workgroups.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        for (m, k, n) in [(1, 1, 1), (5, 7, 3), (33, 17, 65), (9, 70, 33), (64, 32, 129)] {
            let a = if ta { [k, m] } else { [m, k] };
            let b = if tb { [n, k] } else { [k, n] };
            let name = format!("{m}x{k}x{n}_{}{}", if ta { "t" } else { "n" }, if tb { "t" } else { "n" });
            rows.push(row(&name, a.to_vec(), b.to_vec(), ta, tb));
        }
    }
    rows.push(row("batched", vec![3, 5, 4], vec![3, 4, 6], false, false));
    rows.push(row("broadcast", vec![2, 1, 5, 4], vec![3, 4, 6], false, false));
    rows.push(row("broadcast_nt", vec![2, 1, 5, 4], vec![3, 6, 4], false, true));
    rows.push(row("broadcast_matrix", vec![4, 5, 4], vec![4, 6], false, false));
    // Tiles of each size, with and without edges; EXACT ones have none.
    for (name, batch, m, k, n) in [
        ("exact_32", 1, 64, 16, 96),
        ("exact_64", 64, 64, 16, 64),
        ("exact_128", 128, 128, 8, 128),
        ("edges_64", 66, 50, 9, 61),
        ("edges_128", 130, 100, 7, 121),
    ] {
        for (ta, tb) in [(false, false), (true, true)] {
            let a = if ta { [batch, k, m] } else { [batch, m, k] };
            let b = if tb { [batch, n, k] } else { [batch, k, n] };
            let name = format!("{name}_{}{}", if ta { "t" } else { "n" }, if tb { "t" } else { "n" });
            let mut row = row(&name, a.to_vec(), b.to_vec(), ta, tb);
            // Their gradients are products of the same kind.
            row.wrt.clear();
            rows.push(row);
        }
    }
    // The sum over k in parts: of one length, the last one shorter, with broadcast operands.
    rows.push(row("split", vec![5, 1000], vec![1000, 7], false, false));
    rows.push(row("split_tt", vec![768, 32], vec![64, 768], true, true));
    rows.push(row("split_broadcast", vec![2, 3, 520], vec![520, 4], false, false));
    for (relu, k) in [(false, 33), (true, 33), (false, 777), (true, 777)] {
        // Bias and ReLU are fused into the product when nothing else sees it.
        let build = move |_: &galen::Graph, x: &[galen::Var]| {
            let sum = x[0].matmul(&x[1])?.add(&x[2])?;
            Ok(vec![if relu { sum.relu()? } else { sum }])
        };
        let row = Row::new(&format!("{}_{k}", if relu { "bias_relu" } else { "bias" }), build);
        let row = row.f32([9, k], Values::Normal).f32([k, 70], Values::Normal).f32([70], Values::Normal);
        rows.push(row.bounds(Bound::Terms(16.0), Bound::Terms(24.0)));
    }
    rows
}

fn row(name: &str, a: Vec<usize>, b: Vec<usize>, ta: bool, tb: bool) -> Row {
    Row::new(name, move |_, x| Ok(vec![x[0].matmul_with(&x[1], ta, tb)?]))
        .f32(a, Values::Normal)
        .f32(b, Values::Normal)
        .bounds(Bound::Terms(12.0), Bound::Terms(16.0))
}

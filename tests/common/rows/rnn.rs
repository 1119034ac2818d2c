use super::{Bound, Feed, Row, Values};
use galen::ops::rnn::RnnOptions;
use galen::{DType, Shape};

/// A recurrence's sizes, direction and lengths, for all three stems.
pub struct Case {
    pub name: String,
    pub batch: usize,
    pub time: usize,
    pub units: usize,
    pub reverse: bool,
    lengths: Option<Vec<f32>>,
}

impl Case {
    /// Gates, recurrent kernel and, where the op has one, recurrent bias.
    pub fn inputs(&self, row: Row, gates: usize, bias: bool) -> Row {
        let wide = gates * self.units;
        // States neither vanish nor run away.
        let limit = (self.units as f32).sqrt().recip();
        let row = row.f32([self.batch, self.time, wide], Values::Normal);
        let row = row.f32([self.units, wide], Values::Uniform(-limit, limit));
        if bias { row.f32([wide], Values::Normal) } else { row }
    }

    /// An initial state.
    pub fn state(&self, row: Row) -> Row {
        row.f32([self.batch, self.units], Values::Normal)
    }

    /// The lengths, if there are some, as the last input.
    pub fn lengths(&self, mut row: Row) -> Row {
        let values = self.lengths.clone().map(Values::Exactly);
        row.feeds.extend(values.map(|values| Feed { shape: Shape::from([self.batch]), dtype: DType::U32, values }));
        // tanh and exp of WGSL are less exact than those of libm (see the rows of unary), and errors go from step to step.
        row.bounds(Bound::Rounding(256.0), Bound::Rounding(1024.0))
    }
}

/// One state, several samples, one past a workgroup and one past what a CPU task takes; both directions; no lengths, none and all of
/// the steps, and more than there are.
pub fn cases() -> Vec<Case> {
    let sizes =
        [(1, 1, 1), (1, 1, 5), (3, 1, 33), (1, 2, 33), (3, 2, 1), (3, 7, 5), (1, 7, 33), (3, 7, 33), (17, 2, 5)];
    let mut cases = Vec::new();
    for (batch, time, units) in sizes {
        for reverse in [false, true] {
            let name = format!("{batch}x{time}x{units}{}", if reverse { "_reverse" } else { "" });
            cases.push(Case { name: name.clone(), batch, time, units, reverse, lengths: None });
            if batch > 1 {
                let all = [0, time, time / 2, time + 9, 1];
                let lengths = Some((0..batch).map(|i| all[i % all.len()] as f32).collect());
                cases.push(Case { name: name + "_lengths", batch, time, units, reverse, lengths });
            }
        }
    }
    cases
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for relu in [false, true] {
        for case in cases().into_iter().filter(|c| !relu || c.units == 5) {
            let name = format!("{}{}", case.name, if relu { "_relu" } else { "" });
            let options = RnnOptions { reverse: case.reverse, relu };
            let row = Row::new(&name, move |_, x| Ok(vec![x[0].rnn(&x[1], &x[2], x.get(3), options)?]));
            rows.push(case.lengths(case.state(case.inputs(row, 1, false))));
        }
    }
    rows
}

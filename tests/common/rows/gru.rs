use super::Row;
use super::rnn::cases;
use galen::ops::gru::GruOptions;

pub fn rows() -> Vec<Row> {
    let row = |case: super::rnn::Case| {
        let options = GruOptions { reverse: case.reverse };
        let row = Row::new(&case.name, move |_, x| Ok(vec![x[0].gru(&x[1], &x[2], &x[3], x.get(4), options)?]));
        case.lengths(case.state(case.inputs(row, 3, true)))
    };
    cases().into_iter().map(row).collect()
}

use super::Row;
use super::rnn::cases;
use galen::ops::lstm::LstmOptions;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for case in cases() {
        let options = LstmOptions { reverse: case.reverse };
        // The loss may use states and cells, or only one of them.
        let wanted: &[&str] = if case.name.starts_with("3x7x33") { &["", "_states", "_cells"] } else { &[""] };
        for wanted in wanted {
            let row = Row::new(&format!("{}{wanted}", case.name), move |_, x| {
                let (h, c) = x[0].lstm(&x[1], &x[2], &x[3], x.get(4), options)?;
                Ok(match *wanted {
                    "_states" => vec![h],
                    "_cells" => vec![c],
                    _ => vec![h, c],
                })
            });
            rows.push(case.lengths(case.state(case.state(case.inputs(row, 4, false)))));
        }
    }
    rows
}

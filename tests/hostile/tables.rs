//! What errors say of a table: a cell may be a patient's, and is quoted only where the user allows it.

use std::path::Path;

use galen::data::Table;
use galen::data::check_groups;
use galen::data::formats::arff;
use galen::data::formats::csv::Csv;
use galen::data::prepare::{Levels, OneHot};
use galen::{Error, Result};

const SECRET: &str = "Mustermann-1948";

/// Errors that have a cell to tell of.
fn errors() -> Vec<Error> {
    let csv = |text: &str, options: Csv| options.parse(text.replace('$', SECRET).as_bytes(), "t.csv");
    let arff = |text: &str| arff::parse(text.replace('$', SECRET).as_bytes(), "t.arff");
    let table = |text: &str| csv(text, Csv::new().texts(["a"])).expect("a table");
    let known = table("a\nx\ny\n");
    let other = table("a\n$\n");
    let one_hot = OneHot::fit(&known, "a", &[0, 1], &Levels::default()).expect("levels");
    let groups = [SECRET, "b", SECRET];
    let results: Vec<Result<()>> = vec![
        csv("a\n1\n2\n3\n$\n", Csv::new()).map(drop),
        csv("a\n$\n", Csv::new().numbers(["a"])).map(drop),
        arff("@attribute a numeric\n@data\n$\n").map(drop),
        arff("@attribute a {x}\n@data\n$\n").map(drop),
        arff("@attribute a numeric\n@attribute b numeric\n@data\n1 $\n").map(drop),
        arff("@attribute a numeric\n@data\n'$\n").map(drop),
        arff("@attribute a numeric\n@data\n{$ 1}\n").map(drop),
        one_hot.apply(&other).map(drop),
        other.numeric("a").map(drop),
        other.targets(&["a"]).map(drop),
        other.multi_label(&["a"]).map(drop),
        galen::data::Classes::fit(&known, "a", &[0, 1]).and_then(|classes| classes.apply(&other)).map(drop),
        check_groups(&groups, &[vec![0, 1], vec![2]]),
    ];
    results.into_iter().map(|result| result.expect_err("an error")).collect()
}

#[test]
fn cells_are_not_quoted() {
    for error in errors() {
        let message = error.to_string();
        assert!(!message.contains("Muster") && !message.contains("1948"), "{message}");
    }
}

/// The errors with what they quote.
pub fn show(_: &Path) -> Result<String> {
    let messages: Vec<String> = errors().iter().map(Error::to_string).collect();
    let quoted = messages.iter().filter(|message| message.contains(SECRET)).count();
    Ok(format!("{quoted} of {}", messages.len()))
}

#[test]
fn cells_are_quoted_where_a_user_allows_it() {
    let program = std::env::current_exe().expect("this program");
    let output = std::process::Command::new(program)
        .args(["--exact", "children::child", "--ignored", "--nocapture"])
        .envs([("GALEN_HOSTILE_PART", "show"), ("GALEN_HOSTILE_FOLDER", "."), ("GALEN_SHOW_VALUES", "1")])
        .output()
        .expect("a child");
    let (outcome, all) = (super::children::outcome(&output), errors().len());
    assert_eq!(outcome, format!("{all} of {all}"));
}

#[test]
fn names_and_texts_of_files_change_no_terminal() {
    let nasty = "a\u{1b}]0;x\u{7}b\u{202e}";
    let table = Table::new().with_numeric("x", vec![1.0]).expect("a table");
    let messages = [
        table.numeric(nasty).expect_err("no column").to_string(),
        Csv::new().read(nasty).expect_err("no file").to_string(),
        Csv::new().parse(format!("{nasty},{nasty}\n1,2\n").as_bytes(), "t.csv").expect_err("twice").to_string(),
        Csv::new().texts([nasty]).parse(b"a\n1\n", "t.csv").expect_err("no column").to_string(),
        galen::Device::named(nasty).expect_err("no device").to_string(),
    ];
    for message in messages {
        assert!(!message.chars().any(|c| c.is_control() || c == '\u{202e}'), "{message:?}");
    }
}

//! Small texts, each read as pandas reads it or refused by name. `make_pandas.py` says where the stored results come from.

use galen::data::Values;
use galen::data::formats::csv::{Csv, Extra};

use super::*;

/// The reader that a case asks for.
fn reader(how: &Value) -> Csv {
    let text = |key: &str| how[key].as_str();
    let list = |key: &str| -> Option<Vec<&str>> {
        how[key].as_array().map(|list| list.iter().map(|v| v.as_str().expect("a text")).collect())
    };
    let mut csv = Csv::new().header(how["header"].as_bool().unwrap_or(true));
    csv = match text("sep") {
        Some("spaces") => csv.spaces(),
        Some(sep) => csv.delimiter(sep.as_bytes()[0]),
        None => csv,
    };
    if text("decimal") == Some(",") {
        csv = csv.decimal_comma();
    }
    if let Some(thousands) = text("thousands") {
        csv = csv.thousands(thousands.as_bytes()[0]);
    }
    if let Some(comment) = text("comment") {
        csv = csv.comment(comment.as_bytes()[0]);
    }
    if let Some(markers) = list("also_missing") {
        csv = csv.also_missing(markers);
    }
    if let Some(markers) = list("missing") {
        csv = csv.missing(markers);
    }
    if let Some(names) = list("names") {
        csv = csv.names(names);
    }
    csv = match text("extra") {
        Some("Index") => csv.extra(Extra::Index),
        Some("DropLast") => csv.extra(Extra::DropLast),
        _ => csv,
    };
    if how.get("quote").is_some() {
        csv = csv.quote(None);
    }
    if how["latin1"].as_bool() == Some(true) { csv.latin1() } else { csv }
}

/// A refusal says one of these.
fn phrase(reason: &str) -> &'static str {
    match reason {
        "number" => "a number in line",
        "columns" | "pandas" => "one for each column",
        "names" => "every column's name once",
        "quotes" => "pairs of quotes",
        other => panic!("no such reason: {other}"),
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("texts").iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
}

/// Whether a table is what pandas made of the same text.
fn same(table: &Table, case: &Value) -> std::result::Result<(), String> {
    let equal = |what: &str, same: bool, found: &dyn std::fmt::Debug| {
        if same { Ok(()) } else { Err(format!("{what}: {found:?}")) }
    };
    equal("names", table.names() == strings(&case["names"]), &table.names())?;
    for ((name, values), wanted) in table.columns().zip(case["columns"].as_array().expect("columns")) {
        if wanted["texts"].is_array() {
            let wanted = strings(&wanted["texts"]);
            // A column of nothing has no kind.
            let kind = matches!(values, Values::Categorical(_)) || wanted.iter().all(String::is_empty);
            equal(name, kind && texts(table, name) == wanted, values)?;
            continue;
        }
        let Values::Numeric(found) = values else { return Err(format!("{name}: texts, not numbers")) };
        let wanted_numbers = numbers(&wanted["numbers"]);
        let each = found.iter().zip(&wanted_numbers).all(|(f, w)| f == w || (f.is_nan() && w.is_nan()));
        equal(name, each && found.len() == wanted_numbers.len(), values)?;
        if wanted["written"].is_array() {
            let ids = table.clone().to_categorical(&[name]).map_err(|e| e.to_string())?;
            // Digits stay apart as they are written; where all of them are as short as can be, nothing need be kept.
            equal(name, texts(&ids, name) == strings(&wanted["written"]), &texts(&ids, name))?;
        }
    }
    Ok(())
}

#[test]
fn every_text_is_read_as_pandas_reads_it_or_refused_by_name() {
    let cases: Value = serde_json::from_str(include_str!("pandas.json")).expect("JSON");
    let (mut wrong, mut read, mut refused) = (Vec::new(), 0, 0);
    for case in cases.as_array().expect("cases") {
        let text = case["text"].as_str().expect("a text");
        let bytes = match case["how"]["latin1"].as_bool() {
            Some(true) => text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect(),
            _ => text.as_bytes().to_vec(),
        };
        let found = reader(&case["how"]).parse(&bytes, "file.csv");
        let verdict = match (&found, case["refused"].as_array()) {
            (Ok(table), None) => same(table, case),
            (Err(error), Some(reasons)) => {
                refused += 1;
                let error = error.to_string();
                let named = reasons.iter().any(|reason| error.contains(phrase(reason.as_str().expect("a reason"))));
                if named { Ok(()) } else { Err(error) }
            }
            (Ok(table), Some(reasons)) => Err(format!("read as {table:?}, not refused: {reasons:?}")),
            (Err(error), None) => Err(format!("refused: {error}")),
        };
        read += usize::from(found.is_ok());
        if let Err(why) = verdict {
            wrong.push(format!("{text:?} with {}: {why}", case["how"]));
        }
    }
    assert!(wrong.is_empty(), "{} texts differ:\n{}", wrong.len(), wrong.join("\n"));
    // Both happen, and often.
    assert!(read > 250 && refused > 50, "{read} texts read, {refused} refused");
}

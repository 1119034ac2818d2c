use std::path::PathBuf;

use galen::data::formats::{arff, csv::Csv};
use galen::data::{Content, Values};

use super::*;

/// The folder with the public data.
fn folder(test: &str) -> Option<PathBuf> {
    skip::data(test, "tabular")
}

#[test]
fn public_sets_hold_what_others_read_in_them() {
    let Some(root) = folder("public_sets_hold_what_others_read_in_them") else { return };
    let sets = reference("sets");
    let sets = sets.as_object().expect("sets");
    assert_eq!(sets.len(), 15);
    for (file, wanted) in sets {
        let path = root.join(file);
        let table = if file.ends_with(".arff") {
            arff::read(&path)
        } else if file.ends_with("ecoli.data") {
            Csv::new().header(false).spaces().read(&path)
        } else if file.starts_with("cgm") {
            let how = if file.contains("colas") { Csv::new().numbers(["id", "gl"]) } else { Csv::new() };
            how.texts(["time"]).read(&path)
        } else {
            Csv::new().header(false).also_missing(["?"]).read(&path)
        };
        holds(file, &table.expect(file), wanted);
    }
}

/// The table has the rows, missing values, sums and levels of the reference.
fn holds(file: &str, table: &Table, wanted: &Value) {
    assert_eq!(table.rows() as u64, wanted["rows"].as_u64().expect("a number"), "{file}");
    let missing: Vec<u64> = table.columns().map(|(_, values)| values.missing() as u64).collect();
    let wanted_missing: Vec<u64> = numbers(&wanted["missing"]).into_iter().map(|v| v as u64).collect();
    assert_eq!(missing, wanted_missing, "{file}");
    if let Some(names) = wanted["names"].as_array() {
        assert!(names.iter().zip(table.names()).all(|(w, n)| w == n), "{file}: {:?}", table.names());
    }
    let columns = wanted["columns"].as_array().expect("columns");
    assert_eq!(columns.len(), table.names().len(), "{file}");
    for ((name, values), wanted) in table.columns().zip(columns) {
        let what = format!("{file}, {name}");
        match (values, wanted) {
            (Values::Numeric(x), Value::Number(sum)) => {
                let found: f64 = x.iter().filter(|v| !v.is_nan()).sum();
                let tolerance = 1e-9 * x.iter().map(|v| v.abs()).fold(1.0, f64::max) * x.len() as f64;
                assert!((found - sum.as_f64().expect("a sum")).abs() <= tolerance, "{what}: {found} is not {sum}");
            }
            (Values::Categorical(x), Value::String(levels)) => {
                assert_eq!(*levels, format!("{} levels", x.levels().len()), "{what}");
            }
            (Values::Categorical(_), Value::Object(wanted)) => {
                let description = table.select(&[name]).expect("a column").describe();
                let Content::Categorical(found) = &description.columns[0].content else { panic!("{what}") };
                // A level that is declared and never occurs is not in the reference.
                let found: Vec<(&str, u64)> =
                    found.iter().filter(|(_, n)| *n > 0).map(|(l, n)| (l.as_str(), *n as u64)).collect();
                assert_eq!(found.len(), wanted.len(), "{what}");
                for (level, count) in found {
                    assert_eq!(wanted.get(level).and_then(Value::as_u64), Some(count), "{what}, {level}");
                }
            }
            _ => panic!("{what}: numbers where there should be texts, or the other way round"),
        }
    }
}

#[test]
fn zeros_of_the_pima_set_are_missing_values() {
    let Some(root) = folder("zeros_of_the_pima_set_are_missing_values") else { return };
    let names = ["pregnancies", "glucose", "pressure", "skin", "insulin", "bmi", "pedigree", "age", "class"];
    let table = Csv::new().header(false).names(names).read(root.join("tabular/pima-indians-diabetes.csv"));
    let table =
        names[1..6].iter().try_fold(table.expect("a table"), |table, name| table.missing_where(name, |v| v == 0.0));
    let table = table.expect("a table");
    let missing: Vec<usize> = table.columns().map(|(_, values)| values.missing()).collect();
    // Known of the set: zeros in glucose, pressure, skin, insulin and body mass index.
    assert_eq!(missing, [0, 5, 35, 227, 374, 11, 0, 0, 0]);
    let (classes, found) = table.classes("class").expect("classes");
    assert_eq!((found.join(","), classes.iter().filter(|c| **c == 1).count()), ("0,1".to_owned(), 268));
}

#[test]
fn a_classifier_s_features_come_out_of_a_set_with_holes() {
    use galen::data::prepare::{Empty, Imputation, Levels, MissingLevel, Numbers, Recipe};
    let Some(root) = folder("a_classifier_s_features_come_out_of_a_set_with_holes") else { return };
    let table = arff::read(root.join("tabular/hypothyroid.arff")).expect("a table");
    let recipe = |out: &[&str]| {
        Recipe::all_but(out.iter().copied())
            .numbers(Numbers::new().impute(Imputation::Median).indicator(true))
            .levels(Levels::new().missing(MissingLevel::MostFrequent))
    };
    let rows: Vec<usize> = (0..3000).collect();
    // A column without a single number.
    says(recipe(&["Class"]).fit(&table, &rows), &["column \"TBG\"", "at least one value", "Recipe::empty"]);
    let prepared = recipe(&["Class"]).empty(Empty::Drop).fit(&table, &rows).expect("a preparation");
    assert_eq!(prepared.empty(), ["TBG"]);
    assert_eq!(prepared.names(), recipe(&["Class", "TBG"]).fit(&table, &rows).expect("a preparation").names());
    let x = prepared.apply(&table).expect("features");
    assert_eq!(x.shape(), [3772, prepared.width()]);
    assert!(x.iter().all(|v| v.is_finite()));
    let at = prepared.names().iter().position(|name| name == "TSH").expect("a feature");
    let standard = x.column(at).slice(ndarray::s![..3000]).mapv(f64::from);
    assert!(standard.mean().expect("rows").abs() < 1e-6 && (standard.std(0.0) - 1.0).abs() < 1e-6);
}

use galen::data::{Categorical, Classes, Values};

use super::*;

fn table() -> Table {
    Table::new()
        .with_numeric("age", vec![61.0, f64::NAN, 40.0, 61.0])
        .and_then(|t| t.with_texts("sex", &[Some("m"), Some("f"), None, Some("f")]))
        .and_then(|t| t.with_texts("grade", &[Some("2"), Some("10"), Some("2"), None]))
        .expect("a table")
}

#[test]
fn columns_and_rows_are_chosen() {
    let t = table();
    assert_eq!(t.select(&["grade", "age"]).expect("columns").names().join(" "), "grade age");
    assert_eq!(t.without(&["age", "grade"]).expect("columns").names().join(" "), "sex");
    let rows = t.select_rows(&[3, 0, 3]).expect("rows");
    assert_eq!(
        (texts(&rows, "age"), texts(&rows, "sex")),
        (vec!["61".to_owned(); 3], vec!["f".into(), "m".into(), "f".into()])
    );
    // Levels stay where their rows go.
    assert_eq!(t.select_rows(&[1]).expect("a row").categorical("sex").expect("texts").levels(), ["f", "m"]);
    assert_eq!(t.select_rows(&[]).expect("no rows").rows(), 0);
    says(t.select(&["age", "Age"]), &["one named \"Age\"", "\"age\", \"sex\", \"grade\""]);
    says(t.select(&["age", "age"]), &["\"age\" twice"]);
    says(t.without(&["weight"]), &["one named \"weight\""]);
    says(t.select_rows(&[0, 4]), &["numbers below 4", "got 4"]);
    says(Table::new().column("x"), &["one named \"x\"", "got none"]);
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    galen::data::show_values(true);
    says(table().with_numeric("age", vec![0.0; 4]), &["each name once", "\"age\" twice"]);
    says(table().with_numeric("weight", vec![0.0; 3]), &["column \"weight\"", "4 rows", "got 3"]);
    says(table().with_numeric("weight", vec![0.0, 1.0, f64::INFINITY, 0.0]), &["finite numbers", "inf in row 2"]);
    says(Categorical::new(vec!["a".into(), "a".into()], vec![]), &["\"a\" twice"]);
    says(Categorical::new(vec!["a".into()], vec![None, Some(1)]), &["codes below 1", "1 in row 1"]);
    let made = Categorical::new(vec!["b".into(), "a".into()], vec![Some(1), None]).expect("levels");
    assert_eq!((made.get(0), made.get(1), made.get(2)), (Some("a"), None, None));
}

#[test]
fn numbers_become_levels_and_levels_numbers() {
    galen::data::show_values(true);
    let t = table().to_categorical(&["age"]).and_then(|t| t.to_numeric(&["grade"])).expect("a table");
    assert_eq!(t.categorical("age").expect("levels").levels(), ["40", "61"]);
    assert_eq!(texts(&t, "age"), ["61", "", "40", "61"]);
    assert_eq!(t.numeric("grade").expect("numbers")[..3], [2.0, 10.0, 2.0]);
    assert_eq!(t.column("grade").expect("a column").missing(), 1);
    says(table().to_numeric(&["sex"]), &["column \"sex\"", "numbers", "\"m\" in row 0"]);
    says(table().numeric("sex"), &["column \"sex\"", "\"m\" in row 0"]);
    says(table().numeric("grade"), &["Table::to_numeric"]);
    says(table().categorical("age"), &["column \"age\"", "Table::to_categorical", "got numbers"]);
    let zeros = Table::new().with_numeric("x", vec![0.0, -0.0, 1.5]).and_then(|t| t.to_categorical(&["x"]));
    assert_eq!(zeros.expect("a table").categorical("x").expect("levels").levels(), ["0", "1.5"]);
}

#[test]
fn zeros_can_stand_for_missing_values() {
    let t = table().missing_where("age", |v| v > 60.0).expect("a table");
    assert_eq!(texts(&t, "age"), ["", "", "40", ""]);
    says(table().missing_where("sex", |v| v == 0.0), &["column \"sex\""]);
    says(table().missing_where("x", |v| v == 0.0), &["one named \"x\""]);
}

#[test]
fn a_description_counts_and_measures() {
    let described = table().describe();
    assert_eq!((described.rows, described.columns.len()), (4, 3));
    assert_eq!((described.columns[0].present, described.columns[0].missing), (3, 1));
    let lines: Vec<String> = described.to_string().lines().map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "column  present  missing",
            "age           3        1  mean 54, std 12.12, 40 to 61",
            "sex           3        1  f: 2, m: 1",
            "grade         3        1  10: 1, 2: 2",
        ]
    );
    let empty = Table::new().with_numeric("x", vec![f64::NAN]).expect("a table").describe();
    assert!(empty.to_string().ends_with("only missing values"));
}

#[test]
fn classes_have_the_same_numbers_in_every_table() {
    galen::data::show_values(true);
    let t = Table::new().with_texts("d", &[Some("B"), Some("M"), Some("C"), Some("B")]).expect("a table");
    assert_eq!(t.classes("d").expect("classes").1.join(""), "BCM");
    let classes = Classes::fit(&t, "d", &[0, 1, 3]).expect("classes");
    assert_eq!((classes.names().join(""), classes.column()), ("BM".to_owned(), "d"));
    says(classes.apply(&t), &["column \"d\"", "a class that was there when it was fitted (B, M)", "\"C\" in row 2"]);
    let others = Table::new().with_texts("d", &[Some("M"), Some("M")]).expect("a table");
    assert_eq!(classes.apply(&others).expect("classes"), [1, 1]);
    let stored: Classes = serde_json::from_str(&serde_json::to_string(&classes).expect("JSON")).expect("classes");
    assert_eq!(stored, classes);
    // Whole numbers ascend as numbers do.
    let t = Table::new().with_numeric("d", vec![10.0, 2.0, 10.0]).expect("a table");
    assert_eq!(t.classes("d").expect("classes"), (vec![1, 0, 1], vec!["2".to_owned(), "10".to_owned()]));
    let t = Table::new().with_texts("d", &[Some("M"), None]).expect("a table");
    says(t.classes("d"), &["column \"d\"", "a class in every row", "none in row 1"]);
    assert!(Classes::fit(&t, "d", &[0]).is_ok());
    let known = Classes::fit(&t, "d", &[0]).expect("classes");
    assert_eq!(known.apply_or(&t, 255).expect("classes"), [0, 255]);
    says(known.apply(&t), &["a class in every row", "none in row 1"]);
    says(known.apply_or(&t, 0), &["a number that no class has (1 or more)", "0"]);
    says(Classes::fit(&t, "d", &[]), &["rows to take the classes from"]);
    says(Classes::fit(&t, "d", &[2]), &["numbers below 2"]);
    let t = Table::new().with_numeric("d", vec![1.0, 0.5]).expect("a table");
    says(t.classes("d"), &["texts or whole numbers", "\"0.5\" in row 1"]);
}

#[test]
fn targets_and_groups_have_a_value_in_every_row() {
    galen::data::show_values(true);
    let t = table().to_numeric(&["grade"]).expect("a table").select_rows(&[0, 2]).expect("rows");
    assert_eq!(t.targets(&["age", "grade"]).expect("targets"), ndarray::array![[61.0, 2.0], [40.0, 2.0]]);
    says(table().targets(&["age"]), &["column \"age\"", "a number in every row", "none in row 1"]);
    says(table().targets(&["sex"]), &["column \"sex\"", "\"m\" in row 0"]);
    let huge = Table::new().with_numeric("x", vec![1e300]).expect("a table");
    says(huge.targets(&["x"]), &["fit f32", "in row 0"]);
    let ids = Table::new()
        .with_texts("id", &[Some("z"), Some("a"), Some("z")])
        .and_then(|t| t.with_numeric("n", vec![7.0, 3.0, 3.0]));
    let ids = ids.expect("a table");
    assert_eq!((ids.groups("id").expect("groups"), ids.groups("n").expect("groups")), (vec![0, 1, 0], vec![0, 1, 1]));
    says(table().groups("sex"), &["column \"sex\"", "a group in every row", "none in row 2"]);
}

/// Patients whose ids are the same numbers in `f64`: two of 2⁵³ and 2⁵³ + 1, two of 7.
const IDS: [&str; 6] = ["9007199254740992", "9007199254740993", "007", "7", "9007199254740992", "007"];

/// The ids as readers of both formats and declarations of all kinds give them.
fn tables_of_ids() -> Vec<Table> {
    use galen::data::formats::{arff, csv::Csv};
    let lines: String = IDS.iter().enumerate().map(|(i, id)| format!("{id},{i}\n")).collect();
    let csv = format!("id,x\n{lines}");
    let arff = |kind: &str| format!("@attribute id {kind}\n@attribute x real\n@data\n{lines}");
    let ids: Vec<Option<&str>> = IDS.iter().copied().map(Some).collect();
    let read = Csv::new().parse(csv.as_bytes(), "f.csv").expect("a table");
    vec![
        Csv::new().texts(["id"]).parse(csv.as_bytes(), "f.csv").expect("a table"),
        Csv::new().numbers(["id"]).parse(csv.as_bytes(), "f.csv").expect("a table"),
        arff::parse(arff("numeric").as_bytes(), "f.arff").expect("a table"),
        arff::parse(arff("string").as_bytes(), "f.arff").expect("a table"),
        Table::new().with_texts("id", &ids).and_then(|t| t.to_numeric(&["id"])).expect("a table"),
        read.select(&["id"]).expect("columns"),
        read.without(&["x"]).expect("columns"),
        read.select_rows(&[0, 1, 2, 3, 4, 5]).expect("rows"),
        read.clone().missing_where("x", |v| v == 0.0).expect("a table"),
        read.clone().to_categorical(&["id"]).expect("a table"),
        read,
    ]
}

#[test]
fn ids_that_are_the_same_number_stay_different() {
    galen::data::show_values(true);
    use galen::data::prepare::{Levels, OneHot, Recipe};
    use galen::data::{Split, check_groups};
    let wanted = [0, 1, 2, 3, 0, 2];
    for (i, table) in tables_of_ids().iter().enumerate() {
        let groups = table.groups("id").expect("groups");
        assert_eq!(groups, wanted, "table {i}");
        let fold = Split::new(6).grouped(&groups).and_then(|split| split.folds(4)).expect("folds").remove(0);
        check_groups(&IDS, &[fold.train, fold.test]).expect("nobody on both sides");
        let (classes, names) = table.classes("id").expect("classes");
        assert!(classes.iter().zip(IDS).all(|(class, id)| names[*class as usize] == id), "table {i}: {names:?}");
        assert_eq!(texts(&table.clone().to_categorical(&["id"]).expect("texts"), "id"), IDS, "table {i}");
        let encoding = OneHot::fit(table, "id", &[0, 1, 2, 3], &Levels::new()).expect("levels");
        assert_eq!(encoding.width(), 4, "table {i}");
        // Each of them knows the ids of all the others.
        for (j, other) in tables_of_ids().iter().enumerate() {
            let places = encoding.apply(other).expect("places");
            let names: Vec<&str> = places.iter().flatten().map(|place| encoding.levels()[*place].as_str()).collect();
            assert_eq!(names, IDS, "tables {i} and {j}");
        }
        let unknown = OneHot::fit(table, "id", &[0, 2], &Levels::new()).expect("levels");
        says(unknown.apply(table), &["column \"id\"", "\"9007199254740993\" in row 1"]);
        let rows = table.select_rows(&[3, 1]).expect("rows");
        assert_eq!(texts(&rows.to_categorical(&["id"]).expect("texts"), "id"), [IDS[3], IDS[1]], "table {i}");
        let levels = Recipe::columns(["id"]).column("id", Levels::new()).fit(table, &[0, 1, 2, 3]).expect("levels");
        assert_eq!(levels.apply(table).expect("features").sum(), 6.0);
    }
    // As numbers they are what pandas reads, and levels keep the order of the numbers.
    let table = tables_of_ids().pop().expect("a table");
    assert_eq!(table.numeric("id").expect("numbers")[..4], [9007199254740992.0, 9007199254740992.0, 7.0, 7.0]);
    let levels = table.to_categorical(&["id"]).expect("texts");
    assert_eq!(levels.categorical("id").expect("texts").levels(), ["7", "007", "9007199254740992", "9007199254740993"]);
}

#[test]
fn numbers_whose_digits_nobody_kept_are_no_ids() {
    galen::data::show_values(true);
    let of = |v: Vec<f64>| Table::new().with_numeric("id", v).expect("a table");
    let large = of(vec![1.0, 9007199254740992.0]);
    let parts = ["column \"id\"", "texts, or numbers below 9007199254740992", "\"9007199254740992\" in row 1"];
    says(large.groups("id"), &parts);
    says(large.classes("id"), &parts);
    says(large.clone().to_categorical(&["id"]), &parts);
    says(galen::data::prepare::OneHot::fit(&large, "id", &[0], &Default::default()), &parts);
    assert_eq!(of(vec![9007199254740991.0, 1.0]).groups("id").expect("groups"), [0, 1]);
    let written = |id: &str| galen::data::formats::csv::Csv::new().parse(format!("id\n1\n{id}\n").as_bytes(), "f.csv");
    for rounded in ["9007199254740993.0", "-9007199254740993", "9.007199254740993e15"] {
        says(written(rounded).expect("a table").groups("id"), &["texts, or numbers below", "in row 1"]);
    }
    // 1.1 may be 1.10, another patient; 1.0 is 1.
    says(written("1.10").expect("a table").groups("id"), &["groups: texts or whole numbers", "\"1.1\" in row 1"]);
    assert_eq!(written("1.0").expect("a table").groups("id").expect("groups"), [0, 0]);
    // An id that is said to be missing is not kept by its digits.
    let ids = written("007").and_then(|t| t.missing_where("id", |v| v == 7.0)).expect("a table");
    says(ids.groups("id"), &["a group in every row", "none in row 1"]);
    assert_eq!(ids.to_categorical(&["id"]).expect("texts").column("id").expect("a column").missing(), 1);
}

#[test]
fn missing_labels_get_the_marker_that_the_caller_names() {
    galen::data::show_values(true);
    let csv = galen::data::formats::csv::Csv::new();
    let t = csv.parse(b"a,b,c,x\n1,0,,0.5\n,1,1,\n0,NA,,-1\n", "f.csv").expect("a table");
    let labels = ["a", "b", "c"];
    says(t.multi_label(&labels), &["column \"a\"", "0 or 1 in every row", "none in row 1", "Table::multi_label_or"]);
    let marked = ndarray::array![[1.0, 0.0, -1.0], [-1.0, 1.0, 1.0], [0.0, -1.0, -1.0]];
    assert_eq!(t.multi_label_or(&labels, -1.0).expect("labels"), marked);
    let nan = t.multi_label_or(&labels, f32::NAN).expect("labels");
    assert_eq!(nan.mapv(|v| if v.is_nan() { -1.0 } else { v }), marked);
    says(t.multi_label_or(&["x"], -1.0), &["column \"x\"", "0, 1 or nothing", "\"0.5\" in row 0"]);
    // Also where the marker stands in the table: it is no label.
    says(t.select_rows(&[2]).expect("a row").multi_label_or(&["x"], -1.0), &["0, 1 or nothing", "\"-1\" in row 0"]);
    for marker in [0.0, -0.0, 1.0, f32::INFINITY] {
        says(t.multi_label_or(&labels, marker), &["multi_label_or", "NaN, or a number that is no label"]);
    }
    says(t.targets(&["x"]), &["a number in every row", "none in row 1", "Table::targets_or"]);
    assert_eq!(t.targets_or(&["x"], -9.0).expect("targets"), ndarray::array![[0.5], [-9.0], [-1.0]]);
    assert!(t.targets_or(&["x"], f32::NAN).expect("targets")[[1, 0]].is_nan());
    says(t.targets_or(&["x"], -1.0), &["column \"x\"", "other than -1", "-1 in row 2"]);
    says(t.targets_or(&["x"], f32::INFINITY), &["targets_or", "a finite number"]);
}

#[test]
fn the_table_of_the_examples_is_whole() {
    let t = wdbc();
    assert_eq!((t.rows(), t.names().len()), (569, 31));
    assert!(t.columns().all(|(_, values)| values.missing() == 0));
    assert_eq!(t.columns().filter(|(_, values)| matches!(values, Values::Numeric(_))).count(), 30);
    let (classes, names) = t.classes("diagnosis").expect("classes");
    assert_eq!((names.join(""), classes.iter().filter(|c| **c == 1).count()), ("BM".to_owned(), 212));
    // Known of the set: means of radius and of the worst area.
    let mean = |name: &str| t.numeric(name).expect("numbers").iter().sum::<f64>() / 569.0;
    close("means", [mean("mean radius"), mean("worst area")], &[14.127291739894552, 880.5831282952548], 1e-12);
}

use galen::Error;
use galen::data::prepare::{
    Empty, Imputation, Levels, MissingLevel, Numbers, Recipe, Scaling, TablePreparation, Unseen,
};

use super::*;

/// Six patients; the last two are not trained on.
fn patients() -> Table {
    Table::new()
        .with_numeric("age", vec![40.0, 60.0, f64::NAN, 50.0, f64::NAN, 100.0])
        .and_then(|t| t.with_texts("sex", &[Some("f"), Some("m"), Some("f"), Some("f"), None, Some("m")]))
        .and_then(|t| t.with_numeric("pain", vec![1.0, 4.0, 1.0, 2.0, 3.0, 4.0]))
        .and_then(|t| t.with_texts("grade", &[Some("0"), Some("2"), None, Some("1"), Some("3"), Some("0")]))
        .and_then(|t| t.with_texts("diagnosis", &[Some("B"), Some("M"), Some("B"), Some("M"), Some("B"), Some("M")]))
        .expect("a table")
}

const TRAIN: [usize; 4] = [0, 1, 2, 3];

fn recipe() -> Recipe {
    Recipe::all_but(["diagnosis"])
        .numbers(Numbers::new().impute(Imputation::Median).indicator(true))
        .levels(Levels::new().missing(MissingLevel::MostFrequent))
        .column("pain", Levels::new().unseen(Unseen::Zeros))
        .column("grade", Numbers::new().impute(Imputation::Constant(0.0)).scaling(Scaling::MinMax))
}

#[test]
fn a_recipe_becomes_features_with_names() {
    let prepared = recipe().fit(&patients(), &TRAIN).expect("a preparation");
    assert_eq!(prepared.names(), ["age", "age missing", "sex=f", "sex=m", "pain=1", "pain=2", "pain=4", "grade"]);
    assert_eq!((prepared.width(), prepared.constant().len()), (8, 0));
    let x = prepared.apply(&patients()).expect("features");
    // Ages 40, 60, 50 in place of the missing one, 50: mean 50, standard deviation √50.
    let z = |age: f64| ((age - 50.0) / 50f64.sqrt()) as f32;
    let wanted = ndarray::array![
        [z(40.0), 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [z(60.0), 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0],
        [z(50.0), 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [z(50.0), 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.5],
        // What was learned of the first four, and of nobody else.
        [z(50.0), 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.5],
        [z(100.0), 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
    ];
    assert_eq!(x, wanted);
    let lines: Vec<String> = prepared.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "age: (x - 50) / 7.0710678118654755, 50 where missing, with an indicator");
    assert_eq!(lines[1], "sex: one of f, m, f where missing");
}

#[test]
fn a_stored_preparation_does_the_same_to_other_tables() {
    let prepared = recipe().fit(&patients(), &TRAIN).expect("a preparation");
    let stored: TablePreparation =
        serde_json::from_str(&serde_json::to_string(&prepared).expect("JSON")).expect("a preparation");
    assert_eq!(stored, prepared);
    // Other columns, another order, numbers where there were texts and texts where there were numbers.
    let others = Table::new()
        .with_texts("ward", &[Some("3b")])
        .and_then(|t| t.with_numeric("grade", vec![1.0]))
        .and_then(|t| t.with_texts("pain", &[Some("4")]))
        .and_then(|t| t.with_texts("sex", &[Some("m")]))
        .and_then(|t| t.with_texts("age", &[Some("50.0")]))
        .expect("a table");
    let x = stored.apply(&others).expect("features");
    assert_eq!(x, ndarray::array![[0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5]]);
}

#[test]
fn levels_can_have_a_column_for_missing_ones_or_lose_the_first() {
    let one = |levels: Levels| Recipe::columns(["sex"]).levels(levels).fit(&patients(), &TRAIN).expect("a preparation");
    let own = one(Levels::new().missing(MissingLevel::OwnColumn));
    assert_eq!(own.names(), ["sex=f", "sex=m", "sex missing"]);
    assert_eq!(own.apply(&patients()).expect("features").row(4).to_vec(), [0.0, 0.0, 1.0]);
    let less = one(Levels::new().missing(MissingLevel::Level("m".into())).drop_first(true));
    assert_eq!(less.names(), ["sex=m"]);
    assert_eq!(less.apply(&patients()).expect("features").column(0).to_vec(), [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    let both = one(Levels::new().missing(MissingLevel::OwnColumn).drop_first(true));
    assert_eq!(both.names(), ["sex=m", "sex missing"]);
    assert_eq!(both.apply(&patients()).expect("features").row(4).to_vec(), [0.0, 1.0]);
}

#[test]
fn a_constant_column_is_said() {
    let table =
        Table::new().with_numeric("site", vec![3.0; 4]).and_then(|t| t.with_numeric("x", vec![1.0, 2.0, 3.0, 4.0]));
    let prepared = Recipe::all_but([""; 0]).fit(&table.expect("a table"), &TRAIN).expect("a preparation");
    assert_eq!(prepared.constant(), ["site"]);
    assert!(prepared.to_string().contains("site: (x - 3) / 1 (nothing to divide by)"));
}

#[test]
fn a_column_without_values_to_train_on_is_refused_left_out_or_constant() {
    // Nobody of the first fold has a PSA or a stage.
    let table = patients()
        .with_numeric("psa", vec![f64::NAN, f64::NAN, f64::NAN, f64::NAN, 4.1, 5.2])
        .and_then(|t| t.with_texts("stage", &[None, None, None, None, Some("II"), Some("I")]))
        .expect("a table");
    let recipe = Recipe::columns(["psa", "sex", "stage", "pain"])
        .numbers(Numbers::new().impute(Imputation::Median).indicator(true))
        .levels(Levels::new().missing(MissingLevel::MostFrequent));
    for (name, recipe) in [
        ("psa", recipe.clone()),
        ("stage", Recipe::columns(["stage"])),
        ("stage", Recipe::columns(["stage"]).levels(Levels::new().missing(MissingLevel::OwnColumn))),
        ("psa", Recipe::columns(["psa"]).numbers(Numbers::new().impute(Imputation::Constant(1.0)))),
        ("psa", Recipe::columns(["psa"]).column("psa", Levels::new())),
    ] {
        let column = format!("column \"{name}\"");
        says(
            recipe.fit(&table, &TRAIN),
            &[&column, "at least one value to train on", "only missing ones", "Recipe::empty"],
        );
    }

    let dropped = recipe.clone().empty(Empty::Drop).fit(&table, &TRAIN).expect("a preparation");
    assert_eq!((dropped.names().join(" "), dropped.width()), ("sex=f sex=m pain".into(), 3));
    let constant = recipe.clone().empty(Empty::Constant(0.5)).fit(&table, &TRAIN).expect("a preparation");
    assert_eq!((constant.names().join(" "), constant.width()), ("psa sex=f sex=m stage pain".into(), 5));
    for prepared in [&dropped, &constant] {
        assert_eq!(prepared.empty(), ["psa", "stage"]);
        let stored: TablePreparation =
            serde_json::from_str(&serde_json::to_string(prepared).expect("JSON")).expect("a preparation");
        assert_eq!(&stored, prepared);
        // Tables with values there, with none, and without the columns.
        let x = stored.apply(&table).expect("features");
        assert_eq!(x.ncols(), prepared.width());
        assert_eq!(stored.apply(&table.without(&["psa", "stage"]).expect("columns")).expect("features"), x);
    }
    let x = constant.apply(&table).expect("features");
    assert!(x.column(0).iter().chain(x.column(3)).all(|v| *v == 0.5));
    let y = dropped.apply(&table).expect("features");
    assert_eq!((x.column(1), x.column(2), x.column(4)), (y.column(0), y.column(1), y.column(2)));
    assert!(dropped.to_string().contains("psa: left out (no value in the rows it was fitted on)"));
    assert!(constant.to_string().contains("stage: always 0.5 (no value in the rows it was fitted on)"));

    // The other fold has values, and no policy is asked.
    let refused = recipe.fit(&table, &[4, 5]).expect("a preparation");
    assert_eq!(recipe.clone().empty(Empty::Drop).fit(&table, &[4, 5]).expect("a preparation"), refused);
    assert!(refused.empty().is_empty() && refused.names().contains(&"stage=II".to_owned()));
    let nothing = Recipe::columns(["psa", "stage"]).empty(Empty::Drop).fit(&table, &TRAIN);
    says(nothing, &["a recipe", "at least one column with a value"]);
    for bad in [f64::NAN, f64::INFINITY, 1e300] {
        says(recipe.clone().empty(Empty::Constant(bad)).fit(&table, &TRAIN), &["constant of empty columns"]);
    }
}

#[test]
fn recipes_that_do_not_fit_the_table_are_refused() {
    galen::data::show_values(true);
    let fit = |recipe: Recipe, rows: &[usize]| recipe.fit(&patients(), rows);
    says(fit(Recipe::columns(["weight"]), &TRAIN), &["one named \"weight\"", "\"age\""]);
    says(fit(Recipe::all_but(["Diagnosis"]), &TRAIN), &["one named \"Diagnosis\""]);
    says(fit(Recipe::columns(["age", "age"]), &TRAIN), &["\"age\" twice"]);
    says(fit(Recipe::columns([""; 0]), &TRAIN), &["at least one column"]);
    says(fit(Recipe::columns(["pain"]), &[]), &["rows to fit", "at least one"]);
    says(fit(Recipe::columns(["pain"]), &[6]), &["numbers below 6", "got 6"]);
    says(fit(Recipe::columns(["pain"]).column("age", Numbers::new()), &TRAIN), &["among \"pain\"", "\"age\""]);
    says(fit(Recipe::columns(["age"]), &TRAIN), &["column \"age\"", "nothing may stand in", "row 2"]);
    says(fit(Recipe::columns(["age"]), &[2, 4]), &["column \"age\"", "only missing ones"]);
    says(fit(Recipe::columns(["sex"]), &[3, 4]), &["column \"sex\"", "nothing may stand in", "row 4"]);
    let levels = |levels: Levels| Recipe::columns(["sex"]).levels(levels);
    says(fit(levels(Levels::new().missing(MissingLevel::OwnColumn)), &[4]), &["column \"sex\"", "only missing ones"]);
    says(fit(levels(Levels::new().missing(MissingLevel::Level("x".into()))), &TRAIN), &["\"x\"", "f, m"]);
    says(fit(Recipe::columns(["sex"]).column("sex", Numbers::new()), &TRAIN), &["column \"sex\"", "\"f\" in row 0"]);
    let ambiguous = fit(levels(Levels::new().drop_first(true).unseen(Unseen::Zeros)), &TRAIN);
    assert!(matches!(ambiguous, Err(Error::Usage { .. })));
    let constant = Numbers::new().impute(Imputation::Constant(f64::INFINITY));
    says(fit(Recipe::columns(["age"]).numbers(constant), &TRAIN), &["constant", "inf"]);
}

#[test]
fn tables_that_do_not_fit_the_preparation_are_refused() {
    galen::data::show_values(true);
    let prepared = recipe().fit(&patients(), &TRAIN).expect("a preparation");
    let without = patients().without(&["age", "grade"]).expect("columns");
    says(prepared.apply(&without), &["the columns \"age\", \"grade\"", "got \"sex\", \"pain\", \"diagnosis\""]);
    let with = |name: &str, texts: &[Option<&str>]| {
        let rest = patients().without(&[name]).and_then(|t| t.select_rows(&[0, 1])).expect("a table");
        prepared.apply(&rest.with_texts(name, texts).expect("a table"))
    };
    says(with("sex", &[Some("f"), Some("d")]), &["column \"sex\"", "(f, m)", "\"d\" in row 1"]);
    says(with("age", &[Some("40"), Some("4O")]), &["column \"age\"", "numbers", "\"4O\" in row 1"]);
    says(with("pain", &[Some("1"), None]), &["column \"pain\"", "nothing may stand in", "row 1"]);
    let strict = Recipe::columns(["pain"]).fit(&patients(), &TRAIN).expect("a preparation");
    let holes = patients().missing_where("pain", |v| v == 3.0).expect("a table");
    says(strict.apply(&holes), &["column \"pain\"", "nothing may stand in", "row 4"]);
    let huge = Table::new().with_numeric("pain", vec![1e300]).expect("a table");
    says(strict.apply(&huge), &["column \"pain\"", "finite when scaled", "row 0"]);
    assert_eq!(strict.apply(&huge.select_rows(&[]).expect("no rows")).expect("nothing").shape(), [0, 1]);
}

#[test]
fn a_table_becomes_data_to_train_and_to_test_on() {
    use galen::data::{Classes, Dataset, Split};
    let table = wdbc();
    let (classes, _) = table.classes("diagnosis").expect("classes");
    let folds = Split::new(table.rows()).seed(1).stratified(&classes).and_then(|split| split.folds(10)).expect("folds");
    for fold in folds {
        let prepared = Recipe::all_but(["diagnosis"]).fit(&table, &fold.train).expect("a preparation");
        let target = Classes::fit(&table, "diagnosis", &fold.train).expect("classes");
        let target = ndarray::Array1::from(target.apply(&table).expect("classes"));
        let data = Dataset::new(prepared.apply(&table).expect("features"), target).expect("data");
        let (train, test) = fold.of(&data).expect("two datasets");
        let mean = |data: &Dataset| {
            let x = data.features().to_tensor().and_then(galen::Tensor::into_f32).expect("floats");
            x.mean_axis(ndarray::Axis(0)).expect("samples").iter().map(|v| v.abs()).fold(0.0, f32::max)
        };
        // The test has means of its own: it was not fitted on.
        assert!(mean(&train) < 1e-4 && mean(&test) > 1e-2, "{} {}", mean(&train), mean(&test));
    }
}

#[test]
fn a_preparation_that_somebody_has_edited_never_panics() {
    let how = Levels::new().missing(MissingLevel::Level("m".into())).drop_first(true);
    let own = Levels::new().missing(MissingLevel::OwnColumn).drop_first(true);
    for how in [how, own] {
        let prepared = Recipe::columns(["sex"]).levels(how).fit(&patients(), &TRAIN).expect("a preparation");
        let text = serde_json::to_string(&prepared).expect("JSON");
        for (from, to) in
            [("[\"f\",\"m\"]", "[]"), ("[\"f\",\"m\"]", "[\"m\",\"m\"]"), ("\"fill\":\"m\"", "\"fill\":\"z\"")]
        {
            let edited: TablePreparation = serde_json::from_str(&text.replace(from, to)).expect("a preparation");
            if let Ok(x) = edited.apply(&patients()) {
                assert_eq!(x.ncols(), edited.width());
            }
        }
    }
}

//! The table of breast masses that comes with Galen: what the program `breast_cancer` promises of it.

#[path = "../examples/masses/mod.rs"]
mod masses;

use anyhow::Result;
use galen::data::prepare::TablePreparation;
use galen::prelude::*;

#[test]
fn ten_folds_of_masses_are_judged_by_networks_that_have_not_seen_them() -> Result<()> {
    let masses = masses::read(None)?;
    let setup = Setup::on(&Device::cpu()?);
    let fit = |_| Fit::new().epochs(60).verbose(false);
    let mut judged = 0;
    let scores = masses.cross_validate(&setup, 0, fit, |_, _, rows| judged += rows)?;
    assert_eq!(judged, 569, "every mass once");
    let right = (0..judged).filter(|row| masses::likeliest(&scores, *row) == masses.truth[*row]).count();
    let accuracy = right as f64 / judged as f64;
    println!("ten-fold accuracy {accuracy:.4}");
    assert!(accuracy >= 0.96, "{accuracy}");
    Ok(())
}

#[test]
fn a_saved_model_judges_a_new_table_without_the_code_that_made_it() -> Result<()> {
    let masses = masses::read(None)?;
    let setup = Setup::on(&Device::cpu()?);
    let rows: Vec<usize> = (0..400).collect();
    let (mut model, x) = masses.train(&setup, &rows, &Fit::new().epochs(3).verbose(false))?;
    let path = std::env::temp_dir().join(format!("galen-wisconsin-{}.safetensors", std::process::id()));
    model.save(&path)?;
    let mut opened = Model::open(&path, &setup)?;
    std::fs::remove_file(&path)?;
    let preparation: TablePreparation = opened.attached("preparation")?.expect("it was attached");
    let table = masses.table.select_rows(&[500, 3])?.without(&[masses::TARGET])?;
    let given = opened.predict(preparation.apply(&table)?)?;
    assert_eq!(given, model.predict(x.select(ndarray::Axis(0), &[500, 3]))?);
    assert_eq!(opened.attached::<Vec<String>>("classes")?.expect("it was attached"), masses.names);
    Ok(())
}

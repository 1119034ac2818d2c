use galen::data::prepare::{ChannelStandardize, Imputation, Imputer, Levels, OneHot, Scaler, Scaling, Unseen};
use galen::data::{RowMut, Rows};
use galen::{DType, Tensor, TensorSpec};
use ndarray::{Array2, array};

use super::*;

/// The three scalers of the reference, fitted on `train`, do the same.
fn scales(what: &str, train: Array2<f64>, rows: Array2<f64>, wanted: &Value) {
    for scaling in [Scaling::Standardize, Scaling::MinMax, Scaling::Robust] {
        let (what, wanted) = (format!("{what}, {scaling:?}"), &wanted[format!("{scaling:?}")]);
        let scaler = Scaler::fit(scaling, train.view()).expect("a scaler");
        close(&what, scaler.center(), &numbers(&wanted[0]), 1e-12);
        close(&what, scaler.scale(), &numbers(&wanted[1]), 1e-12);
        let scaled = scaler.apply(rows.view()).expect("scaled rows");
        close(&what, scaled.iter().map(|v| f64::from(*v)), array(&wanted[2]).iter(), 1e-6);
        let stored: Scaler = serde_json::from_str(&serde_json::to_string(&scaler).expect("JSON")).expect("a scaler");
        assert_eq!((&stored, stored.scaling()), (&scaler, scaling));
    }
}

#[test]
fn scalers_do_what_those_of_scikit_learn_do() {
    let table = wdbc().without(&["diagnosis"]).expect("columns");
    let all = Array2::from_shape_fn((569, 30), |(r, c)| table.numeric(&table.names()[c]).expect("numbers")[r]);
    let train = all.slice(ndarray::s![..400, ..]).to_owned();
    scales("wdbc", train, all.select(ndarray::Axis(0), &[0, 400, 568]), &reference("prepare")["wdbc"]);
}

#[test]
fn missing_numbers_stay_missing_and_equal_ones_are_divided_by_one() {
    let holes = &reference("prepare")["holes"];
    let (rows, new) = (array(&holes["rows"]), array(&holes["new"]));
    scales("holes", rows.clone(), new, &holes["scalers"]);
    for scaling in [Scaling::Standardize, Scaling::MinMax, Scaling::Robust] {
        assert_eq!(Scaler::fit(scaling, rows.view()).expect("a scaler").constant(), [2], "{scaling:?}");
    }
    let none = Scaler::fit(Scaling::None, rows.view()).expect("a scaler");
    assert_eq!((none.center(), none.scale(), none.constant()), (vec![0.0; 5], vec![1.0; 5], vec![]));
}

#[test]
fn floats_and_bytes_are_scaled_too() {
    let scaler = Scaler::fit(Scaling::MinMax, array![[0u8, 10], [200, 30]].view()).expect("a scaler");
    assert_eq!(scaler.apply(array![[100.0f32, 40.0]].view()).expect("rows"), array![[0.5, 1.5]]);
    assert_eq!(scaler.undo(array![[0.5f32, 1.5]].view()).expect("rows"), array![[100.0, 40.0]]);
}

#[test]
fn rows_that_cannot_be_scaled_are_refused() {
    let fit = |rows: &Array2<f64>| Scaler::fit(Scaling::Standardize, rows.view());
    says(fit(&Array2::zeros((0, 3))), &["at least one row", "[0, 3]"]);
    says(fit(&array![[1.0, f64::NAN], [2.0, f64::NAN]]), &["at least one number in each column", "none in column 1"]);
    says(fit(&array![[1.0], [f64::NEG_INFINITY]]), &["-inf in row 1, column 0"]);
    let scaler = fit(&array![[1.0, 1e-9], [2.0, 2e-9]]).expect("a scaler");
    says(scaler.apply(array![[1.0]].view()), &["2 columns, as when it was fitted", "got 1"]);
    says(scaler.undo(array![[1.0]].view()), &["2 columns"]);
    says(scaler.apply(array![[1.0, 1e300]].view()), &["finite when scaled", "row 0, column 1"]);
}

#[test]
fn imputers_do_what_that_of_scikit_learn_does() {
    let holes = &reference("prepare")["holes"];
    let (rows, new) = (array(&holes["rows"]), array(&holes["new"]));
    for (imputation, name) in [
        (Imputation::Mean, "Mean"),
        (Imputation::Median, "Median"),
        (Imputation::MostFrequent, "MostFrequent"),
        (Imputation::Constant(-7.5), "Constant"),
    ] {
        let wanted = &holes["imputers"][name];
        let imputer = Imputer::fit(imputation, true, rows.view()).expect("an imputer");
        let fill = imputer.fill().into_iter().map(|fill| fill.unwrap_or(f64::NAN));
        close(name, fill, &numbers(&wanted[0]), 1e-12);
        let found = imputer.apply(new.view()).expect("rows");
        assert_eq!(found.dim(), array(&wanted[1]).dim(), "{name}");
        close(name, found.iter().copied(), array(&wanted[1]).iter(), 1e-12);
        let stored: Imputer =
            serde_json::from_str(&serde_json::to_string(&imputer).expect("JSON")).expect("an imputer");
        assert_eq!(stored, imputer);
    }
    assert_eq!(Imputer::fit(Imputation::Mean, false, rows.view()).expect("an imputer").indicators(), [0usize; 0]);
}

#[test]
fn numbers_that_nothing_may_stand_in_for_are_refused() {
    let rows = array![[1.0, 2.0], [f64::NAN, 3.0]];
    says(Imputer::fit(Imputation::Refuse, false, rows.view()), &["nothing may stand in", "row 1, column 0"]);
    let strict = Imputer::fit(Imputation::Refuse, true, array![[1.0, 2.0]].view()).expect("an imputer");
    says(strict.apply(array![[1.0, f64::NAN]].view()), &["row 0, column 1"]);
    says(strict.apply(array![[1.0]].view()), &["2 columns"]);
    let all = array![[f64::NAN], [f64::NAN]];
    says(Imputer::fit(Imputation::Mean, false, all.view()), &["column 0", "only missing ones"]);
    assert_eq!(Imputer::fit(Imputation::Constant(2.0), false, all.view()).expect("an imputer").fill(), [Some(2.0)]);
    says(Imputer::fit(Imputation::Constant(f64::NAN), false, all.view()), &["constant", "a finite number"]);
}

#[test]
fn levels_become_the_columns_of_scikit_learn() {
    galen::data::show_values(true);
    let wanted = &reference("prepare")["one_hot"];
    let texts = |key: &str| -> Vec<Option<String>> {
        wanted[key].as_array().expect("levels").iter().map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let (train, new) = (texts("levels"), texts("new"));
    let table = Table::new().with_texts("x", &[&train[..], &new[..]].concat()).expect("a table");
    let rows: Vec<usize> = (0..train.len()).collect();
    let columns = |how: Levels, from: &Table| {
        let encoding = OneHot::fit(&table, "x", &rows, &how).expect("an encoding");
        let ones = encoding.apply(from).expect("columns");
        Array2::from_shape_fn((ones.len(), encoding.width()), |(r, c)| f64::from(u8::from(ones[r] == Some(c))))
    };
    let new = table.select_rows(&[6, 7, 8, 9]).expect("rows");
    assert_eq!(columns(Levels::new().unseen(Unseen::Zeros), &new), array(&wanted["all"]));
    let known = new.select_rows(&[0, 1, 2]).expect("rows");
    assert_eq!(columns(Levels::new().drop_first(true), &known), array(&wanted["drop_first"]));
    let strict = OneHot::fit(&table, "x", &rows, &Levels::new()).expect("an encoding");
    says(strict.apply(&new), &["column \"x\"", "when it was fitted (a, b, c)", "\"d\" in row 3"]);
}

#[test]
fn levels_that_are_numbers_are_compared_as_numbers() {
    galen::data::show_values(true);
    let numbers = Table::new().with_numeric("x", vec![1.0, 2.0, 1.0]).expect("a table");
    let texts = |levels: &[&str]| {
        let levels: Vec<Option<&str>> = levels.iter().copied().map(Some).collect();
        Table::new().with_texts("x", &levels).expect("a table")
    };
    let fit = |table: &Table, unseen| OneHot::fit(table, "x", &[0, 1], &Levels::new().unseen(unseen)).expect("levels");
    let slip = texts(&["1.0", "2.0", "n/a", "2"]);
    let fitted = fit(&numbers, Unseen::Zeros);
    assert_eq!(fitted.apply(&slip).expect("columns"), [Some(0), Some(1), None, Some(1)]);
    says(fit(&numbers, Unseen::Refuse).apply(&slip), &["column \"x\"", "(1, 2)", "\"n/a\" in row 2"]);
    // Saved and read again, it still knows.
    let json = serde_json::to_string(&fitted).expect("JSON");
    assert_eq!(serde_json::from_str::<OneHot>(&json).expect("an encoding").apply(&slip).expect("columns")[1], Some(1));
    // Fitted on texts, applied to numbers.
    let fitted = fit(&texts(&["1.0", "n/a"]), Unseen::Zeros);
    assert_eq!(fitted.apply(&numbers).expect("columns"), [Some(0), None, Some(0)]);
    // Texts on both sides are other levels where they are other texts.
    assert_eq!(fitted.apply(&texts(&["1", "1.0"])).expect("columns"), [None, Some(0)]);
    let both = fit(&texts(&["01", "1.0"]), Unseen::Zeros);
    says(both.apply(&numbers), &["column \"x\"", "\"1\"", "\"01\" and \"1.0\""]);
}

#[test]
fn channels_are_standardised_over_samples_and_places() {
    // [2, 2, 3]; the second channel is far from zero.
    let x = vec![1.0, 2.0, 3.0, 1e4, 1e4 + 1.0, 1e4 + 2.0, 4.0, 5.0, 9.0, 1e4, 1e4, 1e4 + 3.0];
    let samples = Tensor::f32([2, 2, 3], x).expect("a tensor");
    let fitted = ChannelStandardize::fit(&samples).expect("channels");
    close("mean", fitted.mean(), &[4.0, 10001.0], 1e-12);
    // Variances: (9 + 4 + 1 + 0 + 1 + 25) / 6 and (1 + 0 + 1 + 1 + 1 + 4) / 6.
    close("std", fitted.std(), &[(40f64 / 6.0).sqrt(), (8f64 / 6.0).sqrt()], 1e-12);
    let out = fitted.apply(&samples).expect("samples").into_f32().expect("floats");
    assert_eq!(out.shape(), [2, 2, 3]);
    for channel in out.axis_iter(ndarray::Axis(1)) {
        let channel = channel.mapv(f64::from);
        assert!(channel.mean().expect("numbers").abs() < 1e-6 && (channel.std(0.0) - 1.0).abs() < 1e-6);
    }
    let stored: ChannelStandardize =
        serde_json::from_str(&serde_json::to_string(&fitted).expect("JSON")).expect("channels");
    assert_eq!(stored, fitted);
}

#[test]
fn bytes_can_stay_bytes_with_a_scale_and_a_shift() {
    let bytes: Vec<u8> = (0..2 * 3 * 4).map(|i| (i * 37 % 256) as u8).collect();
    let images = Tensor::u8([2, 3, 4], bytes.clone()).expect("a tensor");
    let fitted = ChannelStandardize::fit(&images).expect("channels");
    let out = fitted.apply(&images).expect("samples").into_f32().expect("floats");
    for (i, v) in out.iter().enumerate() {
        let (scale, shift) = fitted.scale_shift()[i / 4 % 3];
        assert!((f32::from(bytes[i]) * scale + shift - v).abs() < 1e-5);
    }
    let (scale, shift) = fitted.pooled_scale_shift();
    let pooled: Vec<f64> = bytes.iter().map(|b| f64::from(f32::from(*b) * scale + shift)).collect();
    let mean = pooled.iter().sum::<f64>() / 24.0;
    let variance = pooled.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 24.0;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
}

/// Samples `[2, 2]` made when they are wanted; the fourth cannot be made.
#[derive(Debug)]
struct Made;

impl Rows for Made {
    fn len(&self) -> usize {
        4
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new([2, 2], DType::F32)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> galen::Result<()> {
        let RowMut::F32(row) = row else { panic!("floats were promised") };
        if index == 3 {
            return Err(galen::Error::data("sample 3", "a file", "none"));
        }
        row.iter_mut().enumerate().for_each(|(i, v)| *v = (index * 10 + i) as f32);
        Ok(())
    }
}

#[test]
fn samples_made_when_they_are_wanted_give_the_same() {
    let fitted = ChannelStandardize::fit_rows(&Made, &[0, 2]).expect("channels");
    let samples = Tensor::f32([2, 2, 2], vec![0.0, 1.0, 2.0, 3.0, 20.0, 21.0, 22.0, 23.0]).expect("a tensor");
    assert_eq!(fitted, ChannelStandardize::fit(&samples).expect("channels"));
    says(ChannelStandardize::fit_rows(&Made, &[0, 3]), &["sample 3"]);
    says(ChannelStandardize::fit_rows(&Made, &[4]), &["numbers below 4", "got 4"]);
    says(ChannelStandardize::fit_rows(&Made, &[]), &["at least one"]);
}

#[test]
fn samples_that_cannot_be_standardised_are_refused() {
    let flat = Tensor::f32([4], vec![0.0; 4]).expect("a tensor");
    says(ChannelStandardize::fit(&flat), &["[n, c, ..]", "[4]"]);
    let classes = Tensor::u32([1, 1, 1], vec![0]).expect("a tensor");
    says(ChannelStandardize::fit(&classes), &["f32 or u8", "u32"]);
    let bad = Tensor::f32([2, 1, 2], vec![0.0, 1.0, f32::NAN, 0.0]).expect("a tensor");
    says(ChannelStandardize::fit(&bad), &["NaN or infinity in sample 1, channel 0"]);
    let equal = Tensor::f32([2, 2, 1], vec![0.3, 1.0, 0.3, 2.0]).expect("a tensor");
    let fitted = ChannelStandardize::fit(&equal).expect("channels");
    assert_eq!((fitted.constant(), fitted.std()[0]), (vec![0], 1.0));
    says(fitted.apply(&bad), &["[n, 2, ..]", "[2, 1, 2]"]);
}

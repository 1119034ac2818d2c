//! Descriptions that were damaged, or written by somebody who means harm.

use galen::nn::{Architecture, BatchNorm, Dropout, Gru};
use galen::prelude::*;
use galen::{Result, Tensor};
use serde_json::{Value as Json, json};

fn network() -> Functional {
    Functional::new([4, 6], |ctx, x| {
        let y = ctx.layer(&Gru::new(3), x)?;
        let y = ctx.layer(&Dense::new(4).kernel_max_norm(1.0), &y)?;
        let y = ctx.layer(&BatchNorm::new(), &y)?;
        let y = ctx
            .layer(&Dropout::new(0.2), &y)?
            .add(&x.graph().constant([4], [0.0, 0.5, 1.0, f32::NAN])?.slice(&[(0, 1)])?)?;
        let image = y.reshape([y.shape()[0], 1, 2, 2])?;
        let image = ctx.layer(&Conv2d::new(2, [2, 2]).padding(Padding::Same), &image)?;
        let image = ctx.layer(&MaxPool2d::new([2, 2]), &image)?;
        ctx.layer(&Flatten, &image)?.softmax(1)
    })
}

/// Paths to every value in `json`.
fn paths(json: &Json, here: &str, out: &mut Vec<String>) {
    out.push(here.to_owned());
    match json {
        Json::Array(list) => list.iter().enumerate().for_each(|(i, v)| paths(v, &format!("{here}/{i}"), out)),
        Json::Object(map) => {
            map.iter().for_each(|(k, v)| paths(v, &format!("{here}/{}", k.replace('~', "~0").replace('/', "~1")), out))
        }
        _ => {}
    }
}

/// What is done to a value: it goes, or becomes something else.
fn damages(value: &Json) -> Vec<Json> {
    let mut all = vec![Json::Null, json!({}), json!([]), json!("x"), json!(true)];
    match value {
        Json::Number(n) if n.is_f64() => {
            all.extend([json!(-1.5), json!(1e300), json!(0.0), json!("nan"), json!("-inf")])
        }
        Json::Number(_) => all.extend([
            json!(0),
            json!(1),
            json!(2),
            json!(7),
            json!(-1),
            json!(u32::MAX),
            json!(1u64 << 40),
            json!(u64::MAX),
            json!(0.5),
        ]),
        Json::String(text) => {
            all.extend([json!(""), json!(format!("{text}/{text}")), json!(format!("{text}00000000"))])
        }
        Json::Array(list) => {
            all.push(json!(list.iter().chain(list).collect::<Vec<_>>()));
            all.push(json!(list.iter().skip(1).collect::<Vec<_>>()));
            all.push(json!(list.iter().rev().collect::<Vec<_>>()));
            all.extend([
                json!({"$batch": [i64::MAX, 1]}),
                json!({"$batch": [1, -5]}),
                json!({"$over_batch": [1.0, 31]}),
            ]);
        }
        Json::Object(map) => {
            let mut more = map.clone();
            more.insert("more".into(), json!(1));
            all.push(Json::Object(more));
        }
        _ => {}
    }
    all
}

/// Reads a description, and where that goes well trains and asks it.
fn tried(json: &Json, device: &Device) -> Result<()> {
    let Ok(architecture) = serde_json::from_value::<Architecture>(json.clone()) else { return Ok(()) };
    let _ = (architecture.summary(), architecture.drawing().map(|d| d.svg()));
    let input = architecture.inputs().first().map(|i| i.shape.elements());
    // Whatever it claims, it gets little.
    let setup = Setup::on(device).memory_budget(Some(1 << 20));
    let mut model = architecture.compile_on(&setup, Sgd::new(0.1), MeanSquaredError::new(), &[])?;
    if input == Some(24) {
        let x = Tensor::f32(vec![3, 4, 6], (0..72).map(|i| i as f32 / 72.0).collect())?;
        let y = model.predict(x.clone())?;
        if let Ok(data) = galen::data::Dataset::new(x, y) {
            model.fit(&data, &Fit::new().batch_size(2).verbose(false))?;
        }
    }
    Ok(())
}

#[test]
fn damaged_descriptions_are_errors_and_never_panics() -> Result<()> {
    let device = Device::cpu_with_threads(1)?;
    let whole = serde_json::to_value(Architecture::of(&network())?).expect("plain data");
    tried(&whole, &device)?;
    let mut places = Vec::new();
    paths(&whole, "", &mut places);
    let (mut good, mut bad) = (0, 0);
    let mut count = |json: &Json| match tried(json, &device) {
        Ok(()) => good += 1,
        Err(_) => bad += 1,
    };
    for place in &places {
        let value = whole.pointer(place).expect("a place").clone();
        for damage in damages(&value) {
            let mut json = whole.clone();
            *json.pointer_mut(place).expect("a place") = damage;
            count(&json);
        }
        // The value goes, with its key.
        let (parent, key) = place.rsplit_once('/').unwrap_or_default();
        let mut json = whole.clone();
        match json.pointer_mut(parent) {
            Some(Json::Object(map)) => _ = map.remove(key),
            Some(Json::Array(list)) => _ = key.parse().map(|i: usize| list.remove(i)),
            _ => {}
        }
        count(&json);
    }
    println!("{} places, {good} damages were refused as JSON or do no harm, {bad} were refused later", places.len());
    assert!(bad > 500, "{bad}");
    Ok(())
}

#[test]
fn a_description_of_another_version_is_refused() -> Result<()> {
    let mut json = serde_json::to_value(Architecture::of(&network())?).expect("plain data");
    json["version"] = json!(2);
    let later: Architecture = serde_json::from_value(json).expect("the form is the same");
    let message = later.summary().expect_err("another version").to_string();
    assert!(message.contains("version 2"), "{message}");
    Ok(())
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(serde_json::from_str::<Architecture>(&text).is_err());
    let layers = "{\"layer\":{\"name\":\"a\",\"kind\":\"b\",\"output\":null,\"items\":[".repeat(10_000);
    let text = format!("{{\"version\":1,\"inputs\":[],\"states\":[],\"infer\":{{\"outputs\":[],\"items\":[{layers}");
    assert!(serde_json::from_str::<Architecture>(&text).is_err());
}

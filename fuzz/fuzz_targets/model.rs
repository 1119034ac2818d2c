//! A network's description in a model's file, with parameters for all that it declares: a model that is opened, predicts, is saved and
//! opened again, or an error.
#![no_main]

use galen::interop::safetensors;
use galen::nn::{Architecture, Network};
use galen::train::{Model, Setup};
use galen::{DType, Device, Tensor};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Bytes that a network may take.
const BUDGET: u64 = 32 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(network) = serde_json::from_str::<Architecture>(text) else { return };
    let Some(tensors) = parameters(text) else { return };
    let folder = std::env::temp_dir();
    let [path, again] = ["model", "again"].map(|name| folder.join(format!("galen-fuzz-{}-{name}", std::process::id())));
    let about = [("format", "galen model 1"), ("galen", "fuzz"), ("architecture", text)];
    safetensors::write(&path, &tensors, &about).expect("the file");
    let device = Device::cpu_with_threads(1).expect("a processor");
    let setup = Setup::on(&device).memory_budget(Some(BUDGET));
    let Ok(mut model) = Model::open(&path, &setup) else { return };
    let inputs: Vec<Tensor> = network
        .inputs()
        .iter()
        .filter_map(|input| {
            let shape: Vec<usize> = std::iter::once(2).chain(input.shape.iter().copied()).collect();
            let count = shape.iter().product();
            match input.dtype {
                DType::F32 => Tensor::f32(shape, vec![0.5; count]).ok(),
                DType::U32 => Tensor::u32(shape, vec![0; count]).ok(),
                DType::U8 => Tensor::u8(shape, vec![0; count]).ok(),
            }
        })
        .collect();
    let first = model.predict_many(&inputs);
    model.save(&again).expect("what was opened is saved");
    // Where the half that is for training is damaged, the model is saved without its architecture.
    let Ok(mut other) = Model::open(&again, &setup) else { return };
    if let (Ok(first), Ok(second)) = (first, other.predict_many(&inputs)) {
        let bits =
            |y: &[ndarray::ArrayD<f32>]| y.iter().flat_map(|y| y.iter().map(|v| v.to_bits())).collect::<Vec<_>>();
        assert_eq!(bits(&first), bits(&second));
    }
});

/// Zeros for everything that is declared, where they are few.
fn parameters(text: &str) -> Option<Vec<(String, Tensor)>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut tensors: Vec<(String, Tensor)> = Vec::new();
    let mut all = 0_usize;
    for state in value.get("states")?.as_array()? {
        let name = state.get("name")?.as_str()?.to_owned();
        let shape = state.get("spec")?.get("shape")?.as_array()?;
        let shape: Vec<usize> = shape.iter().map(|n| n.as_u64().map(|n| n as usize)).collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1_usize, |n, extent| n.checked_mul(*extent))?;
        all = all.checked_add(count)?;
        if all > 1 << 20 || tensors.iter().any(|(have, _)| *have == name) {
            return None;
        }
        tensors.push((name, Tensor::f32(shape, vec![0.25; count]).ok()?));
    }
    Some(tensors)
}

//! Networks as data: what is read from a file predicts and trains as the network did that was written, to the bit.

#[path = "architecture/damage.rs"]
mod damage;
#[path = "architecture/files.rs"]
mod files;
#[path = "architecture/networks.rs"]
mod networks;

use std::collections::BTreeMap;
use std::time::Instant;

use galen::data::Dataset;
use galen::nn::models::{ResNet18, UNet2d};
use galen::nn::{Architecture, BuildCtx, Layer, Losses};
use galen::prelude::*;
use galen::{Error, Result, Tensor, Var};
use networks::{Any, all};

fn setup() -> Setup {
    Setup::on(&Device::cpu_with_threads(1).expect("a thread")).seed(9)
}

/// A model of `network` with a loss for every output.
fn compiled(network: Any, optimizer: impl Into<Tuned>) -> Result<Model> {
    let outputs = network.summary()?.outputs.len();
    let losses = (1..outputs).fold(Losses::new(MeanSquaredError::new()), |l, _| l.and(MeanSquaredError::new(), 0.5));
    network.compile_on(&setup(), optimizer, losses, &[])
}

fn bits(model: &mut Model) -> Result<Vec<(String, Vec<u32>)>> {
    let mut all = Vec::new();
    for slot in model.parameter_specs()?.into_iter().chain(model.statistic_specs()) {
        let values = model.parameter(&slot.name)?.into_f32()?.iter().map(|v| v.to_bits()).collect();
        all.push((slot.name, values));
    }
    Ok(all)
}

fn predicted(model: &mut Model, inputs: &[Tensor]) -> Result<Vec<Vec<u32>>> {
    Ok(model.predict_many(inputs)?.iter().map(|y| y.iter().map(|v| v.to_bits()).collect()).collect())
}

fn trained(mut model: Model, data: &Dataset) -> Result<Vec<(String, Vec<u32>)>> {
    let history = model.fit(data, &Fit::new().batch_size(4).verbose(false))?;
    assert!(history.epochs[0].step_losses.iter().all(|l| l.is_finite()));
    bits(&mut model)
}

/// The description, written and read again.
fn described(network: &dyn Network) -> Result<Architecture> {
    let architecture = Architecture::of(network)?;
    let text = serde_json::to_string(&architecture).expect("plain data");
    let read: Architecture = serde_json::from_str(&text).expect("what was written");
    assert!(read == architecture && serde_json::to_string(&read).expect("plain data") == text);
    Ok(read)
}

#[test]
fn an_opened_model_predicts_what_the_saved_one_did() {
    for (name, make) in all() {
        let path = std::env::temp_dir().join(format!("galen-opened-{}-{name}", std::process::id()));
        let check = || -> Result<()> {
            let network = make();
            let mut model = compiled(make(), Sgd::new(0.01))?;
            model.fit(&networks::dataset(&network, 9)?, &Fit::new().batch_size(4).verbose(false))?;
            model.save(&path)?;
            let mut opened = Model::open(&path, &setup())?;
            for n in [1, 5, 32, 33] {
                let inputs = networks::features(&network, n);
                assert!(predicted(&mut model, &inputs)? == predicted(&mut opened, &inputs)?, "{name}: {n} samples");
            }
            assert_eq!(opened.summary()?, network.summary()?, "{name}");
            assert_eq!(opened.drawing()?, network.drawing()?, "{name}");
            Ok(())
        };
        check().unwrap_or_else(|e| panic!("{name}: {e}"));
        std::fs::remove_file(&path).expect("the file");
    }
}

#[test]
fn a_network_read_from_a_file_trains_as_the_one_that_was_written() {
    for (name, make) in all() {
        let check = || -> Result<()> {
            let architecture = described(&make())?;
            let data = networks::dataset(&make(), 10)?;
            let original = trained(compiled(make(), Adam::new(0.01))?, &data)?;
            let again = trained(compiled(Any::of(architecture.clone()), Adam::new(0.01))?, &data)?;
            assert!(original == again, "{name}: other parameters");
            // A description of the description is the same.
            assert!(Architecture::of(&architecture)? == architecture, "{name}");
            Ok(())
        };
        check().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn layers_are_frozen_by_name_one_by_one() -> Result<()> {
    let resnet = || Any::of(Sequential::new([2, 16, 16]).with(ResNet18::new(3).width(2).dropout(0.2)));
    let architecture = described(&resnet())?;
    let data = networks::dataset(&resnet(), 10)?;
    let names: Vec<String> = resnet().summary()?.layers.into_iter().map(|l| l.name).collect();
    let norms: Vec<&String> = names.iter().filter(|name| name.contains("norm")).collect();
    assert!(norms.len() > 10, "{names:?}");
    let mut seen = Vec::new();
    for frozen in
        [vec![], vec![norms[0]], vec![norms[1], norms[5]], norms.iter().copied().step_by(2).collect(), norms.clone()]
    {
        let tuned = || frozen.iter().fold(Tuned::new(Adam::new(0.01)), |tuned, name| tuned.freeze(name.as_str()));
        let original = trained(compiled(resnet(), tuned())?, &data)?;
        assert!(original == trained(compiled(Any::of(architecture.clone()), tuned())?, &data)?, "{frozen:?}");
        assert!(!seen.contains(&original), "freezing {frozen:?} changes nothing");
        seen.push(original);
    }
    Ok(())
}

/// Asks whether it is frozen, and then leaves something out.
#[derive(Debug)]
struct Restless;

impl Layer for Restless {
    fn kind(&self) -> &'static str {
        "restless"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if ctx.is_frozen() || ctx.mode == galen::nn::Mode::Infer {
            Ok(x.clone())
        } else {
            x.dropout(0.5, ctx.stream(""), ctx.clock()?)
        }
    }
}

#[test]
fn a_layer_of_ones_own_may_pass_its_input_on_where_it_is_frozen() -> Result<()> {
    // Both the layer's input and its output are used afterwards.
    let network = || {
        Any::of(Functional::new([4], |ctx, x| {
            let a = ctx.layer(&Dense::new(6).activation(Tanh), x)?;
            let b = ctx.layer(&Restless, &a)?;
            ctx.layer(&Dense::new(2), &a.mul(&b)?)
        }))
    };
    let architecture = described(&network())?;
    let data = networks::dataset(&network(), 10)?;
    let tuned = |frozen: bool| if frozen { Tuned::new(Sgd::new(0.1)).freeze("dense") } else { Sgd::new(0.1).into() };
    for frozen in [true, false] {
        let original = trained(compiled(network(), tuned(frozen))?, &data)?;
        assert!(original == trained(compiled(Any::of(architecture.clone()), tuned(frozen))?, &data)?);
    }
    Ok(())
}

fn refused(network: impl Network + 'static) -> String {
    match Architecture::of(&network) {
        Err(e @ Error::Usage { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_depends_on_the_batch_in_its_own_way_is_an_error_that_names_the_layer() {
    type Build = fn(&BuildCtx, &Var) -> Result<Var>;
    let cases: [(&str, Build); 5] = [
        ("scale", |_, x| x.scale(1.0 / (x.shape()[0] as f32).sqrt())),
        ("reshape", |_, x| {
            let n = x.shape()[0];
            let whole = x.graph().fill([n * n, 1], 1.0)?.reshape([n, n])?;
            x.add(&whole.slice(&[(0, n), (0, 1)])?)
        }),
        ("clamped", |_, x| x.scale(x.shape()[0].min(8) as f32)),
        ("more nodes", |_, x| if x.shape()[0] > 5 { x.relu()?.shift(1.0) } else { x.shift(1.0) }),
        ("a constant", |_, x| x.add(&x.graph().constant([1], [x.shape()[0] as f32])?)),
    ];
    for (what, layer) in cases {
        let message = refused(Functional::new([4], move |ctx, x| {
            let y = ctx.block("inner", x.graph(), |ctx| layer(ctx, x))?;
            ctx.layer(&Dense::new(1), &y)
        }));
        assert!(message.contains("architecture") && message.contains("inner"), "{what}: {message}");
    }
}

#[test]
fn numbers_that_follow_the_batch_are_written_as_functions_of_it() -> Result<()> {
    let network = || {
        Any::of(Functional::new([6], |ctx, x| {
            let n = x.shape()[0];
            // Twice as many rows and one more, of which the first are taken; a mean and a sum by hand; infinities.
            let rows = Var::concat(&[x, x, &x.graph().fill([1, 6], f32::NEG_INFINITY)?], 0)?
                .slice(&[(0, 2 * n - 1), (0, 6)])?;
            let y = rows.slice(&[(0, n), (0, 6)])?.clip(-1.0, 1.0)?;
            let mean = y.sum(&[0], true)?.scale(1.0 / n as f32)?.scale(n as f32)?.scale(3.0 / n as f32)?;
            ctx.layer(&Dense::new(2), &y.sub(&mean)?)
        }))
    };
    let text = serde_json::to_string(&described(&network())?).expect("plain data");
    for form in ["{\"$batch\":[2,-1]}", "{\"$over_batch\":[3.0,32]}", "{\"$times_batch\":[1.0,32]}", "\"-inf\""] {
        assert!(text.contains(form), "{form}: {text}");
    }
    Ok(())
}

/// What Galen 0.1 wrote. It was made by this test, asked by `GALEN_WRITE_ARCHITECTURE`; files like it are out there, and stay readable.
#[test]
fn descriptions_that_the_first_version_wrote_are_read() -> Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/architecture/version_1.json");
    let stored = |name: &str| ["convolutions", "recurrent", "attention"].contains(&name);
    if std::env::var_os("GALEN_WRITE_ARCHITECTURE").is_some() {
        let named = all().into_iter().filter(|(name, _)| stored(name));
        let written: BTreeMap<&str, Architecture> =
            named.map(|(name, make)| Ok((name, Architecture::of(&make())?))).collect::<Result<_>>()?;
        std::fs::write(path, serde_json::to_string(&written).expect("plain data")).expect("a file");
    }
    let text = std::fs::read_to_string(path).expect("the file");
    let read: BTreeMap<String, Architecture> = serde_json::from_str(&text).expect("what was written");
    for (name, make) in all().into_iter().filter(|(name, _)| stored(name)) {
        assert_eq!(read[name].summary()?, make().summary()?, "{name}");
        let inputs = networks::features(&make(), 5);
        let mut original = compiled(make(), Sgd::new(0.01))?;
        let mut again = compiled(Any::of(read[name].clone()), Sgd::new(0.01))?;
        assert!(predicted(&mut original, &inputs)? == predicted(&mut again, &inputs)?, "{name}");
    }
    Ok(())
}

#[test]
fn large_networks_are_described_in_little_time_and_space() -> Result<()> {
    let resnet = Sequential::new([3, 64, 64]).with(ResNet18::new(10));
    let unet = Sequential::new([1, 64, 64]).with(UNet2d::new(2));
    for (name, network) in [("ResNet18", &resnet), ("UNet2d", &unet)] {
        let start = Instant::now();
        let text = serde_json::to_string(&Architecture::of(network)?).expect("plain data");
        let taken = start.elapsed();
        println!("{name}: {} bytes in {taken:?}", text.len());
        assert!(text.len() < 150_000 && taken.as_secs() < 10, "{name}: {} bytes in {taken:?}", text.len());
    }
    Ok(())
}

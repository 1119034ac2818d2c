//! Models in files: opening, loading into other models, what is attached.

use std::path::PathBuf;
use std::sync::Arc;

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Launches};
use galen::data::Dataset;
use galen::graph::{Grad, GradientCtx};
use galen::interop::safetensors;
use galen::nn::Architecture;
use galen::prelude::*;
use galen::train::SavedModel;
use galen::{Error, Result, Tensor, TensorSpec, Var};
use serde::{Deserialize, Serialize};

use super::setup;

/// A file that goes when the test is over.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Path {
        Path(std::env::temp_dir().join(format!("galen-files-{}-{name}", std::process::id())))
    }
}

impl AsRef<std::path::Path> for Path {
    fn as_ref(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn network(outputs: usize) -> Sequential {
    Sequential::new([3]).named("body", Dense::new(4).activation(Relu)).named("head", Dense::new(outputs))
}

fn model(network: impl Network + 'static) -> Result<Model> {
    network.compile_on(&setup(), Adam::new(0.01), MeanSquaredError::new(), &[])
}

fn data() -> Result<Dataset> {
    let x = Tensor::f32(vec![8, 3], (0..24).map(|i| (i as f32).sin()).collect())?;
    Dataset::new(x, Tensor::f32(vec![8, 2], (0..16).map(|i| (i as f32).cos()).collect())?)
}

#[test]
fn an_opened_model_has_no_loss_and_says_what_to_do() -> Result<()> {
    let path = Path::new("loss");
    let mut trained = model(network(2))?;
    trained.fit(&data()?, &Fit::new().verbose(false))?;
    trained.save(&path)?;
    let mut opened = Model::open(&path, &setup())?;
    for refused in [opened.evaluate(&data()?).map(drop), opened.fit(&data()?, &Fit::new()).map(drop)] {
        let message = refused.expect_err("no loss").to_string();
        assert!(message.contains("SavedModel::read"), "{message}");
    }
    let saved = SavedModel::read(&path)?;
    assert_eq!(saved.summary()?, network(2).summary()?);
    let mut again = saved.compile_on(&setup(), Sgd::new(0.1), MeanSquaredError::new(), &[])?;
    assert_eq!(again.evaluate(&data()?)?.loss, trained.evaluate(&data()?)?.loss);
    again.fit(&data()?, &Fit::new().verbose(false))?;
    // An opened model is saved like any other.
    let second = Path::new("second");
    opened.save(&second)?;
    let file = |path: &Path| safetensors::Archive::open(path.as_ref());
    assert_eq!(file(&path)?.about("architecture"), file(&second)?.about("architecture"));
    assert!(file(&path)?.about("architecture").is_some());
    Ok(())
}

#[test]
fn what_is_attached_travels_with_the_model() -> Result<()> {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Scaling {
        mean: Vec<f32>,
        deviation: Vec<f32>,
    }
    let path = Path::new("attached");
    let scaling = Scaling { mean: vec![0.1, -3.7], deviation: vec![1e-7, 2.5] };
    let mut model = model(network(2))?;
    model.attach("scaling", &scaling)?;
    model.attach("classes", &["no", "yes"])?;
    model.save(&path)?;
    for found in [Model::open(&path, &setup())?.attached("scaling")?, SavedModel::read(&path)?.attached("scaling")?] {
        assert_eq!(found.as_ref(), Some(&scaling));
    }
    let mut other = super::files::model(network(2))?;
    assert_eq!(other.attached::<Scaling>("scaling")?, None);
    other.attach("classes", &["a", "b"])?;
    other.attach("notes", &"stay")?;
    other.load(&path)?;
    assert_eq!(other.attached::<Vec<String>>("classes")?, Some(vec!["no".to_owned(), "yes".to_owned()]));
    assert_eq!(other.attached::<String>("notes")?.as_deref(), Some("stay"));
    let message = other.attached::<Scaling>("classes").expect_err("something else").to_string();
    assert!(message.contains("\"classes\""), "{message}");
    Ok(())
}

#[test]
fn matching_tensors_are_loaded_and_the_others_are_reported() -> Result<()> {
    let path = Path::new("matching");
    let mut old = model(network(2).named("old", Dense::new(2)))?;
    old.save(&path)?;
    let setup = setup().seed(77);
    let new = network(5).named("new", Dense::new(2));
    let mut new = new.compile_on(&setup, Adam::new(0.01), MeanSquaredError::new(), &[])?;
    let before = new.parameter("head/kernel")?;
    let report = new.load_matching(&path)?;
    assert_eq!(report.matched, ["body/kernel", "body/bias"]);
    assert_eq!(report.missing, ["new/kernel", "new/bias"]);
    assert_eq!(report.unused, ["old/bias", "old/kernel"]);
    let shapes: Vec<_> = report.other_shape.iter().map(|o| (&o.name[..], &o.expected[..], &o.actual[..])).collect();
    assert_eq!(shapes, [("head/kernel", "f32[4, 5]", "f32[4, 2]"), ("head/bias", "f32[5]", "f32[2]")]);
    assert!(!report.is_complete());
    let expected = "\
loaded                2  body/kernel, body/bias
not in the file       2  new/kernel, new/bias
not in the model      2  old/bias, old/kernel
another shape         2  head/kernel f32[4, 2] instead of f32[4, 5], head/bias f32[2] instead of f32[5]";
    assert_eq!(report.to_string(), expected);
    assert_eq!(new.parameter("body/kernel")?, old.parameter("body/kernel")?);
    assert_eq!(new.parameter("head/kernel")?, before);
    Ok(())
}

#[test]
fn nothing_is_loaded_where_a_number_is_not_finite() -> Result<()> {
    let path = Path::new("finite");
    let mut model = model(network(2))?;
    let before = model.parameter("body/kernel")?;
    let tensors = [
        ("body/kernel".to_owned(), Tensor::f32(vec![3, 4], vec![1.0; 12])?),
        ("body/bias".to_owned(), Tensor::f32(vec![4], vec![0.0, f32::NAN, 0.0, 0.0])?),
    ];
    safetensors::write(path.as_ref(), &tensors, &[])?;
    let message = model.load_matching(&path).expect_err("a NaN").to_string();
    assert!(message.contains("body/bias") && message.contains("finite"), "{message}");
    assert_eq!(model.parameter("body/kernel")?, before);
    Ok(())
}

#[test]
fn loading_another_models_file_says_what_differs() -> Result<()> {
    let path = Path::new("other");
    let many = (0..6).fold(network(2), |network, i| network.named(format!("more{i}"), Dense::new(2)));
    model(network(3))?.save(&path)?;
    let message = model(many)?.load(&path).expect_err("another model").to_string();
    let expected = "expected the 16 tensors of this model, got 12 missing (more0/kernel, more0/bias, more1/kernel, more1/bias and 8 more), \
                    2 of another shape (head/kernel f32[4, 3] instead of f32[4, 2], head/bias f32[3] instead of f32[2])";
    assert!(message.ends_with(expected), "{message}");
    Ok(())
}

/// A user's op: nothing happens.
#[derive(Debug)]
struct Same;

impl CustomOp for Same {
    fn name(&self) -> &str {
        "same"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        Ok(inputs.to_vec())
    }

    fn gpu(&self, _io: &Io, _gpu: &GpuTraits) -> Launches {
        unreachable!("it runs on the CPU")
    }

    fn cpu_f32(&self, mut call: CpuCall<'_, f32>) {
        call.y[0].f_mut().copy_from_slice(call.x[0].f());
    }

    fn cpu_f64(&self, _call: CpuCall<'_, f64>) {}

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Of(ctx.dy()?.clone())])
    }
}

#[test]
fn a_model_with_an_op_of_ones_own_is_saved_without_its_architecture() -> Result<()> {
    let network = || {
        Functional::new([3], |ctx, x| {
            let same = |x: &Var| Ok::<_, Error>(x.graph().custom(Arc::new(Same), &[x])?.swap_remove(0));
            let y = ctx.block("special", x.graph(), |_| same(x))?;
            ctx.layer(&Dense::new(2), &y)
        })
    };
    let message = Architecture::of(&network()).expect_err("code").to_string();
    assert!(message.contains("layer \"special\"") && message.contains("op \"same\""), "{message}");
    let path = Path::new("custom");
    let mut saved = model(network())?;
    assert_eq!(saved.architecture().expect_err("code").to_string(), message);
    saved.save(&path)?;
    let refused = Model::open(&path, &setup()).expect_err("no architecture").to_string();
    assert!(refused.contains("op \"same\"") && refused.contains("Model::load"), "{refused}");
    let mut other = network().compile_on(&setup().seed(3), Sgd::new(0.1), MeanSquaredError::new(), &[])?;
    other.load(&path)?;
    assert_eq!(other.parameter("dense/kernel")?, saved.parameter("dense/kernel")?);
    Ok(())
}

#[test]
fn a_file_says_nothing_of_where_and_when_it_was_made() -> Result<()> {
    let path = Path::new("private");
    model(network(2))?.save(&path)?;
    let text = String::from_utf8_lossy(&std::fs::read(&path).expect("the file")).into_owned();
    assert!(
        text.contains("galen model 1") && !text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("galen-files")
    );
    Ok(())
}

#[test]
fn files_that_are_no_models_are_refused() -> Result<()> {
    let path = Path::new("refused");
    let mut whole = model(network(2))?;
    whole.save(&path)?;
    let file = safetensors::Archive::open(path.as_ref())?;
    let architecture = file.about("architecture").expect("an architecture").to_owned();
    let kernel = ("body/kernel".to_owned(), whole.parameter("body/kernel")?);
    let refused = |tensors: &[(String, Tensor)], about: &[(&str, &str)]| -> Result<String> {
        safetensors::write(path.as_ref(), tensors, about)?;
        match Model::open(&path, &setup()) {
            Err(e @ Error::Format { .. }) => Ok(e.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let kernels = std::slice::from_ref(&kernel);
    assert!(refused(kernels, &[])?.contains("not written as a model"));
    assert!(
        refused(kernels, &[("format", "galen model 2"), ("architecture", &architecture)])?.contains("galen model 2")
    );
    assert!(refused(kernels, &[("format", "galen model 1"), ("architecture", "{}")])?.contains("missing field"));
    assert!(refused(kernels, &[("format", "galen model 1"), ("architecture", &architecture)])?.contains("3 missing"));
    let bytes = std::fs::read(&path).expect("the file");
    for cut in [0, 4, 9, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).expect("a part");
        assert!(matches!(Model::open(&path, &setup()), Err(Error::Format { .. })), "{cut} bytes");
    }
    Ok(())
}

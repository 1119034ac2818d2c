//! Samples that are made when they are wanted: trained on as if they were in memory, on every device and wherever they lie.

mod common;

use galen::data::{RowMut, Rows, Source};
use galen::prelude::*;
use galen::{DType, Error, Result, Tensor, TensorSpec};
use ndarray::{Array1, Array2};

const SAMPLES: usize = 50;
const WIDTH: usize = 6;

/// Features of sample `i`, as bytes.
fn bytes(i: usize) -> [u8; WIDTH] {
    std::array::from_fn(|j| ((i * 37 + j * 11) % 256) as u8)
}

fn label(i: usize) -> u32 {
    u32::from(bytes(i)[0] > 127)
}

/// Makes the samples above, and a bad one where it is told to.
#[derive(Debug)]
struct Made {
    dtype: DType,
    bad: Option<usize>,
}

impl Rows for Made {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new([WIDTH], self.dtype)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        let bad = self.bad == Some(index);
        match row {
            RowMut::U8(x) if bad => {
                return Err(Error::data(format!("sample {index}"), "a whole image", x.len().to_string()));
            }
            RowMut::U8(x) => x.copy_from_slice(&bytes(index)),
            RowMut::F32(x) => {
                x.iter_mut().zip(bytes(index)).for_each(|(x, b)| *x = if bad { f32::NAN } else { f32::from(b) / 255.0 })
            }
            RowMut::U32(x) => x.fill(if bad { 9 } else { label(index) }),
        }
        Ok(())
    }
}

/// Labels that are made.
#[derive(Debug)]
struct Labels(Option<usize>);

impl Rows for Labels {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::u32([])
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        let RowMut::U32(x) = row else { return Err(Error::usage("labels", "they are u32")) };
        x[0] = if self.0 == Some(index) { 9 } else { label(index) };
        Ok(())
    }
}

fn in_memory() -> Dataset {
    let x = Array2::from_shape_fn((SAMPLES, WIDTH), |(i, j)| bytes(i)[j]);
    Dataset::new(x, Array1::from_shape_fn(SAMPLES, label)).expect("good data")
}

fn made(bad: Option<usize>) -> Dataset {
    Dataset::new(Source::rows(Made { dtype: DType::U8, bad }), Source::rows(Labels(None))).expect("good data")
}

fn model(device: &Device, budget: Option<u64>) -> Model {
    let network =
        Sequential::new([WIDTH]).with(Dense::new(8).activation(Relu)).with(Dropout::new(0.2)).with(Dense::new(2));
    let setup = Setup::on(device).seed(3).memory_budget(budget);
    let loss = CategoricalCrossEntropy::new().from_logits();
    network.compile_on(&setup, Adam::new(0.01), loss, &[Metric::Accuracy]).expect("a model")
}

fn trained(device: &Device, data: &Dataset, budget: Option<u64>) -> Tensor {
    let mut model = model(device, budget);
    model.fit(data, &Fit::new().epochs(3).batch_size(8).verbose(false)).expect("a training");
    model.parameter("dense/kernel").expect("the kernel")
}

/// The smallest budget with which the model can be trained on a stream.
fn tight(device: &Device, data: &Dataset) -> u64 {
    let mut model = model(device, None);
    model.prepare(data, &Fit::new().batch_size(8)).expect("a plan");
    model.memory_bytes() - 64
}

#[test]
fn made_samples_train_like_those_in_memory() {
    for device in common::devices() {
        let expected = trained(&device, &in_memory(), None);
        assert_eq!(trained(&device, &made(None), None), expected, "resident on {device:?}");
        let budget = tight(&device, &in_memory());
        assert_eq!(trained(&device, &made(None), Some(budget)), expected, "streamed on {device:?}");
        assert_eq!(trained(&device, &in_memory(), Some(budget)), expected, "streamed from memory on {device:?}");
    }
}

#[test]
fn a_tight_budget_streams() {
    let device = Device::cpu().expect("a processor");
    let data = made(None);
    let mut model = model(&device, Some(tight(&device, &data)));
    model.prepare(&data, &Fit::new().batch_size(8)).expect("a plan");
    assert!(model.describe_memory().contains("streamed"), "{}", model.describe_memory());
}

#[test]
fn made_samples_are_evaluated_and_predicted_like_those_in_memory() {
    let device = Device::cpu().expect("a processor");
    let mut model = model(&device, None);
    assert_eq!(model.evaluate(&made(None)).expect("numbers"), model.evaluate(&in_memory()).expect("numbers"));
    let expected = model.predict_dataset(&in_memory()).expect("outputs");
    assert_eq!(model.predict_dataset(&made(None)).expect("outputs"), expected);
}

#[test]
fn a_selection_of_made_samples_is_that_of_the_same_in_memory() {
    let chosen = [7, 3, 3, 49];
    let picked = |data: &Dataset| data.select(&chosen).and_then(|d| d.select(&[2, 0])).expect("samples");
    let (made, expected) = (picked(&made(None)), picked(&in_memory()));
    assert_eq!(made.features().to_tensor().expect("bytes"), expected.features().to_tensor().expect("bytes"));
    assert_eq!(made.targets().to_tensor().expect("labels"), expected.targets().to_tensor().expect("labels"));
    assert_eq!(made.features().spec(), expected.features().spec());
}

#[test]
fn a_bad_sample_stops_the_training_and_is_named() {
    for device in common::devices() {
        let message = |data: &Dataset, budget| {
            let mut model = model(&device, budget);
            let error = model.fit(data, &Fit::new().batch_size(8).verbose(false)).expect_err("a bad sample");
            error.to_string()
        };
        let not_whole = message(&made(Some(31)), None);
        assert_eq!(not_whole, "sample 31: expected a whole image, got 6");
        assert_eq!(message(&made(Some(31)), Some(tight(&device, &in_memory()))), not_whole);
        let nan = Source::rows(Made { dtype: DType::F32, bad: Some(12) });
        let nan = Dataset::new(nan, Source::rows(Labels(None))).expect("not looked at yet");
        assert_eq!(message(&nan, None), "features: expected finite numbers, got NaN in sample 12");
        let label = Dataset::new(Source::rows(Made { dtype: DType::U8, bad: None }), Source::rows(Labels(Some(4))));
        let label = message(&label.expect("not looked at yet"), None);
        assert!(label.contains('9') && label.contains("sample 4"), "{label}");
    }
}

#[test]
fn a_maker_that_panics_stops_the_training_and_the_sample_is_named() {
    #[derive(Debug)]
    struct Panics;

    impl Rows for Panics {
        fn len(&self) -> usize {
            SAMPLES
        }

        fn sample(&self) -> TensorSpec {
            TensorSpec::new([WIDTH], DType::U8)
        }

        fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
            assert!(index != 31, "no pixels behind line {index}");
            Made { dtype: DType::U8, bad: None }.read(index, row)
        }
    }

    let expected = "sample 31: expected one that can be made, got a panic: no pixels behind line 31";
    let device = Device::cpu().expect("a processor");
    let data = Dataset::new(Source::rows(Panics), Source::rows(Labels(None))).expect("not looked at yet");
    for budget in [None, Some(tight(&device, &in_memory()))] {
        let mut model = model(&device, budget);
        let fit = model.fit(&data, &Fit::new().batch_size(8).verbose(false)).expect_err("a panic");
        assert_eq!(fit.to_string(), expected, "{budget:?}");
        let predicted = model.predict_dataset(&data).expect_err("a panic");
        assert_eq!(predicted.to_string(), expected, "{budget:?}");
    }
}

#[test]
fn data_that_could_not_be_loaded_is_not_taken_for_what_was_there_before() {
    let device = Device::cpu().expect("a processor");
    let options = Fit::new().batch_size(8).verbose(false);
    let (mut interrupted, mut expected) = (model(&device, None), model(&device, None));
    for model in [&mut interrupted, &mut expected] {
        model.fit(&in_memory(), &options).expect("an epoch");
    }
    interrupted.fit(&made(Some(40)), &options).expect_err("a bad sample");
    for model in [&mut interrupted, &mut expected] {
        model.fit(&in_memory(), &options).expect("an epoch");
    }
    let kernels = [&mut interrupted, &mut expected].map(|model| model.parameter("dense/kernel").expect("the kernel"));
    assert_eq!(kernels[0], kernels[1]);
}

#[test]
fn a_wish_to_stop_is_heard_while_samples_are_made() {
    /// Makes samples slowly, and wishes to stop at the third.
    #[derive(Debug)]
    struct Slow(galen::train::Interrupt);
    impl Rows for Slow {
        fn len(&self) -> usize {
            1_000_000
        }
        fn sample(&self) -> TensorSpec {
            TensorSpec::f32([WIDTH])
        }
        fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
            if index == 2 {
                self.0.stop();
            }
            let RowMut::F32(x) = row else { return Err(Error::usage("samples", "they are floats")) };
            x.fill(0.5);
            Ok(())
        }
    }
    let (wish, device) = (galen::train::Interrupt::new(), Device::cpu().expect("a processor"));
    let data =
        Dataset::new(Source::rows(Slow(wish.clone())), Array1::<u32>::zeros(1_000_000)).expect("not looked at yet");
    let mut model = model(&device, None);
    let history = model.fit(&data, &Fit::new().batch_size(8).verbose(false).interrupt(&wish)).expect("stopped");
    assert!(history.interrupted && history.epochs.is_empty(), "{:?}", history.stopped);
}

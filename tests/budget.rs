//! What an error says of memory is true: the smallest budget that it names is enough and one byte less is not; the largest batch that it
//! names fits and one sample more does not.

mod common;

use galen::data::Dataset;
use galen::nn::{Activation::Relu, Conv2d, Dense, Flatten, MeanSquaredError, Sequential};
use galen::optim::Adam;
use galen::train::{Compile, Fit, Model, Setup};
use galen::{Device, Error};
use ndarray::{Array2, Array4};

fn dense(device: &Device, budget: u64) -> Model {
    let network = Sequential::new([40]).with(Dense::new(64).activation(Relu)).with(Dense::new(1));
    let setup = Setup::on(device).memory_budget(Some(budget));
    network.compile_on(&setup, Adam::new(0.01), MeanSquaredError::new(), &[]).expect("a model")
}

fn images(device: &Device, budget: u64) -> Model {
    let network = Sequential::new([1, 9, 7]).with(Conv2d::new(6, [3, 3]).activation(Relu)).with(Flatten);
    let setup = Setup::on(device).memory_budget(Some(budget));
    let network = network.with(Dense::new(1));
    network.compile_on(&setup, Adam::new(0.01), MeanSquaredError::new(), &[]).expect("a model")
}

fn floats(n: usize) -> Dataset {
    Dataset::new(Array2::from_shape_fn((n, 40), |(i, j)| (i * j % 7) as f32), Array2::<f32>::zeros((n, 1)))
        .expect("data")
}

/// Samples of an odd number of bytes: shards of them must begin at whole words.
fn bytes(n: usize) -> Dataset {
    let x = Array4::from_shape_fn((n, 1, 9, 7), |(i, _, r, c)| (i + 3 * r + c) as u8);
    Dataset::new(x, Array2::<f32>::zeros((n, 1))).expect("data")
}

/// The number after `words` in a message.
fn number(message: &str, words: &str) -> u64 {
    let rest = message.split_once(words).unwrap_or_else(|| panic!("\"{words}\" is not in: {message}")).1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number after \"{words}\": {message}"))
}

fn check(make: impl Fn(u64) -> Model, data: &Dataset, batch: usize, budget: u64) {
    let prepare = |budget: u64, batch: usize| make(budget).prepare(data, &Fit::new().batch_size(batch));
    let error = prepare(budget, batch).expect_err("a budget that is too small");
    assert!(matches!(&error, Error::Limit { allowed, unit: "bytes", .. } if *allowed == budget), "{error}");
    let message = error.to_string();
    let enough = number(&message, &format!("the smallest budget for batches of {batch} is "));
    assert!(enough > budget, "{message}");
    prepare(enough, batch).unwrap_or_else(|e| panic!("{message}\nbut with {enough}: {e}"));
    let less = prepare(enough - 1, batch).expect_err("one byte less");
    assert_eq!(number(&less.to_string(), &format!("for batches of {batch} is ")), enough, "{less}");
    let largest = number(&message, "the largest batch that fits is ") as usize;
    assert!((1..batch).contains(&largest), "{message}");
    prepare(budget, largest).unwrap_or_else(|e| panic!("{message}\nbut with batches of {largest}: {e}"));
    assert!(prepare(budget, largest + 1).is_err(), "{message}\nbut one more fits");
}

fn check_on(device: &Device) {
    // Data that is streamed, and data so small that it is as large as two shards.
    check(|budget| dense(device, budget), &floats(3_000), 256, 300_000);
    check(|budget| dense(device, budget), &floats(70), 64, 110_000);
    check(|budget| images(device, budget), &bytes(1_001), 128, 150_000);
}

#[test]
fn the_numbers_of_a_message_are_true() {
    check_on(&Device::cpu_with_threads(1).expect("a thread"));
    if let Some(gpu) = common::own_gpu() {
        check_on(&gpu);
    }
}

#[test]
fn where_no_batch_fits_the_error_says_so() {
    let device = Device::cpu_with_threads(1).expect("a thread");
    let error =
        dense(&device, 20_000).prepare(&floats(100), &Fit::new()).expect_err("a budget for nothing").to_string();
    assert!(error.contains("no batch fits"), "{error}");
    let enough = number(&error, "the smallest budget for batches of 32 is ");
    dense(&device, enough).prepare(&floats(100), &Fit::new()).expect("enough");
}

/// An evaluation names its own.
#[test]
fn evaluation_tells_the_same() {
    let device = Device::cpu_with_threads(1).expect("a thread");
    let error = dense(&device, 30_000).evaluate(&floats(2_000)).expect_err("too little").to_string();
    let enough = number(&error, "the smallest budget for batches of 32 is ");
    dense(&device, enough).evaluate(&floats(2_000)).expect("enough");
    assert!(dense(&device, enough - 1).evaluate(&floats(2_000)).is_err(), "{error}");
}

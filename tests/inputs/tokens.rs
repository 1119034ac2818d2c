//! A network knows its tokens, and refuses others by name.

use galen::Tensor;
use galen::data::{RowMut, Rows, Source};
use galen::nn::models::{SequenceModel, TransformerEncoder};
use galen::nn::{Embedding, Lstm, Permute, Recurrent, Reshape};
use galen::prelude::*;
use galen::{DType, Result, TensorSpec};
use ndarray::{Array1, Array2};

use super::{Place, common, cpu, says};

const SAMPLES: usize = 40;
const TIME: usize = 6;

fn compiled(network: impl Compile, setup: &Setup) -> Model {
    network.compile_on(setup, Adam::default(), CategoricalCrossEntropy::new(), &[]).expect("a model")
}

/// Tokens below 4, and one that is not in sample 35.
fn tokens(odd: u32) -> Array2<u32> {
    let mut x = Array2::from_shape_fn((SAMPLES, TIME), |(i, t)| ((i * 7 + t * 3) % 4) as u32);
    x[[35, 2]] = odd;
    x
}

fn labels() -> Array1<u32> {
    Array1::from_shape_fn(SAMPLES, |i| (i % 2) as u32)
}

#[test]
fn an_embedding_tells_its_vocabulary_to_the_input() {
    let path = Place::new("tokens");
    let end = || Dense::new(2).activation(Softmax);
    let input = || Input::tokens([TIME]);
    for device in common::devices() {
        let setup = Setup::on(&device);
        let models: [(&str, Model); 5] = [
            (
                "embedding",
                compiled(Sequential::new(input()).with(Embedding::new(4, 3)).with(Flatten).with(end()), &setup),
            ),
            (
                "moved",
                compiled(
                    Sequential::new(input())
                        .with(Reshape::new([2, 3]))
                        .with(Permute::new([2, 1]))
                        .with(Embedding::new(4, 3))
                        .with(Flatten)
                        .with(end()),
                    &setup,
                ),
            ),
            ("sequence", compiled(Sequential::new(input()).with(SequenceModel::gru(4, 2).tokens(4)), &setup)),
            (
                "transformer",
                compiled(Sequential::new(input()).with(TransformerEncoder::new(1, 8, 2, 2).tokens(4)), &setup),
            ),
            (
                "one-hot",
                compiled(
                    Functional::new(input(), |ctx, x| {
                        let x = x.one_hot(4)?.reshape([x.shape()[0], TIME * 4])?;
                        ctx.layer(&Dense::new(2), &x)
                    }),
                    &setup,
                ),
            ),
        ];
        for (name, mut model) in models {
            let mut opened = path.reopened(&mut model, &setup);
            for model in [&mut model, &mut opened] {
                for odd in [4, 7, u32::MAX] {
                    let found = format!("{odd} in sample 35");
                    says(model.predict(tokens(odd)), &["model input", "below 4", &found]);
                }
                let good = model.predict(tokens(3)).unwrap_or_else(|e| panic!("{name}: {e}"));
                assert!(good.iter().all(|p| p.is_finite()), "{name}");
            }
            let bad = Dataset::new(tokens(4), labels()).expect("data");
            says(model.fit(&bad, &Fit::new().verbose(false)), &["below 4", "4 in sample 35"]);
            says(model.evaluate(&bad), &["below 4", "4 in sample 35"]);
            says(model.predict_dataset(&bad), &["below 4", "4 in sample 35"]);
            model.fit(&Dataset::new(tokens(3), labels()).expect("data"), &Fit::new().verbose(false)).expect("an epoch");
        }
    }
}

#[test]
fn every_column_of_categories_has_its_own_vocabulary() {
    let path = Place::new("columns");
    let network = Functional::new(Input::tokens([2]), |ctx, x| {
        let n = x.shape()[0];
        let column = |j: usize| x.slice(&[(0, n), (j, j + 1)])?.reshape([n]);
        let place = ctx.named("place", &Embedding::new(1000, 3), &column(0)?)?;
        let sex = ctx.named("sex", &Embedding::new(2, 3), &column(1)?)?;
        ctx.layer(&Dense::new(2), &place.add(&sex)?)
    });
    let mut model = compiled(network, &cpu());
    let mut opened = path.reopened(&mut model, &cpu());
    for model in [&mut model, &mut opened] {
        let predict = |model: &mut Model, rows: [[u32; 2]; 2]| model.predict(Array2::from(rows.to_vec()));
        predict(model, [[999, 1], [0, 0]]).expect("both are known");
        says(predict(model, [[999, 1], [1, 2]]), &["below 2", "2 in sample 1"]);
        says(predict(model, [[1000, 1], [1, 1]]), &["below 1000", "1000 in sample 0"]);
    }
}

#[test]
fn what_an_input_says_itself_holds_as_well() {
    let network = |input: Input| Sequential::new(input).with(Embedding::new(9, 3)).with(Flatten).with(Dense::new(2));
    let mut model = compiled(network(Input::tokens([TIME]).below(6)), &cpu());
    says(model.predict(tokens(6)), &["below 6", "6 in sample 35"]);
    let mut model = compiled(network(Input::tokens([TIME]).below(20)), &cpu());
    says(model.predict(tokens(9)), &["below 9", "9 in sample 35"]);
    model.predict(tokens(8)).expect("it is known");
}

#[test]
fn lengths_are_at_most_the_number_of_steps() {
    let inputs = [Input::new([5, 2]).named("visits"), Input::tokens([]).named("lengths")];
    let network = Functional::many(inputs, |ctx, x| {
        let lstm = Lstm::new(3);
        let last = ctx.block("lstm", x[0].graph(), |ctx| lstm.build_with_lengths(ctx, &x[0], &x[1]))?;
        Ok(vec![ctx.layer(&Dense::new(2), &last)?])
    });
    let mut model = compiled(network, &cpu());
    let mut given = |last: u32| {
        model.predict_many(&[
            Tensor::f32([3, 5, 2], vec![0.5; 30]).expect("visits"),
            Tensor::u32([3], vec![1, 5, last]).expect("lengths"),
        ])
    };
    says(given(6), &["model input lengths", "below 6", "6 in sample 2"]);
    given(5).expect("as many as there are");
}

/// Tokens that are made when they are wanted.
#[derive(Debug)]
struct Made;

impl Rows for Made {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new([TIME], DType::U32)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        if let RowMut::U32(x) = row {
            x.fill(if index == 35 { 4 } else { (index % 4) as u32 });
        }
        Ok(())
    }
}

#[test]
fn tokens_that_are_made_are_named_by_their_place_in_the_data() {
    let network =
        || Sequential::new(Input::tokens([TIME])).with(Embedding::new(4, 3)).with(Flatten).with(Dense::new(2));
    let data = Dataset::new(Source::rows(Made), labels()).expect("not looked at yet");
    let options = Fit::new().batch_size(4).verbose(false);
    for device in common::devices() {
        let mut model = compiled(network(), &Setup::on(&device));
        let parts = ["below 4", "4 in sample 35"];
        says(model.fit(&data, &options), &parts);
        says(model.evaluate(&data), &parts);
        says(model.predict_dataset(&data), &parts);
        model.prepare(&data, &options).expect("a plan");
        // Streamed, and in another order than that of the data.
        let tight = Setup::on(&device).memory_budget(Some(model.memory_bytes() - 64));
        says(compiled(network(), &tight).fit(&data, &options), &parts);
    }
}

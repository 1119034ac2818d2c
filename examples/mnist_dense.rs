//! Handwritten digits with a dense network, as in the first chapter of the handbook.
//!
//! ```sh
//! cargo run --release --example mnist_dense
//! cargo run --release --example mnist_dense -- --data ~/mnist --device gpu
//! ```
//!
//! The Keras program that it mirrors:
//!
//! ```python
//! model = Sequential([Input((784,)), Dense(32, activation="relu"), Dense(10, activation="softmax")])
//! model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
//! model.fit(x_train, y_train, epochs=10, batch_size=32)
//! ```

mod common;
mod digits;

use galen::prelude::*;

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(train())
}

fn train() -> anyhow::Result<()> {
    let options = common::Options::from_args(&digits::defaults("Trains a dense network on handwritten digits."))?;
    let network = Sequential::new([784]).with(Dense::new(32).activation(Relu)).with(Dense::new(10).activation(Softmax));
    digits::run("mnist_dense", network, false, &options)
}

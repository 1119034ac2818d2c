//! Handwritten digits with a convolutional network: Galen's main example.
//!
//! ```sh
//! cargo run --release --example mnist_cnn
//! cargo run --release --example mnist_cnn -- --data ~/mnist --device gpu
//! ```
//!
//! The Keras program that it mirrors:
//!
//! ```python
//! model = Sequential([Input((28, 28, 1)), Conv2D(32, (3, 3), activation="relu"), MaxPooling2D((2, 2)),
//!                     Flatten(), Dense(10, activation="softmax")])
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
    let options =
        common::Options::from_args(&digits::defaults("Trains a convolutional network on handwritten digits."))?;
    let network = Sequential::new([1, 28, 28])
        .with(Conv2d::new(32, [3, 3]).activation(Relu))
        .with(MaxPool2d::new([2, 2]))
        .with(Flatten)
        .with(Dense::new(10).activation(Softmax));
    digits::run("mnist_cnn", network, true, &options)
}

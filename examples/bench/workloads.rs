//! What is trained, float32, with Adam at 1e-3, on which data.

use anyhow::{Result, bail};
use galen::prelude::*;
use galen::train::Model;
use ndarray::{Array1, Axis};

use crate::networks::{batch_norm_cnn, dense, handbook_cnn, residual_1d, u_net};
use crate::{digits, synthetic};

/// What is trained, on what.
pub struct Workload {
    pub model: Model,
    pub batch: usize,
    /// The fewest steps that are timed together.
    pub least: usize,
    /// Steps that are measured where nobody says how many.
    pub steps: usize,
    data: fn(usize) -> Result<Dataset>,
}

impl Workload {
    /// The workload called `name`, on `device`.
    pub fn on(name: &str, device: &Device) -> Result<Workload> {
        let setup = Setup::on(device);
        let classes =
            |network: Sequential| network.compile_on(&setup, Adam::default(), CategoricalCrossEntropy::new(), &[]);
        let workload = |model, batch, least, steps, data| Workload { model, batch, least, steps, data };
        Ok(match name {
            "W1" => workload(classes(dense())?, 32, 250, 5_000, |n| real_digits(n, &[784])),
            "W2" => workload(classes(handbook_cnn())?, 32, 50, 500, |n| real_digits(n, &[1, 28, 28])),
            "W3" => workload(classes(batch_norm_cnn())?, 64, 5, 50, |n| real_digits(n, &[1, 28, 28])),
            "W4" => {
                let model = u_net().compile_on(&setup, Adam::default(), BinaryCrossEntropy::new(), &[])?;
                workload(model, 8, 5, 50, |n| Ok(synthetic::discs(n)?))
            }
            "W5" => workload(classes(residual_1d())?, 64, 10, 100, |n| Ok(synthetic::waves(n)?)),
            other => bail!("there is no training workload \"{other}\""),
        })
    }

    /// As many samples as `steps` steps take.
    pub fn data(&self, steps: usize) -> Result<Dataset> {
        (self.data)(steps * self.batch)
    }
}

/// `n` real digits `[n, ..shape]`: the embedded ones, from the beginning again where they end.
fn real_digits(n: usize, shape: &[usize]) -> Result<Dataset> {
    let (mnist, _) = digits::load(false)?;
    let have = mnist.train_labels.len();
    let chosen: Vec<usize> = (0..n).map(|i| i % have).collect();
    let labels: Array1<u32> = chosen.iter().map(|&i| mnist.train_labels[i]).collect();
    let images = mnist.train_images.select(Axis(0), &chosen);
    Ok(Dataset::new(images.into_shape_with_order([&[n], shape].concat())?, labels)?)
}

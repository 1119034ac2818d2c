//! Volumes: ellipsoids in noise, whose border is known.

use std::time::Instant;

use anyhow::Result;
use galen::Tensor;
use galen::contract::Threefry;
use galen::nn::DiceCrossEntropy;
use galen::nn::models::UNet3d;
use galen::optim::CosineDecay;
use galen::prelude::*;
use ndarray::Axis;

/// Depth, height and width of a volume.
const EXTENT: [usize; 3] = [16, 32, 32];

/// `n` volumes with an ellipsoid of a brightness that differs from its surroundings by as much as the noise, beside a bright tube
/// that is none.
fn volumes(n: usize, seed: u64) -> Result<Dataset> {
    let mut random = Threefry::new(seed, 1);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let mut within = |low: f32, high: f32| low + (high - low) * random.uniform();
        let centre = EXTENT.map(|e| within(0.3, 0.7) * e as f32);
        let radius = EXTENT.map(|e| within(0.15, 0.28) * e as f32);
        let tube = [within(4.0, 28.0), within(4.0, 28.0)];
        for i in 0..EXTENT.iter().product() {
            let at = [i / (EXTENT[1] * EXTENT[2]), i / EXTENT[2] % EXTENT[1], i % EXTENT[2]].map(|v| v as f32);
            let inside = (0..3).map(|a| ((at[a] - centre[a]) / radius[a]).powi(2)).sum::<f32>() <= 1.0;
            let vessel = (at[1] - tube[0]).hypot(at[2] - tube[1]) < 2.0;
            x.push(f32::from(u8::from(inside)) + f32::from(u8::from(vessel)) + random.normal());
            y.push(f32::from(u8::from(inside)));
        }
    }
    let [d, h, w] = EXTENT;
    Ok(Dataset::new(Tensor::f32([n, 1, d, h, w], x)?, Tensor::f32([n, 1, d, h, w], y)?)?)
}

#[test]
#[ignore = "minutes; tests/train runs it"]
fn u_net_finds_the_border_of_ellipsoids() -> Result<()> {
    let start = Instant::now();
    let (train, test) = (volumes(48, 1)?, volumes(16, 2)?);
    let [d, h, w] = EXTENT;
    let network = Sequential::new([1, d, h, w]).with(UNet3d::new(1).depth(2).width(8));
    let loss = DiceCrossEntropy::new().from_logits();
    let (epochs, batch) = (12, 4);
    let rate = CosineDecay::new(5e-3, epochs * train.len() / batch);
    let mut model = network.compile_on(&super::setup(0)?, Adam::new(rate), loss, &[])?;
    model.fit(&train, &Fit::new().epochs(epochs).batch_size(batch))?;
    let predicted = model.predict_dataset(&test)?;
    let Some(Tensor::F32(truth)) = test.targets().tensor() else { anyhow::bail!("masks are floats") };
    let pairs = predicted.axis_iter(Axis(0)).zip(truth.axis_iter(Axis(0)));
    let scores: Vec<f64> = pairs.map(|(p, t)| super::dice(p.iter().copied(), t.iter().copied(), 0.0)).collect();
    super::clears("ellipsoids in volumes, mean Dice", scores.iter().sum::<f64>() / scores.len() as f64, 0.90, start);
    Ok(())
}

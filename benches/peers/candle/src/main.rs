//! Measures Candle on the processor: one JSON line per run.
//!
//! ```sh
//! cargo run --release -- --workload W2 --device cpu --steps 200 --warmup 20
//! ```
//!
//! W5 is missing: Candle has no gradient for a max-pooling whose windows overlap. AdamW without decay, which is Adam, 1e-3.

mod networks;

use bench_common::data::{self, BATCHES};
use bench_common::{Args, Measured, measure, processor, report, stop};
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW, VarBuilder, VarMap};
use networks::{Loss, cnn, deep_cnn, dense, unet};

fn main() -> Result<()> {
    let args = Args::parse();
    if args.device != "cpu" {
        stop("--device: cpu");
    }
    let measured = match args.workload.as_str() {
        "W1" => train(&args, dense)?,
        "W2" => train(&args, cnn)?,
        "W3" => train(&args, deep_cnn)?,
        "W4" => train(&args, unet)?,
        _ => kernel(&args)?,
    };
    report("candle", &processor(), "0.11.1", &args, measured);
    Ok(())
}

fn train(args: &Args, network: impl Fn(VarBuilder) -> Result<Loss>) -> Result<Measured> {
    let data = data::training(&args.workload).expect("the caller knows the workload");
    let shape: Vec<usize> = [&[data.batch], data.shape.as_slice()].concat();
    let batches: Vec<(Tensor, Tensor)> = (0..BATCHES)
        .map(|i| {
            let (x, y) = data.batch(i);
            let x = Tensor::from_slice(x, shape.as_slice(), &Device::Cpu)?;
            let y = match args.workload.as_str() {
                "W4" => Tensor::from_slice(y, shape.as_slice(), &Device::Cpu)?.to_dtype(DType::F32)?,
                _ => Tensor::from_slice(y, data.batch, &Device::Cpu)?.to_dtype(DType::U32)?,
            };
            Ok((x, y))
        })
        .collect::<Result<_>>()?;
    let mut batches = batches.iter().cycle();
    let variables = VarMap::new();
    let loss_of = network(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    let params = ParamsAdamW { lr: 1e-3, eps: 1e-7, weight_decay: 0.0, ..Default::default() };
    let mut optimizer = AdamW::new(variables.all_vars(), params)?;
    let run = |count: usize| {
        let mut last = None;
        for (x, y) in batches.by_ref().take(count) {
            let loss = loss_of(x, y)?;
            optimizer.backward_step(&loss)?;
            last = Some(loss);
        }
        Ok(last.expect("at least one step"))
    };
    Ok(measure(args, run, number))
}

/// A workload of W6. The loss is the mean square of the results, so that a wrong or a skipped one shows.
fn kernel(args: &Args) -> Result<Measured> {
    let Some(operands) = data::operands(&args.workload) else { stop("--workload: W1 to W4, matmulN or conv2d") };
    let operands: Vec<Var> = operands
        .into_iter()
        .map(|(shape, elements)| Var::from_slice(&elements, shape, &Device::Cpu))
        .collect::<Result<_>>()?;
    let step = || match operands.as_slice() {
        [x, w, dy] => {
            let y = x.conv2d(w, 1, 1, 1, 1)?;
            // The gradient of this sum with respect to y is dy.
            let gradients = (&y * &dy.as_detached_tensor())?.sum_all()?.backward()?;
            let gradient = |of: &Tensor| gradients.get(of).expect("x and w are variables").clone();
            Ok(vec![y, gradient(x), gradient(w)])
        }
        [a, b] => Ok(vec![a.as_detached_tensor().matmul(&b.as_detached_tensor())?]),
        _ => unreachable!("a product has two operands, a convolution three"),
    };
    let run = |count: usize| (0..count).map(|_| step()).last().expect("at least one step");
    let first = |results: Result<Vec<Tensor>>| number(results.and_then(|all| all[0].flatten_all()?.get(0)));
    let mut measured = measure(args, run, first);
    measured.loss = step()?.into_iter().map(|t| number(t.sqr().and_then(|t| t.mean_all()))).collect::<Vec<_>>().into();
    Ok(measured)
}

/// The number in a scalar; ends the program where there is none.
fn number(scalar: Result<Tensor>) -> f64 {
    f64::from(scalar.and_then(|scalar| scalar.to_scalar::<f32>()).unwrap_or_else(|error| stop(&error.to_string())))
}

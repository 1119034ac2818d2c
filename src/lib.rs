//! Galen (GPU-Accelerated Learning ENgine) trains neural networks with hand-written WGSL compute shaders on any GPU that wgpu
//! reaches (Vulkan, Metal, DX12), and with ndarray on machines that have none. It is made for people who work with clinical data:
//! the data stays on their machine, and the result is repeatable to the bit.
//!
//! ```
//! use galen::prelude::*;
//! use ndarray::{Array1, Array2};
//!
//! // 90 points on a line; which third of it?
//! let x = Array2::from_shape_fn((90, 1), |(i, _)| i as f32 / 90.0);
//! let y = Array1::from_shape_fn(90, |i| i as u32 / 30);
//! let data = Dataset::new(x, y)?;
//!
//! let network = Sequential::new([1]).with(Dense::new(16).activation(Tanh)).with(Dense::new(3).activation(Softmax));
//! let setup = Setup::on(&Device::cpu()?).seed(7);
//! let mut model = network.compile_on(&setup, Adam::new(0.05), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
//! model.fit(&data, &Fit::new().epochs(60).batch_size(30).verbose(false))?;
//! assert!(model.evaluate(&data)?.accuracy() > 0.9);
//! # Ok::<(), galen::Error>(())
//! ```
//!
//! # The picture
//!
//! ```text
//! build once   layers ─► Graph ─ infer ─► gradients(loss) ─► + optimizer nodes ─► rewrite ─► Plan ─► Program
//! load once    parameters, optimizer state, and the dataset where it fits ─────────────────► device buffers (they stay)
//! each epoch   one upload: the order of samples and the learning rates; samples that do not fit are read ahead by a thread
//! each step    gather batch ─► augment ─► forward ─► loss, metrics ─► backward ─► update       dispatches only
//! each epoch   one readback: the clock, and loss and metrics of every step; then callbacks, then a checkpoint
//! ```
//!
//! - [`nn`] describes networks; a layer only pushes nodes into a [`Graph`]. Shapes are checked as nodes are pushed, so an error
//!   names the layer. What is not a node (penalties, running statistics, the list of layers) it leaves with its
//!   [`BuildCtx`](nn::BuildCtx), for [`train`] to build into the step.
//! - [`Graph::gradients`] walks backwards; gradients are nodes like any other. All of them lie side by side in one arena, so that an
//!   [optimizer](optim) updates every parameter in one dispatch. Penalties, clipping, accumulation, norms and moving averages work on
//!   whole arenas too, with a table that says what holds for which block of it: the update's dispatches do not grow with the layers.
//! - A [`Plan`] is plain data: the order of ops, where each tensor lies, every dispatch. [`Plan::describe`] prints it, and
//!   [`Plan::check`] refuses what does not fit before anything is allocated. Activations share a few buffers, one after another and side
//!   by side, by their lifetimes; how much that takes, and how much is alive at once, stands in [`Plan::describe_memory`].
//! - [`gpu`] and [`cpu`] run the same plan. On a GPU all pipelines and bind groups are made before the first step; the host only
//!   encodes. On the CPU the ops' twins run over the same buffers. Where a plain twin would be slow in `f32` (products, convolutions),
//!   a faster one stands beside it, on register tiles in the widest instructions that the processor has (`microkernel`), and the plain
//!   one in `f64` is what it is compared with.
//! - Rewriting makes fewer passes over memory of a graph: bias and ReLU become part of what comes before them, chains of element-wise
//!   ops one op, and on the CPU all gradients of a convolution one op.
//! - [`Session::profile`] runs a plan with the time of every op ([`engine::Profile`]): tables for people, a trace for a viewer.
//! - A [`Session`] holds what stays on a device. [`train::Model`] holds a session and the programs for training, evaluation and
//!   prediction.
//! - A [`data::Dataset`] holds tensors, or [`Rows`](data::Rows) that are made when a batch wants them: decoded from files by threads of
//!   their own. An [`augment::Augmentation`] pushes nodes too; its random numbers are keyed by epoch and sample, so that neither the
//!   batch nor the order changes what happens to a sample.
//! - A model's file holds its network as data ([`nn::Architecture`]): what the layers pushed, traced at several batch sizes. It is built
//!   again without the code that made it. The file also says what was done to the inputs first ([`train::Preparation`]). A checkpoint is a
//!   model's file with all other state that lives on from step to step.
//! - [`metrics`] are pure functions on the host, each compared with a named reference; a [`report::Report`] gathers them with their
//!   intervals, and [`plot`] draws them.
//! - What a step needs to know lies on the device too: a *clock* counts steps, a *schedule* holds the learning rates, an *order* holds
//!   the samples ([`contract::clock`]). A kernel latches a fault in the clock when a loss or gradient is not finite; then updates do
//!   nothing and the clock stands still, so that the host can repeat that very step and name the first bad node.
//!
//! # Where things are
//!
//! ```text
//! src/error.rs shape.rs tensor.rs   one Error; shapes and types; arrays at the border; env.rs: environment variables; host.rs: large
//!                                   allocations, which can fail
//! src/file/                         opening regular files only, writing whole or not at all, appending, locks on folders
//! src/contract/                     what an op owes: OpDef, CustomOp, Launch, views, templates, random numbers, windows, clock
//! src/microkernel/                  the processor's innermost loops: register tiles, packed products, rows and lines that are mixed on their way
//! src/ops/<stem>.rs                 ONE OP = ONE STEM: shape rule, GPU launch, CPU twin, gradient, method on Var
//! shaders/<stem>.wgsl               its kernels, backward kernels included
//! src/graph/                        Graph and Var; autodiff.rs; fusion: rewrite.rs, conv_gradients.rs, conv_norms.rs, chains.rs; plan.rs, memory.rs
//!                                   (where activations lie)
//! src/cpu/ src/gpu/                 the two backends
//! src/engine/                       Device, Session, Profile, and Reference: a run in f64
//! src/nn/                           layers; losses/, models/; Sequential and Functional networks, summaries and drawings
//! src/optim/                        rules, schedules, and Tuned: everything that a whole update is made of
//! src/augment/                      what a training does to its samples: images with masks and boxes, signals, sequences
//! src/data/                         datasets, tables, splits, preparation, balance; formats/ = one file or folder per file format
//! src/interop/                      safetensors
//! src/metrics/                      what a model is worth, on the host, each number with its reference; intervals
//! src/plot/ src/report/             pictures; metrics, intervals and pictures as one report
//! src/train/                        compile, fit with callbacks and checkpoints, evaluate, predict, save and open
//! tests/common/rows/<stem>.rs       the op's cases; parity.rs, gradients.rs and contract.rs run over all of them
//! tests/clinical/                   trainings on real data, for tests/train
//! benches/                          how fast it is, beside others and before a change: programs, tables, commands
//! tests/hostile/                    files that were made to do harm, and machines that fail
//! fuzz/                             every file reader, networks and checkpoints against random bytes
//! ```
//!
//! # Who may call whom
//!
//! | layer | modules | may use | crates that may be named there |
//! |---|---|---|---|
//! | 0 | `error` | | `thiserror` |
//! | 0 | `shape` | `error` | `serde` |
//! | 0 | `env`, `host` | `error` | |
//! | 0 | `file` | `error`, `env`, `host` | `libc`, `tempfile` |
//! | 0 | `tensor` | `error`, `host`, `shape` | `bytemuck`, `ndarray` |
//! | 1 | `contract` | `error`, `shape`, `graph` | `bytemuck`, `libm`, `ndarray`, `rayon`, `serde`, `smallvec` |
//! | 1 | `microkernel` | `error`, `env`, `contract` | `rayon` |
//! | 1 | `ops` | `error`, `shape`, `contract`, `microkernel`, `graph` | `bytemuck`, `ndarray`, `rayon`, `serde`, `smallvec` |
//! | 1 | `graph` | `error`, `shape`, `tensor`, `contract`, `ops` | `serde` |
//! | 2 | `cpu` | `error`, `shape`, `env`, `host`, `tensor`, `contract`, `microkernel`, `ops`, `graph` | `rayon`, `smallvec` |
//! | 2 | `gpu` | `error`, `shape`, `env`, `host`, `tensor`, `file`, `contract`, `graph` | `bytemuck`, `futures_intrusive`, `log`, `pollster`, `wgpu` |
//! | 3 | `engine` | `error`, `shape`, `env`, `host`, `tensor`, `contract`, `graph`, `cpu`, `gpu` | `log`, `ndarray`, `serde_json` (traces) |
//! | 4 | `optim` | `error`, `shape`, `contract`, `ops`, `graph` | `serde` |
//! | 4 | `nn` | `error`, `shape`, `tensor`, `contract`, `ops`, `graph`, `optim` | `serde`, `serde_json` |
//! | 4 | `augment` | `error`, `shape`, `contract`, `ops`, `graph` | |
//! | 5 | `data` | `error`, `shape`, `env`, `host`, `tensor`, `file`, `contract`, `nn` (class weights) | `bytemuck`, `csv`, `fax`, `flate2`, `image`, `ndarray`, `png`, `rayon`, `serde`, `weezl`, `zip`, `zune_jpeg` |
//! | 5 | `interop` | `error`, `shape`, `host`, `tensor`, `file` | `flate2`, `safetensors` |
//! | 5 | `metrics` | `error`, `contract` (random numbers) | `libm`, `ndarray`, `rayon`, `serde` |
//! | 5 | `plot` | `error`, `file`, `metrics` | `kuva`, `ndarray`, `png` |
//! | 6 | `train` | `error`, `shape`, `host`, `tensor`, `file`, `contract`, `ops`, `graph`, `engine`, `optim`, `nn`, `augment`, `data`, `interop`, `metrics`, `plot` | `ctrlc`, `indicatif`, `log`, `ndarray`, `serde`, `serde_json` |
//! | 7 | `report` | `error`, `file`, `metrics`, `plot`, `train` | `ndarray`, `serde`, `serde_json` |
//!
//! # Invariants
//!
//! - wgpu is named only in `gpu`, and its device and queue are called only in `gpu/device.rs` and `gpu/pipelines.rs`, which count
//!   every call ([`gpu::Stats`]). Ops see no device. Only `engine` knows both backends. Nothing below `train` prints.
//! - Effects happen in the order in which nodes were pushed. An op that changes state names the inputs that it changes, and is
//!   never removed as dead.
//! - No dispatch reads and writes the same buffer.
//! - The same seed, device and program give the same bits: no float atomics, sums split by shape and never by the number of
//!   threads or by the adapter, random numbers from (seed, stream, step, element), initial values from the host.
//! - No kernel of Galen takes more than [`contract::MAX_ITERATIONS`] loop iterations in an invocation, whatever the shapes: software adapters
//!   end longer loops without an error. Every launch says its number, and tests compare it with a count.
//! - Sums on the CPU are made in pairs of halves: their error grows with the logarithm of their length (`microkernel/sums.rs`).
//! - What a loss leaves out ([`nn::Loss::mask`]), metrics, confusion tables, class weights and reports leave out. The loss and the metrics of
//!   a pass are those of one batch of all its samples: sums and counts go to the host apart.
//! - How much memory there is changes no result: data that does not fit is streamed in the order that it would have had.
//! - A gradient is given, or said not to exist, or said not to be known. It is never silently zero.
//! - Bad input is an [`Error`] that says what was expected and what came. A panic is a bug of ours.
//! - A training that was stopped at any moment and resumed ends with the bits of one that never stopped. What a file keeps tells of no
//!   path and no person.
//! - Files are opened by `file` alone, which opens regular files only, and written under a name of their own, synced and renamed. What a
//!   file declares is bounded before it is paid for (`SECURITY.md`), and nothing recurses over what a file says.
//! - Memory whose size follows from data or from a file is allocated by `host`, so that a machine that has no more of it gives
//!   [`Error::OutOfMemory`].
//! - `unsafe` stands in three modules, each of which says why: `cpu/denormals.rs`, `gpu/pipelines.rs` and `microkernel`.
//!
//! # Threads
//!
//! [`Device`], [`Plan`], [`data::Dataset`] and [`train::Interrupt`] are `Send` and `Sync`. [`Session`] and [`train::Model`] are `Send`:
//! they can move to a thread that trains, and one thing at a time can be done with them. [`Graph`] and [`Var`] stay on the thread
//! that builds them.
#![deny(unsafe_code)]

/// The programs of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod augment;
pub mod contract;
pub mod cpu;
pub mod data;
pub mod engine;
mod env;
pub mod error;
pub mod file;
pub mod gpu;
pub mod graph;
pub(crate) mod host;
pub mod interop;
pub mod metrics;
pub(crate) mod microkernel;
pub mod nn;
pub mod ops;
pub mod optim;
#[cfg(feature = "plot")]
pub mod plot;
pub mod report;
pub mod shape;
pub mod tensor;
pub mod train;

pub use engine::{Device, Executable, Session};
pub use error::{Error, Result};
pub use graph::{Graph, Plan, Var};
pub use shape::{DType, Shape, TensorSpec};
pub use tensor::{Elements, Tensor};

/// What a training program usually needs.
pub mod prelude {
    pub use crate::augment::{Augment, SequenceAugment, SignalAugment};
    pub use crate::contract::Padding;
    pub use crate::data::Dataset;
    pub use crate::engine::Device;
    pub use crate::nn::Activation::{Linear, Relu, Sigmoid, Softmax, Tanh};
    pub use crate::nn::{AvgPool2d, Conv2d, Dense, Dropout, Flatten, MaxPool2d};
    pub use crate::nn::{BinaryCrossEntropy, CategoricalCrossEntropy, MeanSquaredError};
    pub use crate::nn::{Block, Functional, Input, Network, Sequential};
    pub use crate::optim::{Adagrad, Adam, AdamW, Nadam, RmsProp, Schedule, Sgd, Tuned};
    pub use crate::train::{Compile, Fit, Metric, Model, Setup};
}

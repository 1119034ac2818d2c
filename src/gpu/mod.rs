//! Runs a plan on a GPU. The only place that names wgpu, and within it only `device.rs` and `pipelines.rs` call wgpu's device and
//! queue: everything they make, write, submit or map is counted in [`Stats`].

mod cache;
mod device;
mod machine;
mod pipelines;
mod profile;
mod run;

pub use device::{AdapterKind, AdapterSummary, Gpu, Stats, adapters};
pub use machine::{Machine, Program};

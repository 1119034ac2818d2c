//! How samples reach the device: all at once where they fit, else shard by shard, in the same order either way.

use crate::contract::clock;
use crate::data::Dataset;
use crate::engine::Session;
use crate::error::Result;
use crate::graph::{Graph, Init, SLOT_ALIGN, Var};
use crate::ops::gather_batch::GatherBatch;
use crate::shape::{DType, TensorSpec};
use crate::tensor::{Elements, Tensor};

/// One pass over a dataset: where its samples, their order, the learning rates and the records of its steps lie on the device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Feed {
    /// What the names of its state begin with.
    pub(super) name: String,
    /// Samples of the dataset.
    pub(super) samples: usize,
    /// Samples of every batch but the last.
    pub(super) batch: usize,
    /// Samples that lie on the device: all of them, or two shards.
    pub(super) rows: usize,
    /// Shapes and types of features and targets, without the samples' dimension; and the scaling of bytes, as bits.
    features: TensorSpec,
    targets: TensorSpec,
    scaling: (u32, u32),
    /// Words per step in the records: the loss, then one per metric.
    pub(super) columns: usize,
}

/// A batch in the graph, and the state that its step works with.
pub(super) struct Batch {
    pub(super) x: Var,
    pub(super) y: Var,
    pub(super) clock: Var,
    pub(super) schedule: Var,
    pub(super) ring: Var,
}

impl Feed {
    pub(super) fn new(name: &str, data: &Dataset, batch: usize, columns: usize) -> Feed {
        let sample = |t: &Tensor| TensorSpec::new(&t.shape()[1..], t.spec().dtype);
        let (scale, shift) = data.scaling();
        Feed {
            name: name.to_owned(),
            samples: data.len(),
            batch: batch.min(data.len()),
            rows: data.len(),
            features: sample(data.features()),
            targets: sample(data.targets()),
            scaling: (scale.to_bits(), shift.to_bits()),
            columns,
        }
    }

    /// Whether both are passes over the same kind of data, wherever its samples lie.
    pub(super) fn is_like(&self, other: &Feed) -> bool {
        Feed { rows: other.rows, ..self.clone() } == *other
    }

    /// Steps of the pass.
    pub(super) fn steps(&self) -> usize {
        self.samples.div_ceil(self.batch)
    }

    /// Samples of the last batch, where it is smaller than the others.
    pub(super) fn last_batch(&self) -> Option<usize> {
        Some(self.samples % self.batch).filter(|rest| *rest != 0)
    }

    /// Samples of step `step`.
    pub(super) fn batch_of(&self, step: usize) -> usize {
        self.last_batch().filter(|_| step + 1 == self.steps()).unwrap_or(self.batch)
    }

    /// Whether all samples lie on the device.
    pub(super) fn is_resident(&self) -> bool {
        self.rows == self.samples
    }

    /// Samples of a shard; all of them where they are resident.
    fn shard(&self) -> usize {
        if self.is_resident() { self.samples } else { self.rows / 2 }
    }

    /// Steps that one shard lasts.
    pub(super) fn steps_per_shard(&self) -> usize {
        self.shard().div_ceil(self.batch)
    }

    /// Bytes of one sample and its target.
    pub(super) fn bytes_per_row(&self) -> u64 {
        let bytes = |s: &TensorSpec| if s.dtype == DType::U8 { s.shape.elements() as u64 } else { s.bytes() };
        bytes(&self.features) + bytes(&self.targets)
    }

    /// The same pass with its samples streamed: two shards on the device that take at most `bytes` bytes together (but hold a batch
    /// each), and no state larger than `largest`.
    pub(super) fn streamed(&self, bytes: u64, largest: u64) -> Feed {
        // Each of the two tensors is padded to 256 bytes.
        let rows = bytes.saturating_sub(512) / self.bytes_per_row().max(1);
        let row = self.features.bytes().max(self.targets.bytes()).max(1);
        let rows = rows.min(largest / row) as usize;
        // A shard of bytes must start at a whole word, whatever a sample's size is.
        let bytes = if self.features.dtype == DType::U8 { self.features.shape.elements() } else { 4 };
        let unit = [1, 2, 4].into_iter().find(|n| (n * self.batch * bytes).is_multiple_of(4)).unwrap_or(4);
        let batches = (rows / 2 / self.batch / unit * unit).max(unit);
        Feed { rows: (2 * batches * self.batch).min(self.samples), ..self.clone() }
    }

    fn arena(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    /// The names of all its state.
    pub(super) fn arenas(&self) -> [String; 5] {
        ["x", "y", "feed", "records", "clock"].map(|what| self.arena(what))
    }

    /// Declares the state and gathers the batch of the step that runs.
    pub(super) fn declare(&self, graph: &Graph, batch: usize) -> Result<Batch> {
        let rows = |spec: &TensorSpec| {
            let mut shape = vec![self.rows];
            shape.extend_from_slice(&spec.shape);
            TensorSpec::new(shape, spec.dtype)
        };
        let zero = Init::Constant(0.0);
        let clock = graph.state(&self.arena("clock"), "clock", TensorSpec::u32([clock::LEN]), zero.clone())?;
        let feed = self.arena("feed");
        let schedule = graph.state(&feed, "schedule", TensorSpec::u32([clock::RATES + self.steps()]), zero.clone())?;
        let order = graph.state(&feed, "order", TensorSpec::u32([self.samples]), zero.clone())?;
        let records = TensorSpec::u32([self.steps() * self.columns]);
        let ring = graph.state(&self.arena("records"), "records", records, zero.clone())?;
        let data = graph.state(&self.arena("x"), "x", rows(&self.features), zero.clone())?;
        let targets = graph.state(&self.arena("y"), "y", rows(&self.targets), zero)?;
        let gather = |scale, shift| GatherBatch { batch, full_batch: self.batch, scale, shift };
        let (scale, shift) = (f32::from_bits(self.scaling.0), f32::from_bits(self.scaling.1));
        let x = data.gather_batch(gather(scale, shift), &clock, &schedule, &order)?;
        let y = targets.gather_batch(gather(1.0, 0.0), &clock, &schedule, &order)?;
        Ok(Batch { x, y, clock, schedule, ring })
    }

    /// Writes the order of samples and the learning rates of a pass that starts at step `base` of the clock: one upload.
    pub(super) fn begin(&self, session: &mut Session, base: u32, rates: &[f32], order: &[u32]) -> Result<()> {
        let mut words = clock::schedule(base, rates);
        words.resize(words.len().next_multiple_of(SLOT_ALIGN), 0);
        words.extend(
            order.iter().enumerate().map(|(i, id)| if self.is_resident() { *id } else { (i % self.rows) as u32 }),
        );
        session.write(&self.arena("feed"), 0, Elements::U32(&words))
    }

    /// Writes all samples, in the dataset's own order.
    pub(super) fn load(&self, session: &mut Session, data: &Dataset) -> Result<()> {
        session.write(&self.arena("x"), 0, data.features().elements())?;
        session.write(&self.arena("y"), 0, data.targets().elements())
    }

    /// Writes the samples of shard `shard` of the pass's order.
    pub(super) fn load_shard(&self, session: &mut Session, data: &Dataset, order: &[u32], shard: usize) -> Result<()> {
        let start = shard * self.shard();
        let ids = &order[start..(start + self.shard()).min(order.len())];
        let first = start % self.rows;
        for (what, tensor) in [("x", data.features()), ("y", data.targets())] {
            let width = tensor.elements().len() / self.samples;
            let arena = self.arena(what);
            match tensor.elements() {
                Elements::F32(x) => session.write(&arena, first * width, Elements::F32(&pick(x, width, ids)))?,
                Elements::U32(x) => session.write(&arena, first * width, Elements::U32(&pick(x, width, ids)))?,
                Elements::U8(x) => session.write(&arena, first * width, Elements::U8(&pick(x, width, ids)))?,
            }
        }
        Ok(())
    }

    /// The mean loss and metrics of the first `steps` steps, from their records: means of batches weighted by their size, added in
    /// double precision.
    pub(super) fn means(&self, steps: usize, records: &[u32]) -> (f64, Vec<f64>) {
        let (mut samples, mut loss, mut counts) = (0, 0.0, vec![0u64; self.columns - 1]);
        for (step, record) in records.chunks_exact(self.columns).take(steps).enumerate() {
            let batch = self.batch_of(step);
            samples += batch;
            loss += f64::from(f32::from_bits(record[0])) * batch as f64;
            counts.iter_mut().zip(&record[1..]).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        let n = samples.max(1) as f64;
        (loss / n, counts.into_iter().map(|c| c as f64 / n).collect())
    }

    /// The state that holds the records, and where its words lie.
    pub(super) fn records(&self, steps: usize) -> (String, TensorSpec) {
        (self.arena("records"), TensorSpec::u32([steps * self.columns]))
    }

    pub(super) fn clock_arena(&self) -> String {
        self.arena("clock")
    }
}

fn pick<T: Copy>(x: &[T], width: usize, ids: &[u32]) -> Vec<T> {
    let mut rows = Vec::with_capacity(ids.len() * width);
    for id in ids {
        rows.extend_from_slice(&x[*id as usize * width..][..width]);
    }
    rows
}

//! How samples reach the device: all at once where they fit, else shard by shard, in the same order either way.

use super::metrics::Records;
use crate::contract::clock;
use crate::data::Dataset;
use crate::engine::Session;
use crate::error::Result;
use crate::graph::{Graph, Init, SLOT_ALIGN, Var};
use crate::ops::gather_batch::GatherBatch;
use crate::shape::{DType, Shape, TensorSpec};
use crate::tensor::Elements;

/// Bytes of a shard, at most. While the device works on one, the host reads the next, and at the start of a pass the device waits for
/// the first.
const SHARD: u64 = 32 << 20;

/// What a tensor of the data is to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Input,
    Target,
    Weight,
    /// What the sample is called: its number in the dataset.
    Sample,
}

/// One tensor of the data: its samples lie in an arena of their own.
#[derive(Clone, Debug, PartialEq)]
struct Stream {
    role: Role,
    /// What its arena is called: `x0`, `y0`, `w`.
    what: String,
    /// Shape and type of one sample.
    sample: TensorSpec,
    /// The scaling of bytes, as bits.
    scaling: (u32, u32),
}

impl Stream {
    /// Bytes of one sample.
    fn bytes(&self) -> u64 {
        let spec = &self.sample;
        if spec.dtype == DType::U8 { spec.shape.elements() as u64 } else { spec.bytes() }
    }
}

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
    streams: Vec<Stream>,
    /// What its steps write down.
    records: Records,
}

/// A batch in the graph, and the state that its step works with.
pub(super) struct Batch {
    pub(super) inputs: Vec<Var>,
    pub(super) targets: Vec<Var>,
    pub(super) weights: Option<Var>,
    /// The number of the epoch, and of each sample in the dataset, where the feed is [keyed](Feed::keyed).
    pub(super) keys: Option<(Var, Var)>,
    pub(super) clock: Var,
    pub(super) schedule: Var,
    pub(super) ring: Var,
}

impl Feed {
    pub(super) fn new(name: &str, data: &Dataset, batch: usize, records: Records) -> Feed {
        let stream = |role, what: String, sample: TensorSpec, (scale, shift): (f32, f32)| Stream {
            role,
            what,
            sample,
            scaling: (scale.to_bits(), shift.to_bits()),
        };
        let inputs = data.columns().iter().enumerate();
        let inputs = inputs.map(|(i, c)| stream(Role::Input, format!("x{i}"), c.source.sample(), c.scaling()));
        let targets = data.outputs().enumerate();
        let targets = targets.map(|(i, t)| stream(Role::Target, format!("y{i}"), t.sample(), (1.0, 0.0)));
        let weights = data.weights().map(|_| stream(Role::Weight, "w".into(), TensorSpec::f32([]), (1.0, 0.0)));
        Feed {
            name: name.to_owned(),
            samples: data.len(),
            batch: batch.min(data.len()),
            rows: data.len(),
            streams: inputs.chain(targets).chain(weights).collect(),
            records,
        }
    }

    /// The same pass, all of whose data lies on the device, in batches of `batch`.
    pub(super) fn with_batch(&self, batch: usize) -> Feed {
        Feed { batch, rows: self.samples, ..self.clone() }
    }

    /// The same pass, whose steps know their samples' numbers and the epoch's.
    pub(super) fn keyed(mut self) -> Feed {
        let sample = TensorSpec::u32(Shape::default());
        let scaling = (1f32.to_bits(), 0f32.to_bits());
        self.streams.push(Stream { role: Role::Sample, what: "samples".into(), sample, scaling });
        self
    }

    pub(super) fn is_keyed(&self) -> bool {
        self.streams.iter().any(|stream| stream.role == Role::Sample)
    }

    /// Words per step in the records.
    pub(super) fn columns(&self) -> usize {
        self.records.columns()
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
    pub(super) fn shard(&self) -> usize {
        if self.is_resident() { self.samples } else { self.rows / 2 }
    }

    /// Steps that one shard lasts.
    pub(super) fn steps_per_shard(&self) -> usize {
        self.shard().div_ceil(self.batch)
    }

    /// Bytes of one sample and its target.
    pub(super) fn bytes_per_row(&self) -> u64 {
        self.streams.iter().map(Stream::bytes).sum()
    }

    /// The same pass with its samples streamed: two shards on the device that take at most `bytes` bytes together (but hold a batch
    /// each), and no state larger than `largest`.
    pub(super) fn streamed(&self, bytes: u64, largest: u64) -> Feed {
        let bytes = bytes.min(2 * SHARD);
        // Each tensor is padded to 256 bytes.
        let rows = bytes.saturating_sub(256 * self.streams.len() as u64) / self.bytes_per_row().max(1);
        let row = self.streams.iter().map(|s| s.sample.bytes()).max().unwrap_or(1).max(1);
        let rows = rows.min(largest / row) as usize;
        // A shard of bytes must start at a whole word, whatever a sample's size is.
        let whole = |batches: usize| {
            let mut bytes = self.streams.iter().filter(|s| s.sample.dtype == DType::U8);
            bytes.all(|s| (batches * self.batch * s.sample.shape.elements()).is_multiple_of(4))
        };
        let unit = [1, 2, 4].into_iter().find(|n| whole(*n)).unwrap_or(4);
        let batches = (rows / 2 / self.batch / unit * unit).max(unit);
        Feed { rows: (2 * batches * self.batch).min(self.samples), ..self.clone() }
    }

    fn arena(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    /// The names of all its state.
    pub(super) fn arenas(&self) -> Vec<String> {
        let streams = self.streams.iter().map(|s| s.what.as_str());
        streams.chain(["feed", "records", "clock"]).map(|what| self.arena(what)).collect()
    }

    /// Declares the state and gathers the batch of the step that runs.
    pub(super) fn declare(&self, graph: &Graph, batch: usize) -> Result<Batch> {
        let zero = Init::Constant(0.0);
        let clock = graph.state(&self.arena("clock"), "clock", TensorSpec::u32([clock::LEN]), zero.clone())?;
        let feed = self.arena("feed");
        let schedule = graph.state(&feed, "schedule", TensorSpec::u32([clock::RATES + self.steps()]), zero.clone())?;
        let order = graph.state(&feed, "order", TensorSpec::u32([self.samples]), zero.clone())?;
        let records = TensorSpec::u32([self.steps() * self.columns()]);
        let ring = graph.state(&self.arena("records"), "records", records, zero.clone())?;
        let epoch = match self.is_keyed() {
            true => Some(graph.state(&feed, "epoch", TensorSpec::u32([1]), zero.clone())?),
            false => None,
        };
        let (mut inputs, mut targets, mut weights, mut samples) = (Vec::new(), Vec::new(), None, None);
        for stream in &self.streams {
            let mut shape = vec![self.rows];
            shape.extend_from_slice(&stream.sample.shape);
            let spec = TensorSpec::new(shape, stream.sample.dtype);
            let data = graph.state(&self.arena(&stream.what), &stream.what, spec, zero.clone())?;
            let (scale, shift) = (f32::from_bits(stream.scaling.0), f32::from_bits(stream.scaling.1));
            let gather = GatherBatch { batch, full_batch: self.batch, scale, shift };
            let rows = data.gather_batch(gather, &clock, &schedule, &order)?;
            match stream.role {
                Role::Input => inputs.push(rows),
                Role::Target => targets.push(rows),
                Role::Weight => weights = Some(rows),
                Role::Sample => samples = Some(rows),
            }
        }
        Ok(Batch { inputs, targets, weights, keys: epoch.zip(samples), clock, schedule, ring })
    }

    /// Writes the order of samples and the learning rates of a pass that starts at step `base` of the clock, in epoch `epoch`: one
    /// upload.
    pub(super) fn begin(
        &self,
        session: &mut Session,
        base: u32,
        epoch: u32,
        rates: &[f32],
        order: &[u32],
    ) -> Result<()> {
        let mut words = clock::schedule(base, rates);
        words.resize(words.len().next_multiple_of(SLOT_ALIGN), 0);
        words.extend(
            order.iter().enumerate().map(|(i, id)| if self.is_resident() { *id } else { (i % self.rows) as u32 }),
        );
        if self.is_keyed() {
            words.resize(words.len().next_multiple_of(SLOT_ALIGN), 0);
            words.push(epoch);
        }
        session.write(&self.arena("feed"), 0, Elements::U32(&words))
    }

    /// Writes what the samples from place `first` on are called, where steps ask for it.
    pub(super) fn name_samples(&self, session: &mut Session, first: usize, ids: &[u32]) -> Result<()> {
        match self.streams.iter().find(|stream| stream.role == Role::Sample) {
            Some(stream) => session.write(&self.arena(&stream.what), first, Elements::U32(ids)),
            None => Ok(()),
        }
    }

    /// The state in which stream `stream` lies, and the elements of one of its samples.
    pub(super) fn place(&self, stream: usize) -> (String, usize) {
        let stream = &self.streams[stream];
        (self.arena(&stream.what), stream.sample.shape.elements())
    }

    /// The mean loss and the metrics of the first `steps` steps, from their records.
    pub(super) fn means(&self, steps: usize, records: &[u32]) -> (f64, Vec<(String, f64)>) {
        self.records.means((0..steps).map(|step| self.batch_of(step)), records)
    }

    /// The state that holds the records, and where its words lie.
    pub(super) fn records(&self, steps: usize) -> (String, TensorSpec) {
        (self.arena("records"), TensorSpec::u32([steps * self.columns()]))
    }

    pub(super) fn clock_arena(&self) -> String {
        self.arena("clock")
    }
}

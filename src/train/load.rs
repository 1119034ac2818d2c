//! Samples on their way to the device: read ahead of it, by a thread of their own.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::feed::Feed;
use super::program::Watch;
use crate::data::Dataset;
use crate::engine::Session;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// About how many bytes of samples that are made when they are wanted are made at once, where all of them will stay on the device.
const CHUNK: u64 = 16 << 20;

/// How often somebody who waits for samples looks whether to go on waiting.
const LOOK: Duration = Duration::from_millis(50);

/// Looks at samples before they go to the device: their numbers, and one tensor per input, target and weight, in this order.
pub(super) type Check<'a> = &'a dyn Fn(&[u32], &[Tensor]) -> Result<()>;

/// The samples `ids` of every input, target and weight, in this order.
fn read(data: &Dataset, ids: &[u32]) -> Result<Vec<Tensor>> {
    let ids: Vec<usize> = ids.iter().map(|id| *id as usize).collect();
    let weights = data.weights().map(|weights| weights.select(&ids));
    let numbered = |what: &str, n: usize, i: usize| if n == 1 { what.to_owned() } else { format!("{what} {}", i + 1) };
    let (inputs, outputs) = (data.inputs(), data.outputs());
    let (n, m) = (inputs.len(), outputs.len());
    let inputs =
        inputs.enumerate().map(|(i, source)| source.read_as(&numbered("features", n, i), &ids, |x| !x.is_finite()));
    let outputs =
        outputs.enumerate().map(|(i, source)| source.read_as(&numbered("targets", m, i), &ids, f32::is_infinite));
    inputs.chain(outputs).chain(weights).collect()
}

/// Whether the samples still have to be made; then nobody has looked at them yet.
fn is_lazy(data: &Dataset) -> bool {
    data.inputs().chain(data.outputs()).any(|source| source.tensor().is_none())
}

/// The shards of one pass, read by a thread while the device works on those before.
pub(super) struct Shards {
    read: Receiver<Result<Vec<Tensor>>>,
    lazy: bool,
    /// How long the device waited for them.
    pub(super) waited: Duration,
}

impl Shards {
    /// Begins to read `data` in this order.
    pub(super) fn ahead<'scope>(
        scope: &'scope Scope<'scope, '_>,
        feed: &Feed,
        data: &'scope Dataset,
        order: &'scope [u32],
    ) -> Shards {
        // The channel holds one shard, the thread works on another.
        let (send, receive) = sync_channel(1);
        let rows = feed.shard();
        scope.spawn(move || {
            for ids in order.chunks(rows) {
                let shard = read(data, ids);
                let failed = shard.is_err();
                // Nobody listens where the pass was stopped.
                if send.send(shard).is_err() || failed {
                    break;
                }
            }
        });
        Shards { read: receive, lazy: is_lazy(data), waited: Duration::ZERO }
    }

    /// Waits for the next shard, the samples `ids`; nothing where somebody wished to stop in the meantime.
    pub(super) fn next(&mut self, ids: &[u32], check: Check<'_>, watch: &dyn Watch) -> Result<Option<Vec<Tensor>>> {
        let start = Instant::now();
        let shard = loop {
            match self.read.recv_timeout(LOOK) {
                Ok(shard) => break shard?,
                Err(RecvTimeoutError::Timeout) if watch.wants_to_stop() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::usage("reading samples", "the thread that reads them has ended"));
                }
            }
        };
        self.waited += start.elapsed();
        if self.lazy {
            check(ids, &shard)?;
        }
        Ok(Some(shard))
    }
}

impl Feed {
    /// Writes all samples, in the dataset's own order, and tells how long it took to make them; nothing where somebody wished to stop
    /// in the meantime.
    pub(super) fn load(
        &self,
        session: &mut Session,
        data: &Dataset,
        check: Check<'_>,
        watch: &dyn Watch,
    ) -> Result<Option<Duration>> {
        let mut made = Duration::ZERO;
        if !is_lazy(data) {
            let tensors = data.inputs().chain(data.outputs()).filter_map(|source| source.tensor());
            for (stream, tensor) in tensors.chain(data.weights()).enumerate() {
                self.write(session, stream, 0, tensor)?;
            }
            self.name_samples(session, 0, &(0..data.len() as u32).collect::<Vec<_>>())?;
            return Ok(Some(made));
        }
        // Bytes must start at a whole word: at every fourth sample they do.
        let rows = (CHUNK / self.bytes_per_row().max(1)).max(1).next_multiple_of(4) as usize;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        for (chunk, ids) in order.chunks(rows).enumerate() {
            if watch.wants_to_stop() {
                return Ok(None);
            }
            let start = Instant::now();
            let samples = read(data, ids)?;
            made += start.elapsed();
            check(ids, &samples)?;
            self.write_all(session, chunk * rows, &samples, ids)?;
        }
        Ok(Some(made))
    }

    /// Writes shard `shard` of a pass in this order.
    pub(super) fn write_shard(
        &self,
        session: &mut Session,
        order: &[u32],
        shard: usize,
        samples: &[Tensor],
    ) -> Result<()> {
        self.write_all(session, shard * self.shard() % self.rows, samples, self.ids(order, shard))
    }

    /// Reads and writes shard `shard` of the pass's order.
    pub(super) fn load_shard(
        &self,
        session: &mut Session,
        data: &Dataset,
        order: &[u32],
        shard: usize,
        check: Check<'_>,
    ) -> Result<()> {
        let ids = self.ids(order, shard);
        let samples = read(data, ids)?;
        if is_lazy(data) {
            check(ids, &samples)?;
        }
        self.write_shard(session, order, shard, &samples)
    }

    /// The samples of a shard.
    pub(super) fn ids<'a>(&self, order: &'a [u32], shard: usize) -> &'a [u32] {
        let start = shard * self.shard();
        &order[start..(start + self.shard()).min(order.len())]
    }

    /// Writes the samples `ids`, one tensor per stream, from sample `first` of the device's on.
    fn write_all(&self, session: &mut Session, first: usize, samples: &[Tensor], ids: &[u32]) -> Result<()> {
        samples.iter().enumerate().try_for_each(|(stream, tensor)| self.write(session, stream, first, tensor))?;
        self.name_samples(session, first, ids)
    }

    fn write(&self, session: &mut Session, stream: usize, first: usize, tensor: &Tensor) -> Result<()> {
        let (arena, width) = self.place(stream);
        session.write(&arena, first * width, tensor.elements())
    }
}

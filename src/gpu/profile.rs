//! Running a program with the time of every dispatch. Each is a pass of its own then, which takes longer than a step does otherwise.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use super::device::Gpu;
use super::machine::{Machine, Program};
use crate::error::Result;
use crate::graph::{Clock, HostWork, Phase, Span, Timeline};

/// Submissions that may be on their way at once.
const IN_FLIGHT: usize = 2;
/// Dispatches of one submission: each has a timestamp at its beginning and one at its end.
const MOST: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
const BYTES_PER_DISPATCH: u64 = 2 * wgpu::QUERY_SIZE as u64;

/// One submission: some dispatches of one run, and where its timestamps go.
struct Chunk {
    run: usize,
    dispatches: Range<usize>,
    queries: wgpu::QuerySet,
    offset: u64,
}

impl Machine {
    /// Runs the program `runs` times and tells when each dispatch ran.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn profile(&mut self, program: &Program, runs: usize) -> Result<Timeline> {
        self.wait()?;
        match self.gpu.timestamp_period() {
            Some(period) => self.profile_by_timestamps(program, runs, period),
            None => self.profile_by_waiting(program, runs),
        }
    }

    fn profile_by_timestamps(&mut self, program: &Program, runs: usize, period: f64) -> Result<Timeline> {
        let (chunks, bytes) = chunks(&self.gpu, program.dispatches.len(), runs);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.gpu.create_buffer("times", bytes, usage);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.gpu.create_buffer("times, to be read", bytes, usage);
        let mut timeline = Timeline::new(Clock::Device);
        let (start, mut in_flight) = (Instant::now(), VecDeque::new());
        let mut host = |run, phase, begin: Instant, end: Instant| {
            let nanos = |at: Instant| (at - start).as_nanos() as u64;
            timeline.host.push(HostWork { run, phase, span: Span { begin: nanos(begin), end: nanos(end) } });
        };
        for chunk in &chunks {
            let begun = Instant::now();
            if in_flight.len() >= IN_FLIGHT {
                self.gpu.wait(in_flight.pop_front())?;
                host(chunk.run, Phase::Wait, begun, Instant::now());
            }
            let begun = Instant::now();
            let mut encoder = self.gpu.encoder();
            encode(&mut encoder, program, chunk);
            encoder.resolve_query_set(&chunk.queries, 0..2 * chunk.dispatches.len() as u32, &resolved, chunk.offset);
            self.gpu.count_dispatches(chunk.dispatches.len() as u64);
            let encoded = Instant::now();
            in_flight.push_back(self.gpu.submit(encoder));
            let submitted = Instant::now();
            host(chunk.run, Phase::Encode, begun, encoded);
            host(chunk.run, Phase::Submit, encoded, submitted);
            self.gpu.check("a step")?;
        }
        let mut encoder = self.gpu.encoder();
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        self.gpu.submit(encoder);
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&self.gpu.read(&staging, bytes)?);
        let zero = timeline.host.iter().find(|h| h.phase == Phase::Submit).map_or(0, |h| h.span.end);
        let first = ticks.first().copied().unwrap_or_default();
        let at = |tick: u64| zero + (tick.saturating_sub(first) as f64 * period) as u64;
        for chunk in &chunks {
            let ticks = &ticks[chunk.offset as usize / 8..];
            for (i, [begin, end]) in chunk.dispatches.clone().zip(ticks.as_chunks::<2>().0) {
                let (step, dispatch) = program.step_of(i);
                timeline.push(chunk.run, step, dispatch, Span { begin: at(*begin), end: at(*end) });
            }
        }
        Ok(timeline)
    }

    fn profile_by_waiting(&mut self, program: &Program, runs: usize) -> Result<Timeline> {
        let (mut timeline, start) = (Timeline::new(Clock::Waiting), Instant::now());
        let nanos = |at: Instant| (at - start).as_nanos() as u64;
        for (run, i) in (0..runs).flat_map(|run| (0..program.dispatches.len()).map(move |i| (run, i))) {
            let begun = Instant::now();
            let mut encoder = self.gpu.encoder();
            program.dispatches[i].encode(&mut encoder.begin_compute_pass(&Default::default()));
            self.gpu.count_dispatches(1);
            let encoded = Instant::now();
            let submission = self.gpu.submit(encoder);
            let submitted = Instant::now();
            self.gpu.wait(Some(submission))?;
            let (step, dispatch) = program.step_of(i);
            timeline.push(run, step, dispatch, Span { begin: nanos(submitted), end: nanos(Instant::now()) });
            let phases = [(Phase::Encode, begun, encoded), (Phase::Submit, encoded, submitted)];
            timeline.host.extend(phases.map(|(phase, begin, end)| {
                let span = Span { begin: nanos(begin), end: nanos(end) };
                HostWork { run, phase, span }
            }));
        }
        Ok(timeline)
    }
}

impl Program {
    /// The plan's step that a dispatch belongs to, and its number within the step.
    fn step_of(&self, dispatch: usize) -> (usize, usize) {
        let step = self.step_ends.partition_point(|end| *end <= dispatch);
        let first = step.checked_sub(1).map_or(0, |before| self.step_ends[before]);
        (step, dispatch - first)
    }
}

/// The submissions that `runs` runs of `dispatches` dispatches are made of, and the bytes of all their timestamps.
fn chunks(gpu: &Gpu, dispatches: usize, runs: usize) -> (Vec<Chunk>, u64) {
    let (mut chunks, mut offset) = (Vec::new(), 0);
    for run in 0..runs {
        for first in (0..dispatches).step_by(MOST) {
            let range = first..dispatches.min(first + MOST);
            let queries = gpu.create_query_set(2 * range.len() as u32);
            let bytes = range.len() as u64 * BYTES_PER_DISPATCH;
            chunks.push(Chunk { run, dispatches: range, queries, offset });
            offset += bytes.next_multiple_of(wgpu::QUERY_RESOLVE_BUFFER_ALIGNMENT);
        }
    }
    (chunks, offset)
}

fn encode(encoder: &mut wgpu::CommandEncoder, program: &Program, chunk: &Chunk) {
    for (i, dispatch) in program.dispatches[chunk.dispatches.clone()].iter().enumerate() {
        let times = wgpu::ComputePassTimestampWrites {
            query_set: &chunk.queries,
            beginning_of_pass_write_index: Some(2 * i as u32),
            end_of_pass_write_index: Some(2 * i as u32 + 1),
        };
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(times) };
        dispatch.encode(&mut encoder.begin_compute_pass(&descriptor));
    }
}

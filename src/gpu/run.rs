//! Running a program: encode, submit, and never more than two submissions ahead of the device.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::machine::{Machine, Program, byte_offset};
use crate::error::Result;
use crate::graph::Region;
use crate::shape::DType;
use crate::tensor::Tensor;

/// Submissions grow until one takes about this long: long enough to hide the host, short enough for Ctrl-C and a desktop's watchdog.
const TARGET: Duration = Duration::from_millis(50);
/// Submissions that may be on their way at once.
const IN_FLIGHT: usize = 2;
/// Steps of one submission at most.
const MOST_STEPS: usize = 256;

const PENDING: u8 = 0;
const READY: u8 = 1;
const FAILED: u8 = 2;

/// A readback that nobody waits for.
#[derive(Debug)]
pub(super) struct Peek {
    staging: wgpu::Buffer,
    state: Arc<AtomicU8>,
    busy: bool,
    region: Option<Region>,
}

impl Machine {
    /// Encodes and submits up to `at_most` runs of the program, and tells how many. It waits only for the submission before the
    /// last.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn run_some(&mut self, program: &Program, at_most: usize) -> Result<usize> {
        let steps = at_most.min(program.steps_per_submission.load(Ordering::Relaxed));
        while self.in_flight.len() >= IN_FLIGHT {
            self.wait_for_oldest(program)?;
        }
        let begun = Instant::now();
        let mut encoder = self.gpu.encoder();
        for _ in 0..steps {
            encode(&mut encoder, program, 0..program.dispatches.len());
        }
        self.gpu.count_dispatches((steps * program.dispatches.len()) as u64);
        self.gpu.count_encoding(begun.elapsed());
        let submission = self.gpu.submit(encoder);
        self.gpu.check("a step")?;
        if self.in_flight.is_empty() {
            self.last_done = Some(Instant::now());
        }
        self.in_flight.push_back((submission, steps));
        Ok(steps)
    }

    /// Waits for the oldest submission and learns from it how many steps the program's next one should hold.
    fn wait_for_oldest(&mut self, program: &Program) -> Result<()> {
        let Some((submission, steps)) = self.in_flight.pop_front() else { return Ok(()) };
        self.gpu.wait(Some(submission))?;
        let now = Instant::now();
        if let Some(before) = self.last_done.replace(now) {
            let (took, now_held) = (now - before, program.steps_per_submission.load(Ordering::Relaxed));
            let next = if took < TARGET / 2 && steps == now_held {
                (steps * 2).min(MOST_STEPS)
            } else if took > TARGET * 2 {
                (now_held / 2).max(1)
            } else {
                now_held
            };
            program.steps_per_submission.store(next, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn wait(&mut self) -> Result<()> {
        self.in_flight.clear();
        self.gpu.wait(None)
    }

    /// Runs the program step by step and tells the first step that gave a NaN or an infinity.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn run_until_not_finite(&mut self, program: &Program) -> Result<Option<usize>> {
        let mut start = 0;
        let plan = Arc::clone(&program.plan);
        for (index, step) in plan.steps.iter().enumerate() {
            let end = program.step_ends[index];
            let mut encoder = self.gpu.encoder();
            encode(&mut encoder, program, start..end);
            self.gpu.count_dispatches((end - start) as u64);
            self.gpu.submit(encoder);
            start = end;
            for region in step.outputs.iter().filter(|r| r.spec.dtype == DType::F32) {
                if let Tensor::F32(x) = self.read(program, region)?
                    && !x.iter().all(|v| v.is_finite())
                {
                    return Ok(Some(index));
                }
            }
        }
        Ok(None)
    }

    /// Asks for a region of the program's memory without waiting for it; see [`Machine::peeked`]. Tells whether it asked: it does
    /// not while an earlier wish is still open.
    pub fn peek(&mut self, program: &Program, region: &Region) -> bool {
        let bytes = region.spec.bytes();
        if self.peek.as_ref().is_none_or(|p| !p.busy && p.staging.size() < bytes) {
            let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
            let staging = self.gpu.create_buffer("progress", bytes, usage);
            self.peek = Some(Peek { staging, state: Arc::default(), busy: false, region: None });
        }
        let Some(peek) = self.peek.as_mut().filter(|p| !p.busy) else { return false };
        let mut encoder = self.gpu.encoder();
        encoder.copy_buffer_to_buffer(program.buffer(region.place), byte_offset(region), &peek.staging, 0, bytes);
        self.gpu.submit(encoder);
        (peek.busy, peek.region) = (true, Some(region.clone()));
        peek.state.store(PENDING, Ordering::Release);
        let state = Arc::clone(&peek.state);
        self.gpu.peek(&peek.staging, bytes, move |ok| state.store(if ok { READY } else { FAILED }, Ordering::Release));
        true
    }

    /// What [`Machine::peek`] asked for, once, if it has come.
    pub fn peeked(&mut self) -> Option<Vec<u32>> {
        let peek = self.peek.as_mut().filter(|p| p.busy)?;
        self.gpu.poll();
        let state = peek.state.load(Ordering::Acquire);
        if state == PENDING {
            return None;
        }
        peek.busy = false;
        if state == FAILED {
            return None;
        }
        let bytes = peek.region.take()?.spec.bytes();
        let words = peek.staging.slice(..bytes).get_mapped_range().ok().map(|data| bytemuck::pod_collect_to_vec(&data));
        peek.staging.unmap();
        words
    }
}

fn encode(encoder: &mut wgpu::CommandEncoder, program: &Program, range: std::ops::Range<usize>) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for dispatch in &program.dispatches[range] {
        dispatch.encode(&mut pass);
    }
}

//! What a backend saw while it ran a plan: plain data, the same for a GPU and for the CPU.

/// Whose clock the times of a [`Timeline`]'s work come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The processor's, around every op.
    Cpu,
    /// The device's own timestamps, around every dispatch.
    Device,
    /// The processor's, around the submission of every single dispatch and the wait for it: where a device tells no times.
    Waiting,
}

/// A stretch of time, in nanoseconds since the timeline's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub begin: u64,
    /// When it ended; not before it began.
    pub end: u64,
}

impl Span {
    /// Its length in nanoseconds.
    pub fn nanos(&self) -> u64 {
        self.end - self.begin
    }
}

/// One dispatch (on the CPU: one op) that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The run, counted from 0.
    pub run: usize,
    /// The step of the plan.
    pub step: usize,
    /// The dispatch within the step.
    pub dispatch: usize,
    /// When it ran.
    pub span: Span,
}

/// What the host did for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It encoded dispatches.
    Encode,
    /// It submitted them.
    Submit,
    /// It waited for an earlier submission.
    Wait,
}

/// One thing that the host did for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostWork {
    /// The run, counted from 0.
    pub run: usize,
    /// What it did.
    pub phase: Phase,
    /// When it did it.
    pub span: Span,
}

/// When everything ran, in order. No two pieces of `work` overlap: where a device runs dispatches at the same time, the later one counts
/// from the earlier one's end.
///
/// Host and device have clocks of their own, whose distance nobody tells: the first dispatch is put where its submission ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Whose clock `work` is timed with.
    pub clock: Clock,
    /// What ran.
    pub work: Vec<Work>,
    /// What the host did meanwhile; empty on the CPU.
    pub host: Vec<HostWork>,
}

impl Timeline {
    /// A timeline in which nothing has happened yet.
    pub fn new(clock: Clock) -> Self {
        Timeline { clock, work: Vec::new(), host: Vec::new() }
    }

    /// Adds a piece of work that follows those before it.
    pub fn push(&mut self, run: usize, step: usize, dispatch: usize, span: Span) {
        let begin = self.work.last().map_or(0, |last| last.span.end).max(span.begin);
        self.work.push(Work { run, step, dispatch, span: Span { begin, end: begin.max(span.end) } });
    }
}

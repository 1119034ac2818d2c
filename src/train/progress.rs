//! What a person sees while a model trains: a bar in a terminal, a line per epoch in a pipe, nothing where they want none.

use std::io::Write;

use super::feed::Feed;
use super::history::EpochRecord;
use bar::Bar;

pub(super) struct Progress {
    verbose: bool,
    epochs: usize,
    feed: Feed,
    bar: Option<Bar>,
}

impl Progress {
    pub(super) fn new(verbose: bool, epochs: usize, feed: Feed) -> Self {
        Progress { verbose, epochs, feed, bar: None }
    }

    pub(super) fn start(&mut self, epoch: usize) {
        if self.verbose {
            self.bar = Bar::new(&format!("epoch {epoch}/{}", self.epochs), self.feed.steps());
        }
    }

    /// Whether there is a bar, and it has stood still for a while.
    pub(super) fn is_due(&self) -> bool {
        self.bar.as_ref().is_some_and(Bar::is_due)
    }

    /// `done` steps of the epoch have been submitted; `records` are those of the first so many, where they are known.
    pub(super) fn steps(&mut self, done: usize, records: Option<(usize, &[u32])>) {
        let numbers = records.filter(|(steps, _)| *steps > 0).map(|(steps, records)| {
            let (loss, metrics) = self.feed.means(steps, records);
            numbers("", loss, &metrics)
        });
        if let Some(bar) = &mut self.bar {
            bar.show(done, numbers);
        }
    }

    pub(super) fn end(&mut self, record: &EpochRecord) {
        self.bar = None;
        if !self.verbose {
            return;
        }
        let line = line(record);
        let width = self.epochs.to_string().len();
        // Standard error keeps standard output free for results; in a terminal both are seen.
        tell(&format!("epoch {:>width$}/{}  {:6.1} s  {line}", record.epoch, self.epochs, record.seconds));
    }
}

/// Writes a line to standard error. Where nobody reads that any more (a pipe that was closed) the training goes on.
pub(super) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// What is told of an epoch.
fn line(record: &EpochRecord) -> String {
    let mut line = numbers("", record.loss, &record.metrics);
    if let Some(loss) = record.val_loss {
        line += "  ";
        line += &numbers("val_", loss, &record.val_metrics);
    }
    // Below this nobody would notice.
    if record.waited > 0.05 * record.seconds && record.waited > 0.1 {
        line += &format!("  ({:.1} s of it waiting for samples)", record.waited);
    }
    line
}

fn numbers(prefix: &str, loss: f64, metrics: &[(String, f64)]) -> String {
    let mut text = format!("{prefix}loss {loss:.4}");
    for (name, value) in metrics {
        text += &format!("  {prefix}{name} {value:.4}");
    }
    text
}

#[cfg(feature = "cli")]
mod bar {
    use std::io::IsTerminal;
    use std::time::{Duration, Instant};

    use indicatif::{ProgressBar, ProgressStyle};

    /// How often the bar moves.
    const EVERY: Duration = Duration::from_millis(200);

    /// A bar on the last line of the terminal; it vanishes when it is dropped.
    pub(super) struct Bar {
        bar: ProgressBar,
        shown: Instant,
    }

    impl Bar {
        /// A bar, where standard error is a terminal.
        pub(super) fn new(prefix: &str, steps: usize) -> Option<Bar> {
            if !std::io::stderr().is_terminal() {
                return None;
            }
            let bar = ProgressBar::new(steps as u64).with_prefix(prefix.to_owned());
            let line = "{prefix} {bar:28.cyan/dim} {pos}/{len} {elapsed}<{eta} {per_sec}{msg}";
            if let Ok(style) = ProgressStyle::with_template(line) {
                bar.set_style(style);
            }
            Some(Bar { bar, shown: Instant::now() })
        }

        pub(super) fn is_due(&self) -> bool {
            self.shown.elapsed() >= EVERY
        }

        pub(super) fn show(&mut self, done: usize, numbers: Option<String>) {
            self.shown = Instant::now();
            self.bar.set_position(done as u64);
            if let Some(numbers) = numbers {
                self.bar.set_message(format!("  {numbers}"));
            }
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            self.bar.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "cli"))]
mod bar {
    /// Without the feature `cli` there is no bar.
    pub(super) enum Bar {}

    impl Bar {
        pub(super) fn new(_prefix: &str, _steps: usize) -> Option<Bar> {
            None
        }

        pub(super) fn is_due(&self) -> bool {
            match *self {}
        }

        pub(super) fn show(&mut self, _done: usize, _numbers: Option<String>) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_metrics_and_waits_that_count() {
        let metric = |value| vec![("accuracy".to_owned(), value)];
        let mut record = EpochRecord {
            epoch: 1,
            loss: 0.5,
            metrics: metric(0.75),
            val_loss: None,
            val_metrics: Vec::new(),
            step_losses: Vec::new(),
            learning_rate: 1e-3,
            waited: 0.5,
            seconds: 20.0,
        };
        assert_eq!(line(&record), "loss 0.5000  accuracy 0.7500");
        (record.val_loss, record.val_metrics, record.waited) = (Some(0.25), metric(1.0), 1.5);
        let text =
            "loss 0.5000  accuracy 0.7500  val_loss 0.2500  val_accuracy 1.0000  (1.5 s of it waiting for samples)";
        assert_eq!(line(&record), text);
        (record.seconds, record.waited) = (0.2, 0.1);
        assert!(!line(&record).contains("waiting"), "a tenth of a second is nothing");
    }
}

//! What a person sees while a model trains: a bar in a terminal, a line per epoch in a pipe, nothing where they want none.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use super::feed::Feed;
use super::history::EpochRecord;

/// How often the numbers beside the bar change.
const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    verbose: bool,
    epochs: usize,
    feed: Feed,
    names: Vec<&'static str>,
    shown: Instant,
    #[cfg(feature = "cli")]
    bar: Option<indicatif::ProgressBar>,
}

impl Progress {
    pub(super) fn new(verbose: bool, epochs: usize, feed: Feed, names: Vec<&'static str>) -> Self {
        Progress {
            verbose,
            epochs,
            feed,
            names,
            shown: Instant::now(),
            #[cfg(feature = "cli")]
            bar: None,
        }
    }

    pub(super) fn start(&mut self, epoch: usize) {
        #[cfg(feature = "cli")]
        if self.verbose && std::io::stderr().is_terminal() {
            let bar = indicatif::ProgressBar::new(self.feed.steps() as u64);
            let line = "{prefix} {bar:28.cyan/dim} {pos}/{len} {elapsed}<{eta} {per_sec}{msg}";
            if let Ok(style) = indicatif::ProgressStyle::with_template(line) {
                bar.set_style(style);
            }
            bar.set_prefix(format!("epoch {epoch}/{}", self.epochs));
            self.bar = Some(bar);
        }
        let _ = epoch;
    }

    /// `done` steps of the epoch have been submitted; `records` are those of some of them, where they are known.
    pub(super) fn steps(&mut self, done: usize, records: Option<&[u32]>) {
        if self.shown.elapsed() < EVERY {
            return;
        }
        self.shown = Instant::now();
        #[cfg(feature = "cli")]
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            if let Some(records) = records {
                let (loss, metrics) = self.feed.means(done, records);
                bar.set_message(format!("  {}", self.numbers("", loss, &metrics)));
            }
        }
        let _ = (done, records, &self.feed);
    }

    pub(super) fn end(&mut self, record: &EpochRecord) {
        #[cfg(feature = "cli")]
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !self.verbose {
            return;
        }
        let values = |m: &[(&str, f64)]| m.iter().map(|(_, v)| *v).collect::<Vec<_>>();
        let mut line = self.numbers("", record.loss, &values(&record.metrics));
        if let Some(loss) = record.val_loss {
            line += "  ";
            line += &self.numbers("val_", loss, &values(&record.val_metrics));
        }
        let width = self.epochs.to_string().len();
        let line = format!("epoch {:>width$}/{}  {:6.1} s  {line}", record.epoch, self.epochs, record.seconds);
        // Standard error keeps standard output free for results; in a terminal both are seen.
        eprintln!("{line}");
    }

    fn numbers(&self, prefix: &str, loss: f64, metrics: &[f64]) -> String {
        let mut text = format!("{prefix}loss {loss:.4}");
        for (name, value) in self.names.iter().zip(metrics) {
            text += &format!("  {prefix}{name} {value:.4}");
        }
        text
    }
}

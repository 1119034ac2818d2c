use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A wish to stop, which `fit` looks at between submissions: within about a tenth of a second. Clones share the wish.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A wish that Ctrl-C expresses. A second Ctrl-C ends the process as usual.
    ///
    /// # Errors
    /// Where the program already handles Ctrl-C in another way.
    #[cfg(feature = "cli")]
    pub fn on_ctrl_c() -> crate::Result<Self> {
        let interrupt = Self::new();
        let wish = interrupt.clone();
        ctrlc::set_handler(move || {
            if wish.is_wished() {
                std::process::exit(130);
            }
            wish.stop();
        })
        .map_err(|e| crate::Error::usage("Ctrl-C", e.to_string()))?;
        Ok(interrupt)
    }

    /// Expresses the wish.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wishes to stop.
    pub fn is_wished(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

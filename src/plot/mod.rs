//! Pictures: training curves, and what a report shows. SVG always; PNG with the feature `png`.
//!
//! Each function draws one [`Picture`] from numbers that [`metrics`](crate::metrics) computed. Colours are those of Wong (Nature
//! Methods 8, 441, 2011), which colour-blind eyes tell apart; legends stand below the charts, where they cover nothing.

mod axes;
mod calibration;
mod canvas;
mod confusion;
mod curve;
mod images;
mod page;
mod picture;
mod pixels;
mod precision_recall;
mod roc;
mod scatter;
mod text;
mod trace;

pub use calibration::calibration;
pub use confusion::confusion;
pub use curve::{Curve, Panel, training_curves};
pub use images::{Example, examples};
pub use picture::Picture;
pub use precision_recall::precision_recall;
pub use roc::roc;
pub use scatter::agreement;
pub use trace::Trace;

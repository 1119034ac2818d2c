//! Devices and sessions: the one layer that knows both backends.

mod device;
mod initial;
mod profile;
mod reference;
mod session;

pub use device::{Device, DeviceChoice};
pub use profile::{OpTime, Profile};
pub use reference::Reference;
pub use session::{Executable, Session};

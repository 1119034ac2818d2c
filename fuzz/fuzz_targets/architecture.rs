//! The description of a network in a model's file: a network whose summary can be made, or an error. It is written and read again as
//! it was.
#![no_main]

use galen::nn::{Architecture, Network};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(network) = serde_json::from_slice::<Architecture>(bytes) else { return };
    let _ = network.summary();
    let written = serde_json::to_string(&network).expect("what was read is written");
    let again: Architecture = serde_json::from_str(&written).expect("what was written is read");
    assert_eq!(serde_json::to_string(&again).expect("it is written again"), written);
});

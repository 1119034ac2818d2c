//! Data that is made and can be learned, where no real data of the shape comes with Galen. The same on every machine.

use galen::contract::{Threefry, stream_of};
use galen::prelude::Dataset;
use ndarray::{Array1, Array3, Array4};

/// `n` images `[1, 64, 64]` of a bright disc in noise, and the discs as masks.
pub fn discs(n: usize) -> galen::Result<Dataset> {
    let mut draws = Threefry::new(0, stream_of("discs"));
    let (mut images, mut masks) = (Array4::<u8>::zeros((n, 1, 64, 64)), Array4::<f32>::zeros((n, 1, 64, 64)));
    for i in 0..n {
        let [row, column, radius] = [0; 3].map(|_| draws.uniform());
        let (row, column, radius) = (16.0 + 32.0 * row, 16.0 + 32.0 * column, 6.0 + 10.0 * radius);
        for (y, x) in (0..64).flat_map(|y| (0..64).map(move |x| (y, x))) {
            let inside = (y as f32 - row).powi(2) + (x as f32 - column).powi(2) <= radius * radius;
            images[[i, 0, y, x]] = (if inside { 96.0 } else { 32.0 } + 96.0 * draws.uniform()) as u8;
            masks[[i, 0, y, x]] = f32::from(u8::from(inside));
        }
    }
    Dataset::new(images, masks)
}

/// `n` signals `[1, 187]` of five classes: a wave of one to five periods with any phase, in noise.
pub fn waves(n: usize) -> galen::Result<Dataset> {
    let mut draws = Threefry::new(0, stream_of("waves"));
    let mut signals = Array3::<f32>::zeros((n, 1, 187));
    let classes: Array1<u32> = (0..n as u32).map(|i| i % 5).collect();
    for (mut signal, class) in signals.outer_iter_mut().zip(&classes) {
        let phase = draws.uniform();
        for (t, value) in signal.iter_mut().enumerate() {
            let turns = (*class + 1) as f32 * t as f32 / 187.0 + phase;
            *value = (std::f32::consts::TAU * turns).sin() + draws.uniform() - 0.5;
        }
    }
    Dataset::new(signals, classes)
}

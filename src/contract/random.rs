//! Threefry-2x32 with 20 rounds: a random number is a pure function of (seed, stream, counter), the same on every device.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The WGSL twin is
//! `shaders/shared/threefry.wgsl`.

use super::clock;

const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// What makes the third key word differ from zero for a key of zeros.
const PARITY: u32 = 0x1BD1_1BDA;

/// The block function: two words of counter and two of key in, two random words out.
#[inline]
pub(crate) fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let ks = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let mut x = [counter[0].wrapping_add(ks[0]), counter[1].wrapping_add(ks[1])];
    for block in 0..5u32 {
        for r in 0..4 {
            x[0] = x[0].wrapping_add(x[1]);
            x[1] = x[1].rotate_left(ROTATIONS[(block as usize % 2) * 4 + r]) ^ x[0];
        }
        let b = block as usize + 1;
        x[0] = x[0].wrapping_add(ks[b % 3]);
        x[1] = x[1].wrapping_add(ks[(b + 1) % 3]).wrapping_add(block + 1);
    }
    x
}

/// What the random words of a node depend on besides the element: seed, stream and step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamKey {
    key: [u32; 2],
    step: u32,
}

impl StreamKey {
    /// Elements whose words [`StreamKey::block`] makes at once.
    pub(crate) const BLOCK: usize = 16;

    /// The words of `stream` in the step and with the seed that the clock shows.
    pub(crate) fn new(clock: &[u32], stream: u32) -> Self {
        StreamKey { key: [clock[clock::SEED_LO] ^ stream, clock[clock::SEED_HI]], step: clock[clock::STEP] }
    }

    /// The words of one sample in one epoch: the same in every step, and wherever in a batch the sample stands.
    pub(crate) fn of_sample(clock: &[u32], stream: u32, sample: u32, epoch: u32) -> Self {
        let key = [clock[clock::SEED_LO] ^ stream, clock[clock::SEED_HI]];
        StreamKey { key: threefry2x32(key, [sample, epoch]), step: 0 }
    }

    /// The word of element `i`.
    #[inline]
    pub(crate) fn word(&self, i: usize) -> u32 {
        threefry2x32(self.key, [(i / 2) as u32, self.step])[i % 2]
    }

    /// The words of elements `first .. first + BLOCK`, `first` even: element `i` has word `i % 2` of the counter `(i / 2, step)`.
    #[inline]
    pub(crate) fn block(&self, first: usize) -> [u32; Self::BLOCK] {
        const LANES: usize = StreamKey::BLOCK / 2;
        let ks = [self.key[0], self.key[1], self.key[0] ^ self.key[1] ^ PARITY];
        // One counter per lane, so that the rounds become vector instructions.
        let mut x: [u32; LANES] = std::array::from_fn(|lane| ((first / 2 + lane) as u32).wrapping_add(ks[0]));
        let mut y = [self.step.wrapping_add(ks[1]); LANES];
        for block in 0..5 {
            for r in 0..4 {
                for (x, y) in x.iter_mut().zip(&mut y) {
                    *x = x.wrapping_add(*y);
                    *y = y.rotate_left(ROTATIONS[(block % 2) * 4 + r]) ^ *x;
                }
            }
            for (x, y) in x.iter_mut().zip(&mut y) {
                *x = x.wrapping_add(ks[(block + 1) % 3]);
                *y = y.wrapping_add(ks[(block + 2) % 3]).wrapping_add(block as u32 + 1);
            }
        }
        std::array::from_fn(|i| if i % 2 == 0 { x[i / 2] } else { y[i / 2] })
    }
}

/// The stream id that belongs to a name: FNV-1a, so that it depends on nothing but the name.
pub fn stream_of(name: &str) -> u32 {
    name.bytes().fold(0x811C_9DC5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// A host-side sequence of random numbers from (seed, stream): for initial weights and for the order of samples.
#[derive(Clone, Debug)]
pub struct Threefry {
    key: [u32; 2],
    stream: u32,
    counter: u32,
    spare: Option<u32>,
}

impl Threefry {
    /// The sequence of `seed` that belongs to `stream`.
    pub fn new(seed: u64, stream: u32) -> Self {
        Threefry { key: [seed as u32, (seed >> 32) as u32], stream, counter: 0, spare: None }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        let [a, b] = threefry2x32(self.key, [self.counter, self.stream]);
        self.counter = self.counter.wrapping_add(1);
        self.spare = Some(b);
        a
    }

    /// Uniform in [0, 1), with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - f64::from(self.uniform())).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.uniform())).cos()) as f32
    }

    /// Uniform in 0..n, without bias (Lemire 2019).
    pub fn below(&mut self, n: u32) -> u32 {
        let threshold = n.wrapping_neg() % n;
        loop {
            let wide = u64::from(self.next_u32()) * u64::from(n);
            if wide as u32 >= threshold {
                return (wide >> 32) as u32;
            }
        }
    }

    /// A random order of 0..n (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u32 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, threefry2x32 20).
    #[test]
    fn threefry_gives_the_published_answers() {
        assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry2x32([u32::MAX; 2], [u32::MAX; 2]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry2x32([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn a_block_of_a_stream_is_threefry_of_its_counters() {
        let key = StreamKey::new(&clock::clock(7, 0x0123_4567_89ab_cdef), 0xffee_0001);
        let pair = |i: u32| threefry2x32([0x89ab_cdef ^ 0xffee_0001, 0x0123_4567], [i, 7]);
        let expected: Vec<u32> = (9..17).flat_map(pair).collect();
        assert_eq!(key.block(18).to_vec(), expected);
        assert_eq!((18..34).map(|i| key.word(i)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_permutation_holds_every_index_once() {
        let mut p = Threefry::new(7, 3).permutation(1000);
        assert_ne!(p, (0..1000).collect::<Vec<_>>());
        p.sort_unstable();
        assert_eq!(p, (0..1000).collect::<Vec<_>>());
    }
}

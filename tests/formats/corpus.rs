//! Small images of every kind against what reference decoders see in them: `tests/formats/corpus/make.py` wrote both. Each is right or
//! refused, and what refuses it names the file and the property.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use galen::data::formats::images::{self, ImageOptions, Masks};
use galen::{Error, Tensor};
use serde_json::Value;

/// Files, pixels, and the list of what is which.
struct Corpus {
    blob: Vec<u8>,
    entries: Vec<Value>,
}

impl Corpus {
    fn read() -> Corpus {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/corpus");
        let packed = std::fs::read(folder.join("corpus.gz")).unwrap();
        let mut blob = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut blob).unwrap();
        let entries = serde_json::from_slice(&std::fs::read(folder.join("corpus.json")).unwrap()).unwrap();
        Corpus { blob, entries }
    }

    fn bytes(&self, at: &Value, length: usize) -> &[u8] {
        &self.blob[at.as_u64().unwrap() as usize..][..length]
    }

    /// What is expected of a file: a shape, the largest value, the values channel after channel, and how far they may be apart.
    fn expected(&self, pixels: &[Value]) -> ([usize; 3], u64, Vec<u64>, u64) {
        let [height, width, channels, most, at, apart] = pixels else { panic!("{pixels:?}") };
        let [height, width, channels] = [height, width, channels].map(|v| v.as_u64().unwrap() as usize);
        let most = most.as_u64().unwrap();
        let each = if most < 256 {
            1
        } else if most < 65536 {
            2
        } else {
            4
        };
        let bytes = self.bytes(at, height * width * channels * each);
        let number = |b: &[u8]| b.iter().rev().fold(0, |sum, b| sum << 8 | u64::from(*b));
        let values: Vec<u64> = bytes.chunks_exact(each).map(number).collect();
        let planes = (0..channels).flat_map(|c| values.iter().skip(c).step_by(channels)).copied().collect();
        ([channels, height, width], most, planes, apart.as_u64().unwrap())
    }
}

/// The shape and the values of an image, from floats back to whole numbers, which must be whole.
fn numbers(tensor: Tensor, most: u64) -> (Vec<usize>, Vec<u64>) {
    let shape = tensor.shape().to_vec();
    let values = match tensor {
        Tensor::U8(x) => x.iter().map(|v| u64::from(*v)).collect(),
        Tensor::U32(x) => x.iter().map(|v| u64::from(*v)).collect(),
        Tensor::F32(x) => {
            let whole = |v: &f32| (0..=most).find(|n| *n as f32 / most as f32 == *v).expect("a value of the file");
            let near = |v: &f32| (f64::from(*v) * most as f64).round() as u64;
            x.iter().map(|v| if near(v) as f32 / most as f32 == *v { near(v) } else { whole(v) }).collect()
        }
    };
    (shape, values)
}

/// Compares what came with what a reference saw, or the error with the words that it must have; the fault, if there is one.
fn fault(corpus: &Corpus, name: &Path, result: galen::Result<Tensor>, expected: &Value) -> Option<String> {
    match (result, expected) {
        (Err(error), Value::String(words)) => {
            let names = matches!(&error, Error::Format { path, .. } if path == name);
            let says = error.to_string().contains(words.as_str()) && !error.to_string().contains("panicked");
            (!names || !says).then(|| format!("does not say \"{words}\": {error}"))
        }
        (Ok(_), Value::String(words)) => Some(format!("was read, and is to be refused: {words}")),
        (Err(error), _) => Some(format!("was refused: {error}")),
        (Ok(tensor), expected) => {
            let (shape, most, values, apart) = corpus.expected(expected.as_array().unwrap());
            let bytes = matches!(tensor, Tensor::U8(_));
            if shape != tensor.shape()[..] && shape[1..] != tensor.shape()[..] {
                return Some(format!("{:?} instead of {shape:?}", tensor.shape()));
            }
            if matches!(tensor, Tensor::F32(_)) != (most > 255) && !matches!(tensor, Tensor::U32(_)) {
                return Some(format!("bytes: {bytes}, with values up to {most}"));
            }
            let (_, found) = numbers(tensor, most);
            let worst = found.iter().zip(&values).map(|(a, b)| a.abs_diff(*b)).max();
            (worst > Some(apart)).then(|| format!("{worst:?} apart, allowed are {apart}"))
        }
    }
}

#[test]
fn every_kind_of_file_is_what_the_reference_decoder_sees_or_refused_by_name() {
    let corpus = Corpus::read();
    let mut faults = Vec::new();
    let (mut read, mut refused) = (0, 0);
    for entry in &corpus.entries {
        let Some([name, at, length, option, image, mask]) = entry.as_array().map(Vec::as_slice) else {
            panic!("{entry}")
        };
        let name = Path::new(name.as_str().unwrap());
        let bytes = corpus.bytes(at, length.as_u64().unwrap() as usize);
        let options = match option.as_str().unwrap() {
            "upright" => ImageOptions::new().upright(),
            "stored" => ImageOptions::new().as_stored(),
            _ => ImageOptions::new(),
        };
        let parsed = images::parse(bytes, name, &options);
        let stored = images::parse_mask(bytes, name, &options, &Masks::indices(u32::MAX));
        if parsed.is_ok() {
            read += 1
        } else {
            refused += 1
        };
        faults.extend(fault(&corpus, name, parsed, image).map(|f| format!("{}: {f}", name.display())));
        faults.extend(fault(&corpus, name, stored, mask).map(|f| format!("{} as a mask: {f}", name.display())));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(read > 600 && refused > 50, "{read} read, {refused} refused: the corpus is elsewhere");
}

#[test]
fn damage_to_any_kind_of_file_is_an_error_or_another_image_but_never_a_panic() {
    let corpus = Corpus::read();
    let mut state = 1_u32;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut panics = Vec::new();
    for entry in &corpus.entries {
        let (name, at, length) = (entry[0].as_str().unwrap(), &entry[1], entry[2].as_u64().unwrap() as usize);
        let whole = corpus.bytes(at, length);
        for attempt in 0..12 {
            let mut damaged = whole.to_vec();
            match attempt {
                0..2 => damaged.truncate(draw(length)),
                _ => (0..=draw(3)).for_each(|_| damaged[draw(length)] ^= 1 << draw(8)),
            }
            let options = ImageOptions::new().as_stored().most_bytes(1 << 20);
            let image = images::parse(&damaged, Path::new(name), &options).err();
            let mask = images::parse_mask(&damaged, Path::new(name), &options, &Masks::above(0)).err();
            for error in image.into_iter().chain(mask) {
                let message = error.to_string();
                assert!(message.starts_with(name), "{name}: {message}");
                if message.contains("panicked") {
                    panics.push(message);
                }
            }
        }
    }
    assert!(panics.is_empty(), "{}", panics.join("\n"));
}

//! The header of an NPY file: magic, version, and a Python dictionary of element type, order and shape.

use std::io::{self, Read};

use super::dtype::Stored;

/// What a header says.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) stored: Stored,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes before the first element.
    pub(super) length: u64,
}

/// What a right file has there, and what this one has; or what the system said.
pub(super) enum Refusal {
    Format { expected: String, actual: String },
    Io(io::Error),
}

impl Refusal {
    pub(super) fn new(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Refusal::Format { expected: expected.into(), actual: actual.into() }
    }
}

impl From<io::Error> for Refusal {
    fn from(reason: io::Error) -> Self {
        Refusal::Io(reason)
    }
}

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest header that is read. NumPy itself refuses more than 10,000 characters; only record arrays have more than a few hundred.
const LONGEST: u64 = 1 << 16;

/// Most dimensions that NumPy arrays have.
const MOST_DIMENSIONS: usize = 64;

impl Header {
    /// Reads a header; the reader then stands at the first element.
    pub(super) fn read(reader: &mut impl Read) -> Result<Header, Refusal> {
        let mut start = Vec::new();
        reader.by_ref().take(8).read_to_end(&mut start)?;
        let Some((magic, version)) = start.split_first_chunk::<6>() else {
            return Err(Refusal::new("an NPY file", format!("{} bytes in all", start.len())));
        };
        if magic != MAGIC {
            let actual = match magic {
                [b'P', b'K', ..] => "a ZIP archive, as NPZ files are".to_owned(),
                // What pickle.dump writes, protocols 2 to 5.
                [0x80, 2..=5, ..] => "a Python pickle; save the array with numpy.save".to_owned(),
                _ => format!("bytes {magic:02X?}"),
            };
            return Err(Refusal::new("an NPY file, which begins 93 4E 55 4D 50 59", actual));
        }
        let width = match version {
            [1, 0] => 2,
            [2 | 3, 0] => 4,
            [major, minor] => {
                return Err(Refusal::new("NPY version 1.0, 2.0 or 3.0", format!("version {major}.{minor}")));
            }
            _ => return Err(Refusal::new("an NPY file", format!("{} bytes in all", start.len()))),
        };
        let mut size = Vec::new();
        reader.by_ref().take(width).read_to_end(&mut size)?;
        if (size.len() as u64) < width {
            return Err(Refusal::new("the length of the header", format!("{} bytes in all", 8 + size.len())));
        }
        let claimed = size.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        if claimed > LONGEST {
            return Err(Refusal::new(format!("a header of at most {LONGEST} bytes"), claimed.to_string()));
        }
        let mut text = Vec::new();
        reader.by_ref().take(claimed).read_to_end(&mut text)?;
        if (text.len() as u64) < claimed {
            let actual = format!("{} bytes, then the end", text.len());
            return Err(Refusal::new(format!("a header of {claimed} bytes"), actual));
        }
        let text = std::str::from_utf8(&text).map_err(|_| Refusal::new("a header of text", "other bytes"))?;
        let (stored, fortran, shape) = dictionary(text)?;
        Ok(Header { stored, fortran, shape, length: 8 + width + claimed })
    }

    /// How many elements there are, and how many bytes they take.
    pub(super) fn extent(&self) -> Result<(usize, u64), Refusal> {
        let refuse = || Refusal::new("dimensions whose product can be addressed", format!("{:?}", self.shape));
        // Zeros are left out of this product because ndarray leaves them out of its own when it checks a shape.
        let product = self.shape.iter().filter(|d| **d != 0).try_fold(1_usize, |n, d| n.checked_mul(*d));
        let product = product.filter(|n| *n <= isize::MAX as usize / 64).ok_or_else(refuse)?;
        let count = if self.shape.contains(&0) { 0 } else { product };
        let bytes = (count as u64).checked_mul(self.stored.bytes as u64).ok_or_else(refuse)?;
        Ok((count, bytes))
    }
}

/// The header that describes row-major elements of this type: version 1.0, or 3.0 where it is too long for that; padded so that the
/// elements begin at a multiple of 64 bytes.
pub(super) fn write(descr: &str, shape: &[usize]) -> Vec<u8> {
    let mut tuple: String = shape.iter().map(|d| format!("{d}, ")).collect();
    tuple.truncate(tuple.len().saturating_sub(if shape.len() > 1 { 2 } else { 1 }));
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({tuple}), }}");
    let before = 10;
    let padding = 64 - (before + text.len() + 1) % 64;
    text.extend(std::iter::repeat_n(' ', padding % 64));
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend([1, 0]);
    // 64 dimensions of 20 digits stay far below what two bytes can say.
    out.extend((text.len() as u16).to_le_bytes());
    out.extend(text.as_bytes());
    out
}

/// Element type, whether the order is Fortran's, and shape.
fn dictionary(text: &str) -> Result<(Stored, bool, Vec<usize>), Refusal> {
    let mut rest = Literal(text.trim_end());
    let (mut stored, mut fortran, mut shape) = (None, None, None);
    rest.expect('{')?;
    while !rest.eat('}') {
        let key = rest.string()?;
        rest.expect(':')?;
        match key {
            "descr" => stored = Some(rest.element_type()?),
            "fortran_order" => fortran = Some(rest.boolean()?),
            "shape" => shape = Some(rest.tuple()?),
            other => return Err(Refusal::new("the keys descr, fortran_order and shape", format!("'{other}'"))),
        }
        if !rest.eat(',') {
            rest.expect('}')?;
            break;
        }
    }
    if !rest.0.trim().is_empty() {
        return Err(Refusal::new("nothing after the header's dictionary", quoted(rest.0)));
    }
    match (stored, fortran, shape) {
        (Some(stored), Some(fortran), Some(shape)) => Ok((stored, fortran, shape)),
        _ => Err(Refusal::new("a header with descr, fortran_order and shape", quoted(text))),
    }
}

/// What is left of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn eat(&mut self, wanted: char) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), Refusal> {
        if self.eat(wanted) { Ok(()) } else { Err(self.refuse(format!("'{wanted}' in the header"))) }
    }

    fn refuse(&self, expected: impl Into<String>) -> Refusal {
        Refusal::new(expected, quoted(self.0))
    }

    fn string(&mut self) -> Result<&'a str, Refusal> {
        let quote = if self.eat('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let Some((inside, rest)) = self.0.split_once(quote) else {
            return Err(self.refuse("a closing quote in the header"));
        };
        self.0 = rest;
        Ok(inside)
    }

    fn element_type(&mut self) -> Result<Stored, Refusal> {
        self.0 = self.0.trim_start();
        if self.0.starts_with(['[', '(', '{']) {
            return Err(Refusal::new(
                "an array of numbers or strings",
                "a record array; save each of its fields by itself, numpy.savez(path, age=x['age'], ..)",
            ));
        }
        Stored::parse(self.string()?)
    }

    fn boolean(&mut self) -> Result<bool, Refusal> {
        self.0 = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(self.refuse("True or False for fortran_order"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Refusal> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.eat(')') {
            if shape.len() == MOST_DIMENSIONS {
                return Err(Refusal::new(format!("at most {MOST_DIMENSIONS} dimensions"), "more"));
            }
            self.0 = self.0.trim_start();
            let digits = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
            let (number, rest) = self.0.split_at(digits);
            let Ok(extent) = number.parse::<usize>() else {
                return Err(self.refuse("whole numbers in the shape, small enough for memory"));
            };
            shape.push(extent);
            // Python 2 wrote long integers with an L.
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}

/// The beginning of a text, for a message.
fn quoted(text: &str) -> String {
    let begin: String = text.chars().take(60).collect();
    format!("{begin:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Stored, bool, Vec<usize>), String> {
        dictionary(text).map_err(|refusal| match refusal {
            Refusal::Format { expected, actual } => format!("{expected}, got {actual}"),
            Refusal::Io(e) => e.to_string(),
        })
    }

    #[test]
    fn headers_of_all_writers_are_read() {
        let shape = |text: &str| read(text).unwrap().2;
        assert_eq!(shape("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }        \n"), [3, 4]);
        assert_eq!(shape("{\"shape\":(7,),\"descr\":\"|u1\",\"fortran_order\":True}"), [7]);
        assert_eq!(shape("{'descr': '>i8', 'fortran_order': False, 'shape': (2L, 5L)}"), [2, 5]);
        assert_eq!(shape("{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n"), [0; 0]);
    }

    #[test]
    fn a_written_header_is_read_again_and_ends_at_64_bytes() {
        for shape in [vec![], vec![5], vec![3, 4], vec![usize::MAX; 64], vec![1, 2, 3, 4, 5, 6, 7]] {
            let bytes = write("<f4", &shape);
            assert_eq!(bytes.len() % 64, 0);
            let Ok(header) = Header::read(&mut bytes.as_slice()) else { panic!("{shape:?}") };
            assert_eq!((header.shape, header.length), (shape, bytes.len() as u64));
        }
    }

    #[test]
    fn headers_that_say_something_else_are_refused() {
        let refused = |text: &str, why: &str| {
            let message = read(text).unwrap_err();
            assert!(message.contains(why), "{message}");
        };
        refused("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}", "pickled Python objects");
        refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,)}", "a record array");
        refused("{'descr': '<c8', 'fortran_order': False, 'shape': (3,)}", "complex");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}", "whole numbers");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "small enough");
        refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}", "True or False");
        refused("{'descr': '<f4', 'shape': (3,)}", "descr, fortran_order and shape");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}", "'x'");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} and more", "nothing after");
        refused("{'descr': '<f4", "a closing quote");
        refused("", "'{'");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}", "')'");
    }
}

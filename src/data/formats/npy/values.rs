//! Elements of NPY files: bytes to numbers and back.

use std::fmt::Display;
use std::io::Read;

use ndarray::{ArrayD, IxDyn, ShapeBuilder};

use super::dtype::{NpyType, Stored};
use super::header::{Header, Refusal};

/// Elements in the type of their file, row-major; half floats as the floats that they exactly are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Bool(ArrayD<bool>),
    I8(ArrayD<i8>),
    U8(ArrayD<u8>),
    I16(ArrayD<i16>),
    U16(ArrayD<u16>),
    I32(ArrayD<i32>),
    U32(ArrayD<u32>),
    I64(ArrayD<i64>),
    U64(ArrayD<u64>),
    F32(ArrayD<f32>),
    F64(ArrayD<f64>),
    Text(ArrayD<String>),
}

/// Does the same with an array of numbers of any type, and something else with strings.
macro_rules! each {
    ($values:expr, $array:ident => $numbers:expr, $text:pat => $strings:expr) => {
        match $values {
            Values::Bool($array) => $numbers,
            Values::I8($array) => $numbers,
            Values::U8($array) => $numbers,
            Values::I16($array) => $numbers,
            Values::U16($array) => $numbers,
            Values::I32($array) => $numbers,
            Values::U32($array) => $numbers,
            Values::I64($array) => $numbers,
            Values::U64($array) => $numbers,
            Values::F32($array) => $numbers,
            Values::F64($array) => $numbers,
            Values::Text($text) => $strings,
        }
    };
}
pub(super) use each;

/// A number that can become another, and bytes.
pub(super) trait Number: Copy + Display {
    /// Rounded to the nearest; infinite where it is too large.
    fn to_f32(self) -> f32;
    /// Rounded to the nearest.
    fn to_f64(self) -> f64;
    /// The same number, where it is whole and within range.
    fn to_u32(self) -> Option<u32>;
    /// Appends its bytes, the least significant first.
    fn put(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($type:ty, $whole:expr) => {
        impl Number for $type {
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_u32(self) -> Option<u32> {
                $whole(self)
            }
            fn put(self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
        }
    };
}

number!(i8, |v| u32::try_from(v).ok());
number!(u8, |v| Some(u32::from(v)));
number!(i16, |v| u32::try_from(v).ok());
number!(u16, |v| Some(u32::from(v)));
number!(i32, |v| u32::try_from(v).ok());
number!(u32, Some);
number!(i64, |v| u32::try_from(v).ok());
number!(u64, |v| u32::try_from(v).ok());
number!(f32, |v| whole(f64::from(v)));
number!(f64, whole);

impl Number for bool {
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self))
    }
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn to_u32(self) -> Option<u32> {
        Some(u32::from(self))
    }
    fn put(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
}

fn whole(v: f64) -> Option<u32> {
    (v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&v)).then_some(v as u32)
}

/// A half float (IEEE 754 binary16) as the float that it exactly is.
pub(super) fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (bits >> 10 & 0x1f, f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction / 16_777_216.0,
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2_f32.powi(i32::from(e) - 15),
    };
    sign * magnitude
}

/// The array behind `header`, which must be all that is left.
pub(super) fn read(reader: &mut impl Read, header: &Header) -> Result<Values, Refusal> {
    let stored = header.stored;
    macro_rules! numbers {
        ($variant:ident, $type:ty) => {{
            let one = |b: &[u8]| Ok(<$type>::from_le_bytes(little(b, stored.big_endian)));
            array(reader, header, one).map(Values::$variant)
        }};
    }
    match stored.dtype {
        NpyType::Bool => array(reader, header, |b| Ok(b != [0])).map(Values::Bool),
        NpyType::I8 => numbers!(I8, i8),
        NpyType::U8 => numbers!(U8, u8),
        NpyType::I16 => numbers!(I16, i16),
        NpyType::U16 => numbers!(U16, u16),
        NpyType::I32 => numbers!(I32, i32),
        NpyType::U32 => numbers!(U32, u32),
        NpyType::I64 => numbers!(I64, i64),
        NpyType::U64 => numbers!(U64, u64),
        NpyType::F16 => {
            array(reader, header, |b| Ok(half(u16::from_le_bytes(little(b, stored.big_endian))))).map(Values::F32)
        }
        NpyType::F32 => numbers!(F32, f32),
        NpyType::F64 => numbers!(F64, f64),
        NpyType::Text => array(reader, header, |b| text(b, stored)).map(Values::Text),
    }
}

/// The bytes of one number, the least significant first. Never fewer come than the type has.
pub(super) fn little<const N: usize>(bytes: &[u8], big_endian: bool) -> [u8; N] {
    let mut out = [0; N];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    if big_endian {
        out.reverse();
    }
    out
}

/// A string without the zeros that fill it up.
fn text(bytes: &[u8], stored: Stored) -> Result<String, Refusal> {
    let whole = if stored.wide {
        let code = |b: &[u8]| char::from_u32(u32::from_le_bytes(little(b, stored.big_endian)));
        bytes.chunks_exact(4).map(code).collect::<Option<String>>()
    } else {
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    };
    let whole = whole.ok_or_else(|| {
        let encoding = if stored.wide { "UTF-32" } else { "UTF-8" };
        Refusal::new(format!("strings in {encoding}"), format!("bytes that are none: {:02X?}", head(bytes)))
    })?;
    Ok(whole.trim_end_matches('\0').to_owned())
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..16).unwrap_or(bytes)
}

/// Bytes that are asked for at once.
const BLOCK: usize = 1 << 16;

/// All elements, in the order of the file; memory grows with the bytes that come, never with what the header claims.
fn array<T: Clone>(
    reader: &mut impl Read,
    header: &Header,
    one: impl Fn(&[u8]) -> Result<T, Refusal>,
) -> Result<ArrayD<T>, Refusal> {
    let (count, bytes) = header.extent()?;
    let size = header.stored.bytes;
    let block = (BLOCK / size).max(1) as u64 * size as u64;
    let expected = || format!("{bytes} bytes of elements for {:?}", header.shape);
    let (mut out, mut buffer, mut seen) = (Vec::new(), Vec::new(), 0_u64);
    while seen < bytes {
        let wanted = block.min(bytes - seen);
        buffer.clear();
        let came = reader.by_ref().take(wanted).read_to_end(&mut buffer)? as u64;
        seen += came;
        if came < wanted {
            return Err(Refusal::new(expected(), format!("{seen} bytes, then the end")));
        }
        out.try_reserve(buffer.len() / size)
            .map_err(|_| Refusal::new("an array that fits in memory", format!("more than {seen} bytes")))?;
        for element in buffer.chunks_exact(size) {
            out.push(one(element)?);
        }
    }
    // Reading up to the end is also what makes a ZIP archive check its checksum.
    if reader.by_ref().take(1).read_to_end(&mut buffer)? > 0 {
        return Err(Refusal::new(expected(), "more bytes after them"));
    }
    debug_assert_eq!(out.len(), count);
    out.shrink_to_fit();
    let array = ArrayD::from_shape_vec(IxDyn(&header.shape).set_f(header.fortran), out)
        .map_err(|e| Refusal::new(expected(), e.to_string()))?;
    Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
}

/// NumPy's abbreviation of the elements' type and their bytes, little-endian.
pub(super) fn bytes(values: &Values) -> (String, Vec<u8>) {
    fn numbers<T: Number>(array: &ArrayD<T>) -> Vec<u8> {
        let mut out = Vec::with_capacity(array.len() * size_of::<T>());
        array.iter().for_each(|v| v.put(&mut out));
        out
    }
    let descr = match values {
        Values::Bool(_) => "|b1",
        Values::I8(_) => "|i1",
        Values::U8(_) => "|u1",
        Values::I16(_) => "<i2",
        Values::U16(_) => "<u2",
        Values::I32(_) => "<i4",
        Values::U32(_) => "<u4",
        Values::I64(_) => "<i8",
        Values::U64(_) => "<u8",
        Values::F32(_) => "<f4",
        Values::F64(_) => "<f8",
        Values::Text(strings) => return wide(strings),
    };
    (descr.to_owned(), each!(values, array => numbers(array), _ => Vec::new()))
}

/// Strings as UTF-32, each filled up to the longest.
fn wide(strings: &ArrayD<String>) -> (String, Vec<u8>) {
    let width = strings.iter().map(|s| s.chars().count()).max().unwrap_or(0).max(1);
    let mut out = Vec::with_capacity(strings.len() * width * 4);
    for string in strings {
        let codes = string.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
        codes.for_each(|code| out.extend(code.to_le_bytes()));
    }
    (format!("<U{width}"), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_are_exact() {
        // IEEE 754-2008, binary16: smallest, largest below normal, smallest normal, one, largest.
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }

    #[test]
    fn only_whole_numbers_within_range_are_labels() {
        assert_eq!((3.0_f64.to_u32(), 3.5_f32.to_u32(), f64::NAN.to_u32()), (Some(3), None, None));
        assert_eq!(
            ((-1_i64).to_u32(), (1_u64 << 32).to_u32(), 4294967295.0_f64.to_u32()),
            (None, None, Some(u32::MAX))
        );
        assert_eq!((-0.0_f64).to_u32(), Some(0));
    }
}

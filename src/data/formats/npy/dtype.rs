//! The element types of NPY files.

use std::fmt;

use super::header::Refusal;

/// The type of an NPY array's elements, as NumPy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NpyType {
    /// `bool`
    Bool,
    /// `int8`
    I8,
    /// `uint8`
    U8,
    /// `int16`
    I16,
    /// `uint16`
    U16,
    /// `int32`
    I32,
    /// `uint32`
    U32,
    /// `int64`
    I64,
    /// `uint64`
    U64,
    /// `float16`
    F16,
    /// `float32`
    F32,
    /// `float64`
    F64,
    /// Strings of a fixed width: `<U7` (UTF-32), or `S7` (bytes, which must be UTF-8).
    Text,
}

impl fmt::Display for NpyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NpyType::Bool => "bool",
            NpyType::I8 => "int8",
            NpyType::U8 => "uint8",
            NpyType::I16 => "int16",
            NpyType::U16 => "uint16",
            NpyType::I32 => "int32",
            NpyType::U32 => "uint32",
            NpyType::I64 => "int64",
            NpyType::U64 => "uint64",
            NpyType::F16 => "float16",
            NpyType::F32 => "float32",
            NpyType::F64 => "float64",
            NpyType::Text => "strings",
        })
    }
}

/// How elements lie in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) dtype: NpyType,
    /// Whether the most significant byte comes first.
    pub(super) big_endian: bool,
    /// Bytes of one element.
    pub(super) bytes: usize,
    /// Whether strings are UTF-32 (else bytes).
    pub(super) wide: bool,
}

impl Stored {
    /// From NumPy's abbreviation: `<f4`, `|u1`, `>U12`.
    pub(super) fn parse(descr: &str) -> Result<Stored, Refusal> {
        let (order, rest) = match descr.strip_prefix(['<', '>', '=', '|']) {
            Some(rest) => (descr.chars().next().unwrap_or('='), rest),
            None => ('=', descr),
        };
        let big_endian = order == '>' || (order != '<' && cfg!(target_endian = "big"));
        let number = |dtype, bytes| Ok(Stored { dtype, big_endian, bytes, wide: false });
        match rest {
            "b1" | "?" => number(NpyType::Bool, 1),
            "i1" => number(NpyType::I8, 1),
            "u1" => number(NpyType::U8, 1),
            "i2" => number(NpyType::I16, 2),
            "u2" => number(NpyType::U16, 2),
            "i4" => number(NpyType::I32, 4),
            "u4" => number(NpyType::U32, 4),
            "i8" => number(NpyType::I64, 8),
            "u8" => number(NpyType::U64, 8),
            "f2" => number(NpyType::F16, 2),
            "f4" => number(NpyType::F32, 4),
            "f8" => number(NpyType::F64, 8),
            _ => Stored::text(rest, big_endian).ok_or_else(|| other(descr, rest)),
        }
    }

    fn text(rest: &str, big_endian: bool) -> Option<Stored> {
        let wide = rest.starts_with('U');
        let width: usize = rest.strip_prefix(['U', 'S', 'a'])?.parse().ok()?;
        // Strings of width 0 take no bytes: any number of them could be claimed.
        let bytes = width.checked_mul(if wide { 4 } else { 1 }).filter(|n| *n > 0 && *n <= u32::MAX as usize)?;
        Some(Stored { dtype: NpyType::Text, big_endian, bytes, wide })
    }
}

fn other(descr: &str, rest: &str) -> Refusal {
    let expected = "an array of numbers, booleans or strings";
    match rest.chars().next() {
        Some('O') => Refusal::new(
            "an array of numbers, booleans or strings",
            "pickled Python objects; make it numbers with array.astype('float32'), or strings with array.astype(str), and \
             save that with numpy.save",
        ),
        Some('c') => Refusal::new(expected, format!("complex numbers ({descr}); save array.real and array.imag")),
        Some('M' | 'm') => Refusal::new(expected, format!("dates or times ({descr}); save array.astype('int64')")),
        Some('f' | 'g') => Refusal::new(expected, format!("long floats ({descr}); save array.astype('float64')")),
        Some('V') => Refusal::new(expected, format!("raw bytes ({descr})")),
        _ => Refusal::new(expected, format!("elements of type {descr:?}")),
    }
}

//! Floats in files, to the bit. JSON knows no infinity and no NaN: these are the words `inf`, `-inf` and `nan`. To be named in
//! `#[serde(with = "exact")]`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::Real;

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(String),
}

/// The number as `f64`: no digit of an `f32` is lost on the way back, whoever reads it.
///
/// # Errors
/// Those of the serializer.
pub(crate) fn serialize<T: Real, S: Serializer>(x: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let x = x.f64();
    if x.is_finite() {
        x.serialize(serializer)
    } else {
        serializer.serialize_str(if x.is_nan() {
            "nan"
        } else if x > 0.0 {
            "inf"
        } else {
            "-inf"
        })
    }
}

/// The number again.
///
/// # Errors
/// Where there is something else, or a number too large for the type.
pub(crate) fn deserialize<'de, T: Real, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let x = match Written::deserialize(deserializer)? {
        Written::Number(x) => return Some(T::of(x)).filter(|x| x.is_finite()).ok_or_else(|| too_large(x)),
        Written::Word(word) => match &word[..] {
            "nan" => f64::NAN,
            "inf" => f64::INFINITY,
            "-inf" => f64::NEG_INFINITY,
            _ => return Err(D::Error::custom(format!("a number, \"inf\", \"-inf\" or \"nan\", not \"{word}\""))),
        },
    };
    Ok(T::of(x))
}

fn too_large<E: Error>(x: f64) -> E {
    E::custom(format!("the number {x} is too large"))
}

/// A table of 32-bit numbers as the hexadecimal digits of their bits, eight for each: short, and exact for whatever they mean.
pub(crate) mod table {
    use std::fmt::Write;
    use std::sync::Arc;

    use bytemuck::Pod;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// All digits.
    ///
    /// # Errors
    /// Those of the serializer.
    pub(crate) fn serialize<T: Pod, S: Serializer>(table: &Arc<[T]>, serializer: S) -> Result<S::Ok, S::Error> {
        let words: &[u32] = bytemuck::cast_slice(table);
        let mut digits = String::with_capacity(8 * words.len());
        for word in words {
            let _ = write!(digits, "{word:08x}");
        }
        serializer.serialize_str(&digits)
    }

    /// The table again.
    ///
    /// # Errors
    /// Where something else than groups of eight digits comes.
    pub(crate) fn deserialize<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<[T]>, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let wrong = || D::Error::custom("a table: expected eight hexadecimal digits for each number");
        let groups = digits.as_bytes().chunks(8);
        let word = |group: &[u8]| {
            let digits = std::str::from_utf8(group).ok().filter(|g| g.len() == 8 && !g.starts_with('+'));
            digits.and_then(|g| u32::from_str_radix(g, 16).ok()).map(bytemuck::cast)
        };
        groups.map(|group| word(group).ok_or_else(wrong)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    struct Floats {
        #[serde(with = "super")]
        single: f32,
        #[serde(with = "super")]
        double: f64,
        #[serde(with = "super::table")]
        table: Arc<[f32]>,
    }

    #[test]
    fn floats_come_back_to_the_bit() -> Result<(), serde_json::Error> {
        let odd = [0.1, -0.0, f32::MIN_POSITIVE / 8.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-45];
        for single in odd {
            let double = f64::from(single) / 3.0;
            let text = serde_json::to_string(&Floats { single, double, table: odd.into() })?;
            for back in [serde_json::from_str::<Floats>(&text)?, serde_json::from_value(serde_json::from_str(&text)?)?]
            {
                let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                assert!(same(single.into(), back.single.into()) && same(double, back.double), "{text}");
                assert_eq!(odd.map(f32::to_bits).to_vec(), back.table.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            }
        }
        Ok(())
    }

    #[test]
    fn other_words_and_numbers_that_are_too_large_are_refused() {
        let parse = |single: &str, table: &str| {
            serde_json::from_str::<Floats>(&format!(r#"{{"single":{single},"double":1,"table":"{table}"}}"#))
        };
        assert!(parse("1", "3f800000").is_ok() && parse("\"nan\"", "").is_ok());
        for (single, table) in
            [("1e39", ""), ("\"NaN!\"", ""), ("null", ""), ("1", "3f8"), ("1", "+f800000"), ("1", "é3f8000")]
        {
            assert!(parse(single, table).is_err(), "{single} {table}");
        }
    }
}

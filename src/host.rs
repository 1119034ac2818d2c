//! Large allocations of host memory, which can fail. A plain `Vec` ends the process where the system gives no memory; these give
//! [`Error::OutOfMemory`], and whoever called keeps what it has.
//!
//! Everything whose size follows from data, parameters or a file is allocated here. What is small and bounded by code is not.

use crate::error::{Error, Result};

/// What could not be allocated: `bytes` for `what`.
fn refused(bytes: usize, what: &str) -> Error {
    Error::OutOfMemory { device: "host".to_owned(), what: format!("{bytes} bytes for {what}") }
}

/// An empty vector with room for exactly `n` elements.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn room<T>(n: usize, what: &str) -> Result<Vec<T>> {
    let mut all = Vec::new();
    reserve(&mut all, n, what)?;
    Ok(all)
}

/// Makes room for exactly `more` elements in `all`.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn reserve<T>(all: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
    let bytes = all.len().saturating_add(more).saturating_mul(size_of::<T>());
    all.try_reserve_exact(more).map_err(|_| refused(bytes, what))
}

/// `n` times the same.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn filled<T: Clone>(n: usize, value: T, what: &str) -> Result<Vec<T>> {
    let mut all = room(n, what)?;
    all.resize(n, value);
    Ok(all)
}

/// These elements, in a vector of their own.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn copied<T: Copy>(elements: &[T], what: &str) -> Result<Vec<T>> {
    let mut all = room(elements.len(), what)?;
    all.extend_from_slice(elements);
    Ok(all)
}

/// All elements of an iterator that says how many there are.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn collected<T>(elements: impl ExactSizeIterator<Item = T>, what: &str) -> Result<Vec<T>> {
    let mut all = room(elements.len(), what)?;
    all.extend(elements);
    Ok(all)
}

/// Whether the system would give this many bytes now. For code of others that ends the process where it does not.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn expect_room(bytes: usize, what: &str) -> Result<()> {
    room::<u8>(bytes, what).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_system_gives_is_an_error_that_says_how_much_for_what() {
        let much = isize::MAX as usize / 4;
        let message = filled(much, 0.0_f32, "the initial values of \"w\"").expect_err("no memory").to_string();
        let expected =
            format!("host: out of memory while allocating {} bytes for the initial values of \"w\"", much * 4);
        assert_eq!(message, expected);
        assert!(room::<u64>(usize::MAX, "x").is_err() && expect_room(usize::MAX, "x").is_err());
        assert_eq!(collected([1, 2].into_iter(), "x").expect("memory"), copied(&[1, 2], "x").expect("memory"));
    }
}

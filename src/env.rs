//! The environment variables that Galen reads. Each is checked here, and a value that makes no sense is an error that names the
//! variable, never ignored. One that is not set, or empty, leaves the choice to Galen.
//!
//! | variable | value |
//! |---|---|
//! | `GALEN_DEVICE` | `auto`, `gpu`, `cpu`, or a part of an adapter's name, driver or backend |
//! | `GALEN_THREADS` | threads of the processor, 1 to [`most_threads`]; 0 takes one per core |
//! | `GALEN_ISA` | `avx512`, `avx2` or `portable`: the widest instructions to use |
//! | `GALEN_PIPELINE_CACHE` | a folder for compiled pipelines, or `off` |
//! | `GALEN_READ_PIPES` | `1` reads pipes where a file is read from its beginning to its end; `0`, the default, refuses them |
//! | `GALEN_SHOW_VALUES` | `1` quotes cells of tables in errors; `0`, the default, tells only their length: they may be a patient's |

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// Threads that are as good as any number: more of them than cores do no work.
const MANY: usize = 64;

/// Where compiled pipelines are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cache {
    /// In the user's own cache folder.
    Default,
    /// In this folder, which may have to be made.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// `GALEN_DEVICE`; nothing for `auto`.
///
/// # Errors
/// Where it is not text.
pub(crate) fn device() -> Result<Option<String>> {
    let name = text("GALEN_DEVICE", "a device's name", std::env::var_os("GALEN_DEVICE"))?;
    Ok(name.filter(|name| !name.eq_ignore_ascii_case("auto")))
}

/// `GALEN_THREADS`; 0 where it is not set.
///
/// # Errors
/// Where it is no whole number, or more than [`most_threads`].
pub(crate) fn threads() -> Result<usize> {
    threads_of(std::env::var_os("GALEN_THREADS"))
}

/// `GALEN_ISA`, whose names the processor's kernels know.
///
/// # Errors
/// Where it is not text.
pub(crate) fn isa() -> Result<Option<String>> {
    text("GALEN_ISA", "the name of instructions", std::env::var_os("GALEN_ISA"))
}

/// `GALEN_PIPELINE_CACHE`.
///
/// # Errors
/// Where there is something else than a folder in its place.
pub(crate) fn pipeline_cache() -> Result<Cache> {
    cache_of(std::env::var_os("GALEN_PIPELINE_CACHE"))
}

/// `GALEN_READ_PIPES`.
///
/// # Errors
/// Where it is neither 0 nor 1.
pub(crate) fn read_pipes() -> Result<bool> {
    switch_of("GALEN_READ_PIPES", std::env::var_os("GALEN_READ_PIPES"))
}

/// `GALEN_SHOW_VALUES`.
///
/// # Errors
/// Where it is neither 0 nor 1.
pub(crate) fn show_values() -> Result<bool> {
    switch_of("GALEN_SHOW_VALUES", std::env::var_os("GALEN_SHOW_VALUES"))
}

/// A folder that the system names, such as `HOME`.
pub(crate) fn system_folder(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Threads that a device may have, at most: 64, or four per core where that is more.
pub(crate) fn most_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    MANY.max(4 * cores)
}

/// What is refused about a variable.
fn refused(variable: &str, expected: impl Into<String>, actual: impl std::fmt::Display) -> Error {
    Error::parameter("environment", variable, expected, format!("\"{actual}\""))
}

fn text(variable: &str, expected: &str, value: Option<OsString>) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    match value.to_str() {
        Some(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        None => Err(refused(variable, format!("{expected}, as Unicode text"), value.to_string_lossy())),
    }
}

fn switch_of(variable: &str, value: Option<OsString>) -> Result<bool> {
    let expected = "0 or 1";
    match text(variable, expected, value)?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(refused(variable, expected, other)),
    }
}

fn threads_of(value: Option<OsString>) -> Result<usize> {
    let most = most_threads();
    let expected = format!("a whole number of threads, 1 to {most} (0 for one per core)");
    let Some(text) = text("GALEN_THREADS", &expected, value)? else { return Ok(0) };
    match text.parse() {
        Ok(count) if count <= most => Ok(count),
        _ => Err(refused("GALEN_THREADS", expected, text)),
    }
}

fn cache_of(value: Option<OsString>) -> Result<Cache> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Cache::Default) };
    if value.eq_ignore_ascii_case("off") {
        return Ok(Cache::Off);
    }
    let folder = PathBuf::from(value);
    if folder.exists() && !folder.is_dir() {
        return Err(refused("GALEN_PIPELINE_CACHE", "a folder, or \"off\"", folder.display()));
    }
    Ok(Cache::Folder(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_a_whole_number_that_makes_sense() {
        let of = |value: &str| threads_of(Some(value.into()));
        assert_eq!(threads_of(None).ok(), Some(0));
        for (value, count) in [("", 0), ("0", 0), ("1", 1), (" 8 ", 8), ("64", 64)] {
            assert_eq!(of(value).ok(), Some(count), "{value}");
        }
        let too_many = (most_threads() + 1).to_string();
        for value in ["abc", "-1", "2.5", "1e3", "99999999999999999999", &too_many, "200000"] {
            let message = of(value).expect_err(value).to_string();
            for part in ["GALEN_THREADS", "a whole number of threads, 1 to ", value] {
                assert!(message.contains(part), "{message}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_text_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let value = || Some(OsString::from_vec(vec![b'a', 0xff]));
        let message = threads_of(value()).expect_err("not text").to_string();
        assert!(message.contains("GALEN_THREADS") && message.contains("Unicode"), "{message}");
        assert!(text("GALEN_DEVICE", "a device's name", value()).is_err());
        // A path may be any bytes.
        assert!(cache_of(value()).is_ok());
    }

    #[test]
    fn a_switch_is_0_or_1() {
        let of = |value: &str| switch_of("GALEN_READ_PIPES", Some(value.into()));
        assert_eq!(switch_of("GALEN_READ_PIPES", None).ok(), Some(false));
        assert_eq!(["", "0", " 1 "].map(|value| of(value).ok()), [Some(false), Some(false), Some(true)]);
        for value in ["yes", "true", "2"] {
            let message = of(value).expect_err(value).to_string();
            assert!(message.contains("GALEN_READ_PIPES must be 0 or 1") && message.contains(value), "{message}");
        }
    }

    #[test]
    fn a_cache_is_a_folder_or_off() {
        assert_eq!(cache_of(None).ok(), Some(Cache::Default));
        assert_eq!(cache_of(Some("".into())).ok(), Some(Cache::Default));
        assert_eq!(cache_of(Some("OFF".into())).ok(), Some(Cache::Off));
        let folder = std::env::temp_dir().join(format!("galen-env-{}", std::process::id()));
        assert_eq!(cache_of(Some(folder.clone().into())).ok(), Some(Cache::Folder(folder.clone())));
        std::fs::write(&folder, "a file").expect("a file");
        let message = cache_of(Some(folder.clone().into())).expect_err("a file").to_string();
        assert!(message.contains("GALEN_PIPELINE_CACHE must be a folder, or \"off\""), "{message}");
        std::fs::remove_file(&folder).expect("removed");
    }

    /// Variables are read in this file alone, and every one of them is in its table and in the README.
    #[test]
    fn every_variable_is_read_here_and_described() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a text");
        let (mut folders, mut files) = (vec![root.join("src")], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        assert!(files.len() > 100, "{} files", files.len());
        for path in files.iter().filter(|path| !path.ends_with("src/env.rs")) {
            let text = read(path);
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            assert!(!["env::var(", "env::var_os("].iter().any(|call| code.contains(call)), "{}", path.display());
        }
        let (own, readme) = (read(&root.join("src/env.rs")), read(&root.join("README.md")));
        let (table, code) = own.split_once("use std::ffi").expect("code");
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let variables: Vec<&str> = code.split("var_os(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(variables.len(), 6, "{variables:?}");
        for variable in variables {
            let cell = format!("`{variable}`");
            assert!(table.contains(&cell) && readme.contains(&cell), "{variable}");
        }
    }
}

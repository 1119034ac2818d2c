//! What a machine may lack: a test that it stops says so where it is seen, or fails where it is demanded.
#![allow(dead_code)]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Says that `test` is skipped, and why; panics where the environment variable `required` is `1`.
///
/// It writes to standard error itself, since the harness shows what a macro prints only of tests that fail, and adds the line to the
/// file that `GALEN_SKIPPED` names, which `tests/run` shows at its end.
pub fn skip(test: &str, required: &str, why: &str) {
    assert!(std::env::var(required).as_deref() != Ok("1"), "{test}: {required}=1, but {why}");
    let line = format!("SKIPPED {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("GALEN_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file that GALEN_SKIPPED names");
    }
}

/// `GALEN_DATA`, the folder of the public data sets, which holds the folder `set` (`.` for any). Where it does not, `test` is skipped,
/// unless `GALEN_REQUIRE_DATA=1`, which makes that a failure.
pub fn data(test: &str, set: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("GALEN_DATA").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let why = match folder {
        None => String::from("GALEN_DATA is not set (the folder of the public data sets)"),
        Some(folder) if !folder.join(set).is_dir() => format!("there is no folder {}", folder.join(set).display()),
        found => return found,
    };
    skip(test, "GALEN_REQUIRE_DATA", &why);
    None
}

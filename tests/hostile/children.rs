//! Programs of their own, for what would end or stop the tests: this file's binary, called again with a part to play.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Names the part that a child plays, and the folder it plays in.
const PART: &str = "GALEN_HOSTILE_PART";
const FOLDER: &str = "GALEN_HOSTILE_FOLDER";
/// What a child's last line begins with.
pub const OUTCOME: &str = "outcome: ";
/// No part takes longer.
const LONGEST: Duration = Duration::from_secs(120);

/// A child that plays `part` in `folder`, with at most so many MiB of address space where that is given.
pub fn start(part: &str, folder: &Path, megabytes: Option<u64>) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = match megabytes {
        Some(megabytes) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("ulimit -v {} && exec \"$0\" \"$@\"", megabytes * 1024)).arg(program);
            command
        }
        None => Command::new(program),
    };
    command
        .args(["--exact", "children::child", "--ignored", "--nocapture"])
        .env(PART, part)
        .env(FOLDER, folder)
        // Arenas of threads are address space that nobody uses.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().expect("a child")
}

/// What the child printed, once it has ended; it is killed, and the test fails, where it does not end.
pub fn wait(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > LONGEST {
            child.kill().expect("a child");
            panic!("a child did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().expect("a child")
}

/// What came of a part: the text behind `outcome:`. A child that was ended by the system has none.
pub fn play(part: &str, folder: &Path, megabytes: Option<u64>) -> String {
    outcome(&wait(start(part, folder, megabytes)))
}

/// The text behind `outcome:` of a child that ended by itself.
pub fn outcome(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}\n{errors}", output.status);
    let line = text.lines().find_map(|line| line.split_once(OUTCOME));
    line.unwrap_or_else(|| panic!("no outcome: {text}\n{errors}")).1.to_owned()
}

/// Says what came of a part.
pub fn say(result: Result<String, galen::Error>) {
    match result {
        Ok(text) => println!("\n{OUTCOME}{text}"),
        Err(e) => println!("\n{OUTCOME}error: {e}"),
    }
}

/// Plays the part that the environment names.
#[test]
#[ignore = "only as a child of the other tests"]
fn child() {
    let Some(part) = std::env::var_os(PART) else { return };
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).expect("a folder"));
    let part = part.to_string_lossy().into_owned();
    let (name, rest) = part.split_once(':').unwrap_or((&part, ""));
    match name {
        "compile" => say(super::memory::compile(rest)),
        "open" => say(super::memory::open(&folder)),
        "csv" => say(super::memory::read_csv(&folder)),
        "select" => say(super::memory::select()),
        "show" => say(super::tables::show(&folder)),
        "pipe" => say(super::files::read_pipe(&folder)),
        "save" => say(super::processes::save(&folder, rest)),
        "train" => say(super::processes::train(&folder)),
        "report" => say(super::processes::reports(&folder)),
        "chatter" => say(super::processes::chatter()),
        other => panic!("no part \"{other}\""),
    }
}

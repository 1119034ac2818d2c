//! Opening files to be read. Only regular files: a pipe that nobody writes to would be waited for without end, and a device such as
//! `/dev/zero` never ends. A user who means a pipe says so with `GALEN_READ_PIPES=1`.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::env;
use crate::error::{Error, Result};
use crate::host;

/// Bytes that are read from a pipe, at most: it does not say how many will come.
const MOST_PIPED: u64 = 4 << 30;

/// Opens the regular file at `path`, and tells how many bytes it has.
///
/// # Errors
/// [`Error::Io`] where it cannot be opened, or is something else: a folder, a pipe, a device.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    opened(path).map_err(|reason| Error::Io { path: path.to_owned(), reason })
}

fn opened(path: &Path) -> io::Result<(File, u64)> {
    // Looked at before it is opened, as opening alone may do something to a device; and after, as it may have been replaced.
    regular(&std::fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe is opened at once, whether somebody writes to it or not, and then refused.
        options.custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    let about = file.metadata()?;
    regular(&about)?;
    Ok((file, about.len()))
}

/// Refuses what is no regular file.
fn regular(about: &Metadata) -> io::Result<()> {
    let kind = about.file_type();
    if kind.is_file() {
        return Ok(());
    }
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (name, remedy) = match is_pipe(kind) {
        true => {
            ("a pipe", " (GALEN_READ_PIPES=1 lets pipes be read where a file is read from its beginning to its end)")
        }
        false => ("a device or a socket", ""),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("expected a regular file, got {name}{remedy}")))
}

#[cfg(unix)]
fn is_pipe(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_pipe(_: FileType) -> bool {
    false
}

/// The content of the file at `path`; of a pipe, where `GALEN_READ_PIPES` allows it, what comes until it ends.
///
/// # Errors
/// As [`open`]; [`Error::OutOfMemory`]; more than 4 GiB from a pipe.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let io = |reason: io::Error| match reason.kind() {
        io::ErrorKind::OutOfMemory => out_of_memory(path),
        _ => Error::Io { path: path.to_owned(), reason },
    };
    if let Some(mut pipe) = pipe(path)? {
        let mut bytes = Vec::new();
        pipe.by_ref().take(MOST_PIPED + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MOST_PIPED {
            let (expected, actual) = (format!("at most {MOST_PIPED} bytes from a pipe"), "more".to_owned());
            return Err(Error::Format { path: path.to_owned(), expected, actual });
        }
        return Ok(bytes);
    }
    let (mut file, length) = open(path)?;
    let length = usize::try_from(length).map_err(|_| out_of_memory(path))?;
    let mut bytes = host::room(length, &format!("the content of {}", path.display()))?;
    // No more than the file had when it was opened: some special files of the system that call themselves regular never end.
    file.by_ref().take(length as u64).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn out_of_memory(path: &Path) -> Error {
    Error::OutOfMemory { device: "host".to_owned(), what: format!("the content of {}", path.display()) }
}

/// The pipe at `path`, where there is one and it may be read.
fn pipe(path: &Path) -> Result<Option<File>> {
    let io = |reason| Error::Io { path: path.to_owned(), reason };
    if !is_pipe(std::fs::metadata(path).map_err(io)?.file_type()) || !env::read_pipes()? {
        return Ok(None);
    }
    File::open(path).map(Some).map_err(io)
}

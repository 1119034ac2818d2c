//! Files that grow by a line at a time: what an epoch adds costs what it weighs, not what came before it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::write::{Access, replace};
use crate::error::{Error, Result};

/// A file of lines. It is begun by writing it whole, and goes on by appending.
#[derive(Debug)]
pub(crate) struct Appended {
    path: PathBuf,
    access: Access,
    file: Option<File>,
}

impl Appended {
    /// A file that is not begun yet; what lies at `path` stays until then.
    pub(crate) fn new(path: &Path, access: Access) -> Appended {
        Appended { path: path.to_owned(), access, file: None }
    }

    /// Whether lines can be appended: the file was begun, and nothing has failed since.
    pub(crate) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Replaces the file by this content.
    ///
    /// # Errors
    /// [`Error::Io`]; the old file is then still there.
    pub(crate) fn begin(&mut self, content: &str) -> Result<()> {
        self.file = None;
        replace(&self.path, content.as_bytes(), self.access)?;
        self.reopen()
    }

    /// Goes on with the file that is there.
    fn reopen(&mut self) -> Result<()> {
        let mut options = OpenOptions::new();
        options.append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        }
        self.file = Some(options.open(&self.path).map_err(|reason| self.io(reason))?);
        Ok(())
    }

    /// Appends whole lines, and waits until they are on the disk where `durable` says so. After an error the file has to be begun again:
    /// a part of the lines may be in it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn append(&mut self, lines: &str, durable: bool) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(self.io(std::io::Error::other("it was not begun")));
        };
        let written = file.write_all(lines.as_bytes());
        written.and_then(|()| if durable { file.sync_data() } else { Ok(()) }).map_err(|reason| self.io(reason))?;
        self.file = Some(file);
        Ok(())
    }

    fn io(&self, reason: std::io::Error) -> Error {
        Error::Io { path: self.path.clone(), reason }
    }
}

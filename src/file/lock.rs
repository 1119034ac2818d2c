//! A folder that one training at a time works in. The system's own lock on a file is what counts: it ends with the process, however that
//! ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The file that is locked. It stays in the folder, empty while nobody holds it: a file that is removed could be locked by two.
const NAME: &str = "lock";

/// A locked folder. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

/// What came of the wish to lock a folder.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is locked now.
    By(FolderLock),
    /// Somebody else has it, who calls itself this.
    Other(String),
    /// The file system has no locks.
    Unknown(io::Error),
}

impl FolderLock {
    /// Locks `folder`, without waiting.
    ///
    /// # Errors
    /// [`Error::Io`] where the lock's file cannot be made.
    pub(crate) fn take(folder: &Path) -> Result<Taken> {
        let path = folder.join(NAME);
        taken(&path).map_err(|reason| Error::Io { path, reason })
    }
}

fn taken(path: &Path) -> io::Result<Taken> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link is refused, and a pipe does not keep anybody waiting.
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let mut file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected a regular file"));
    }
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            write!(file, "process {}", std::process::id())?;
            Ok(Taken::By(FolderLock(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            file.seek(SeekFrom::Start(0))?;
            // Who it is need not be known to be refused.
            let _ = file.take(64).read_to_string(&mut owner);
            Ok(Taken::Other(if owner.is_empty() { "another process".to_owned() } else { owner }))
        }
        Err(TryLockError::Error(e)) => Ok(Taken::Unknown(e)),
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The name is only for people; the lock goes with the file's handle.
        let _ = self.0.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_training_s_at_a_time_and_the_lock_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let Taken::By(held) = FolderLock::take(folder.path()).unwrap() else { panic!("it was free") };
        let Taken::Other(owner) = FolderLock::take(folder.path()).unwrap() else { panic!("it is held") };
        assert_eq!(owner, format!("process {}", std::process::id()));
        drop(held);
        assert_eq!(std::fs::read(folder.path().join(NAME)).unwrap(), b"");
        // What a process that was killed left behind holds nobody up.
        std::fs::write(folder.path().join(NAME), "process 1").unwrap();
        assert!(matches!(FolderLock::take(folder.path()).unwrap(), Taken::By(_)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, b"untouched").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join(NAME)).unwrap();
        assert!(FolderLock::take(folder.path()).is_err());
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
    }
}

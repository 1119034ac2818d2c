//! Writing files so that nothing already there is lost.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes beside the file, to the disk, and only then takes its name: whoever looks sees the old file or the new one, whole.
///
/// # Errors
/// [`Error::Io`]; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = beside(path);
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| rename(&beside, path));
    if done.is_err() {
        // The error that counts is the first one; what is left of a full disk is given back.
        let _ = std::fs::remove_file(&beside);
    }
    done.map_err(|reason| Error::Io { path: path.to_owned(), reason })
}

/// Gives a file another name, in a way that survives a power cut.
///
/// # Errors
/// Where the system refuses; the old name is then still there.
pub fn rename(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    // On Unix the folder is what remembers the name; elsewhere a folder cannot be opened so.
    #[cfg(unix)]
    {
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Finds out now whether `path` can be written later: before hours of training, not after.
///
/// # Errors
/// [`Error::Io`] where it cannot.
pub fn check_writable(path: &Path) -> Result<()> {
    let beside = beside(path);
    let tried =
        if path.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { File::create(&beside).map(drop) };
    let tried = tried.and_then(|()| std::fs::remove_file(&beside));
    tried.map_err(|reason| Error::Io { path: path.to_owned(), reason })
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("galen-file-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model");
        check_writable(&path).unwrap();
        assert!(!path.exists());
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        for wrong in [folder.join("no/model"), folder.clone()] {
            assert!(matches!(check_writable(&wrong), Err(Error::Io { .. })));
            assert!(matches!(replace(&wrong, b"x"), Err(Error::Io { .. })));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

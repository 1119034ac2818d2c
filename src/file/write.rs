//! Writing files whole or not at all.

use std::fs::{File, Permissions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// Who may read a file that was not there before. A file that is replaced keeps its permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone: what is written may tell of patients.
    #[default]
    Private,
    /// Whoever the process lets read its files (on Unix, its umask).
    Shared,
}

/// What the names of files begin and end with that are not whole yet.
const DRAFT: [&str; 2] = [".galen-", ".part"];

/// Drafts older than this are left over from a process that was killed.
const STALE: Duration = Duration::from_secs(3600);

/// Writes a file beside `path` under a name of its own, to the disk, and only then renames it to `path`: whoever looks sees the old file
/// or the new one, whole. Processes that write the same file at once do not disturb each other; one of them is the last.
///
/// A file that is replaced keeps its permissions; `access` is for one that was not there. Where `path` is a symbolic link, the link is
/// replaced by the new file, and the file that it points to stays as it is.
///
/// # Errors
/// [`Error::Io`]; the old file is then still there.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let written = || {
        let mut draft = draft(path, access)?;
        draft.write_all(bytes)?;
        if let Some(permissions) = permissions(path) {
            draft.as_file().set_permissions(permissions)?;
        }
        draft.as_file().sync_all()?;
        // What is left of a full disk is given back: a draft that is dropped is removed.
        draft.persist(path)?;
        sync_folder(path)
    };
    written().map_err(|reason| Error::Io { path: path.to_owned(), reason })
}

/// A new file beside `path`, which is removed when it is dropped.
fn draft(path: &Path, access: Access) -> std::io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(DRAFT[0]).suffix(DRAFT[1]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = match access {
            Access::Private => 0o600,
            Access::Shared => 0o666,
        };
        builder.permissions(Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = access;
    builder.tempfile_in(folder_of(path))
}

/// The permissions of the file that is there.
fn permissions(path: &Path) -> Option<Permissions> {
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|about| about.permissions())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file another name, in a way that survives a power cut.
///
/// # Errors
/// Where the system refuses; the old name is then still there.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let renamed = std::fs::rename(from, to).and_then(|()| sync_folder(to));
    renamed.map_err(|reason| Error::Io { path: to.to_owned(), reason })
}

/// On Unix the folder is what remembers a name; elsewhere a folder cannot be opened so.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder_of(path))?.sync_all() } else { Ok(()) }
}

/// Finds out now whether `path` can be written later: before hours of training, not after. Touches no file that is there.
///
/// # Errors
/// [`Error::Io`] where it cannot.
pub fn check_writable(path: &Path) -> Result<()> {
    let tried = match path.is_dir() {
        true => Err(std::io::ErrorKind::IsADirectory.into()),
        false => draft(path, Access::Private).and_then(NamedTempFile::close),
    };
    tried.map_err(|reason| Error::Io { path: path.to_owned(), reason })
}

/// Makes a folder, and those that it lies in, where they are missing.
///
/// # Errors
/// [`Error::Io`].
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|reason| Error::Io { path: folder.to_owned(), reason })
}

/// Removes drafts from `folder` that a killed process left there. Young ones stay: somebody may still be writing them.
pub(crate) fn remove_stale(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_draft = name.to_str().is_some_and(|name| name.starts_with(DRAFT[0]) && name.ends_with(DRAFT[1]));
        let changed = entry.metadata().ok().filter(std::fs::Metadata::is_file).and_then(|about| about.modified().ok());
        let age = changed.and_then(|changed| now.duration_since(changed).ok());
        if is_draft && age.is_some_and(|age| age > STALE) {
            // Whatever stays does no harm but to the space on the disk.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> tempfile::TempDir {
        Builder::new().prefix(name).tempdir().expect("a folder")
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = folder("galen-replace");
        let path = folder.path().join("model");
        check_writable(&path).unwrap();
        assert!(!path.exists());
        replace(&path, b"old", Access::Private).unwrap();
        replace(&path, b"new", Access::Private).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        for wrong in [folder.path().join("no/model"), folder.path().to_owned()] {
            assert!(matches!(check_writable(&wrong), Err(Error::Io { .. })));
            assert!(matches!(replace(&wrong, b"x", Access::Shared), Err(Error::Io { .. })));
        }
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_private_or_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("galen-access");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = folder.path().join("model");
        replace(&path, b"1", Access::Private).unwrap();
        assert_eq!(mode(&path), 0o600);
        for kept in [0o640, 0o600, 0o444] {
            std::fs::set_permissions(&path, Permissions::from_mode(kept)).unwrap();
            replace(&path, b"2", Access::Shared).unwrap();
            assert_eq!(mode(&path), kept);
        }
        // A file that anybody made has what the umask leaves.
        let (plain, shared) = (folder.path().join("plain"), folder.path().join("shared"));
        std::fs::write(&plain, b"").unwrap();
        replace(&shared, b"3", Access::Shared).unwrap();
        assert_eq!(mode(&shared), mode(&plain));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_replaced_and_never_followed() {
        let folder = folder("galen-links");
        let (victim, path) = (folder.path().join("victim"), folder.path().join("model"));
        std::fs::write(&victim, b"untouched").unwrap();
        // The name that drafts once had, and the file itself.
        for name in ["model.part", "model"] {
            std::os::unix::fs::symlink(&victim, folder.path().join(name)).unwrap();
        }
        check_writable(&path).unwrap();
        assert!(path.is_symlink());
        replace(&path, b"new", Access::Private).unwrap();
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert!(!path.is_symlink() && folder.path().join("model.part").is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn only_old_drafts_are_removed() {
        let folder = folder("galen-stale");
        let now = SystemTime::now();
        // The last one is from before the clock was set back.
        let drafts = [
            (".galen-a1.part", now - 2 * STALE, false),
            (".galen-b2.part", now, true),
            ("notes.part", now - 2 * STALE, true),
            (".galen-c3.part", now + 2 * STALE, true),
        ];
        for (name, changed, _) in drafts {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(changed).unwrap();
        }
        remove_stale(folder.path());
        for (name, _, stays) in drafts {
            assert_eq!(folder.path().join(name).exists(), stays, "{name}");
        }
    }
}

//! Files: opened only where they are regular files, written so that nothing already there is lost, and folders that one process at a
//! time works in.

mod append;
mod lock;
mod read;
mod write;

pub(crate) use append::Appended;
pub(crate) use lock::{FolderLock, Taken};
pub(crate) use read::{open, read};
pub(crate) use write::remove_stale;
pub use write::{Access, check_writable, make_folder, rename, replace};

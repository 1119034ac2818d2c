//! Compiled pipelines on disk, where the backend gives them (Vulkan): what a driver has compiled once, it need not compile again in the
//! next program. Only files here; [`super::pipelines`] hands their content to the driver.
//!
//! A file holds what one adapter with one driver gave. A driver may trust such data blindly, so a file counts only where its header
//! names that adapter and driver and its checksum is right; any other is as good as none. No file ever fails a program: a cache
//! that cannot be read is empty, one that cannot be written is not.

use std::path::PathBuf;

use super::device::AdapterSummary;
use crate::env::{self, Cache};
use crate::error::Result;
use crate::file::{self, Access};

/// What a file begins with; the number changes with its layout.
const MAGIC: &[u8; 16] = b"galen pipelines1";
/// Magic, key of the adapter, checksum of the rest.
const HEADER: usize = 32;
/// A file larger than this is begun anew: drivers only ever add to it.
const LARGEST: usize = 64 << 20;

/// The file of one adapter with one driver.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
    key: u64,
}

impl Store {
    /// The file for an adapter, `GALEN_PIPELINE_CACHE` in mind: a folder, or `off`; nothing where it is off or there is no place for it.
    ///
    /// # Errors
    /// Where the variable names something else.
    pub(super) fn of(adapter: &AdapterSummary) -> Result<Option<Store>> {
        let folder = match env::pipeline_cache()? {
            Cache::Off => None,
            Cache::Folder(folder) => Some(folder),
            Cache::Default => user_cache(env::system_folder).map(|cache| cache.join("galen")),
        };
        Ok(folder.map(|folder| Store::in_folder(folder, adapter)))
    }

    fn in_folder(folder: PathBuf, adapter: &AdapterSummary) -> Store {
        let text = format!("{}\n{}\n{}", adapter.backend, adapter.name, adapter.driver);
        let key = hash(text.as_bytes());
        Store { path: folder.join(format!("pipelines-{key:016x}.bin")), key }
    }

    /// What was kept, if it is whole and this adapter's.
    pub(super) fn load(&self) -> Option<Vec<u8>> {
        let bytes = file::read(&self.path).ok()?;
        let (header, data) = bytes.split_at_checked(HEADER)?;
        let good = header == self.header(data) && data.len() <= LARGEST;
        if !good {
            log::warn!("{} is not what was written there; it is ignored", self.path.display());
        }
        good.then(|| data.to_vec())
    }

    /// Keeps `data`, all of it or nothing.
    pub(super) fn save(&self, data: &[u8]) {
        let folder = self.path.parent().unwrap_or(&self.path);
        let bytes = [&self.header(data)[..], data].concat();
        let written = file::make_folder(folder).and_then(|()| file::replace(&self.path, &bytes, Access::Private));
        if let Err(e) = written {
            log::info!("compiled pipelines are not kept: {e}");
        }
    }

    fn header(&self, data: &[u8]) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..16].copy_from_slice(MAGIC);
        header[16..24].copy_from_slice(&self.key.to_le_bytes());
        header[24..].copy_from_slice(&hash(data).to_le_bytes());
        header
    }
}

/// Where programs of this user keep what can be made again; `var` is the environment.
fn user_cache(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return set("LOCALAPPDATA");
    }
    if cfg!(target_os = "macos") {
        return set("HOME").map(|home| home.join("Library/Caches"));
    }
    set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))
}

/// FNV-1a, 64 bits. Source: G. Fowler, L. C. Noll, K.-P. Vo.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    fn adapter(driver: &str) -> AdapterSummary {
        AdapterSummary {
            name: "a card".into(),
            backend: "Vulkan".into(),
            driver: driver.into(),
            kind: AdapterKind::Discrete,
            max_binding: 1,
            max_buffer: 1,
            max_invocations: 1,
            workgroup_memory: 1,
            max_workgroups: 1,
            storage_buffers: 1,
        }
    }

    #[test]
    fn only_what_was_kept_whole_for_the_same_driver_comes_back() {
        let folder = std::env::temp_dir().join(format!("galen-pipelines-{}", std::process::id()));
        let store = Store::in_folder(folder.join("deep"), &adapter("1.0"));
        assert_eq!(store.load(), None, "there is nothing yet");
        store.save(b"compiled");
        assert_eq!(store.load().as_deref(), Some(&b"compiled"[..]));
        assert_eq!(std::fs::read_dir(folder.join("deep")).unwrap().count(), 1, "nothing is left beside it");
        let other = Store::in_folder(folder.join("deep"), &adapter("1.1"));
        assert_ne!(store.path, other.path);
        // Even where it is put under the other's name.
        std::fs::copy(&store.path, &other.path).unwrap();
        assert_eq!(other.load(), None, "another driver's");
        let whole = std::fs::read(&store.path).unwrap();
        for broken in [&whole[..whole.len() - 1], &whole[..7], &[], &[&whole[..], &[0]].concat()] {
            std::fs::write(&store.path, broken).unwrap();
            assert_eq!(store.load(), None, "{} of {} bytes", broken.len(), whole.len());
        }
        for at in [0, 20, 28, HEADER, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(&store.path, flipped).unwrap();
            assert_eq!(store.load(), None, "a bit of byte {at}");
        }
        std::fs::write(&store.path, &whole).unwrap();
        assert!(store.load().is_some());
        std::fs::remove_dir_all(&folder).unwrap();
        // A folder that is a file: nothing is kept, and nothing fails.
        std::fs::write(&folder, b"").unwrap();
        store.save(b"compiled");
        assert_eq!(store.load(), None);
        std::fs::remove_file(&folder).unwrap();
    }

    #[test]
    #[cfg(all(unix, not(target_os = "macos")))]
    fn the_users_cache_is_where_the_system_says() {
        let with = |set: &'static [(&str, &str)]| {
            user_cache(move |name| set.iter().find(|(n, _)| *n == name).map(|(_, path)| PathBuf::from(path)))
        };
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), Some("/x".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]), Some("/h/.cache".into()), "it must be absolute");
        assert_eq!(with(&[]), None);
    }
}

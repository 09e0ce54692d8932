//! Compiled modules on disk. Deserializing runs native code that somebody put there, so a file counts only if this daemon wrote
//! it: an HMAC-SHA256 (RFC 2104) over the module's digest, the engine and the code, with a key that only the daemon can read,
//! checked on the very bytes in memory that are then deserialized.

use bulkhead_core::policy::{Description, Digest};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::Engine;

/// Bytes of the MAC that a file begins with.
const MAC_BYTES: usize = 32;
/// Largest file that is read, in bytes: a policy in Python compiles to some 60 MB.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A folder of compiled modules. Losing it costs time, nothing else; whatever is wrong with a file, the module is compiled anew.
pub struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens the folder (0700) and the key in it (0600), and makes what is missing. A key of another length is replaced, and
    /// with it all that it vouched for.
    pub fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        only_ours(folder)?;
        let path = folder.join("key");
        if path.symlink_metadata().is_ok() {
            only_ours(&path)?;
        }
        let mut key = [0; 32];
        let read = File::open(&path).and_then(|mut f| f.read_exact(&mut key));
        if read.is_err() {
            if rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())? != key.len() {
                return Err(io::Error::other("the kernel gave too few random bytes"));
            }
            write_whole(&path, &[&key])?;
        }
        Ok(Self { folder: folder.to_owned(), key })
    }

    /// What was kept, if this daemon has kept it for this very engine.
    pub(crate) fn find(&self, engine: &Engine, key: Digest) -> Option<Kept> {
        let path = self.path(engine, key);
        let file = File::open(&path).ok()?;
        let mut bytes = Vec::new();
        (&file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
        let found = bytes.split_at_checked(MAC_BYTES).filter(|(mac, kept)| self.mac(engine, key, kept).verify_slice(mac).is_ok());
        let Some(kept) = found.and_then(|(_, kept)| Kept::of(kept)) else {
            tracing::warn!(file = %path.display(), "a compiled module was changed by somebody else, or cut off; it is compiled anew");
            return None;
        };
        // What was not used for longest goes first.
        let _ = file.set_modified(SystemTime::now());
        Some(kept)
    }

    /// Keeps it. What goes wrong is logged: the module serves all the same.
    pub(crate) fn keep(&self, engine: &Engine, key: Digest, kept: &Kept) {
        let path = self.path(engine, key);
        let written = kept.bytes().and_then(|bytes| {
            let mac = self.mac(engine, key, &bytes).finalize().into_bytes();
            write_whole(&path, &[&mac, &bytes])
        });
        if let Err(why) = written {
            tracing::warn!(file = %path.display(), %why, "a compiled module could not be kept; the next start compiles it anew");
        }
    }

    /// Deletes what was not used for longest, until all together has at most so many bytes; what has one of these keys stays.
    pub(crate) fn trim(&self, engine: &Engine, in_force: &HashSet<Digest>, bytes_max: u64) {
        let in_force: HashSet<PathBuf> = in_force.iter().map(|key| self.path(engine, *key)).collect();
        let all = fs::read_dir(&self.folder).into_iter().flatten().flatten().filter_map(|entry| {
            let path = entry.path();
            let is = entry.metadata().ok().filter(|_| path.extension().is_some_and(|e| e == "cwasm"))?;
            Some((is.modified().ok()?, is.len(), path))
        });
        let mut all: Vec<_> = all.collect();
        all.sort();
        let mut bytes: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in all.iter().filter(|(.., path)| !in_force.contains(path)) {
            if bytes <= bytes_max {
                break;
            }
            if fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
    }

    /// Forgets a module.
    pub(crate) fn forget(&self, engine: &Engine, digest: Digest) {
        let _ = fs::remove_file(self.path(engine, digest));
    }

    fn path(&self, engine: &Engine, digest: Digest) -> PathBuf {
        let hex: String = digest.0.iter().map(|b| format!("{b:02x}")).collect();
        self.folder.join(format!("{hex}-{:016x}.cwasm", engine_number(engine)))
    }

    fn mac(&self, engine: &Engine, key: Digest, kept: &[u8]) -> Hmac<Sha256> {
        // A key shorter than a block counts as filled up with zeros (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..self.key.len()].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"bulkhead compiled module 2\0");
        mac.update(&key.0);
        mac.update(&engine_number(engine).to_be_bytes());
        mac.update(kept);
        mac
    }
}

/// Version of wasmtime, its settings and the CPU's features, as far as compiled code depends on them.
fn engine_number(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Whoever could have put a key there could have vouched for any code.
fn only_ours(path: &Path) -> io::Result<()> {
    let is = path.symlink_metadata()?;
    let ours = is.uid() == rustix::process::geteuid().as_raw() && is.mode() & 0o077 == 0 && !is.file_type().is_symlink();
    if ours {
        Ok(())
    } else {
        Err(io::Error::other(format!("{} is not the daemon's alone (its owner, mode 0700 or 0600)", path.display())))
    }
}

/// Writes a file that only we can read, whole or not at all.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| fs::rename(&draft, path));
    written.inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// What is kept of a module, or of a module with its settings in memory.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    /// What it says of itself: asked once, as it runs the module.
    pub(crate) description: Description,
    /// As `Component::serialize` gave it.
    pub(crate) code: Vec<u8>,
}

impl Kept {
    /// The length of the description, itself, the code.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let description = serde_json::to_vec(&self.description)?;
        let length = u32::try_from(description.len()).map_err(io::Error::other)?;
        Ok([&length.to_be_bytes(), &*description, &*self.code].concat())
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (description, code) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        Some(Self { description: serde_json::from_slice(description).ok()?, code: code.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        let limits = crate::Limits { calls_at_once: 1, warm_slots: 1, ..crate::Limits::default() };
        crate::engine::new(&limits, &crate::engine::Shape::small(&limits)).unwrap()
    }

    fn kept(fill: usize) -> Kept {
        let description = serde_json::from_value(serde_json::json!({
            "name": "n", "version": "1", "summary": "s", "operations": ["attach"], "rules": [], "label_keys": [], "needs": [],
            "settings_schema": "",
        }));
        Kept { description: description.unwrap(), code: vec![7; fill] }
    }

    #[test]
    fn what_was_kept_is_found_and_what_was_touched_is_not() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("compiled");
        let (engine, digest) = (engine(), Digest([7; 32]));
        let cache = Cache::open(&folder).unwrap();
        assert!(cache.find(&engine, digest).is_none());
        cache.keep(&engine, digest, &kept(100));
        let again = Cache::open(&folder).unwrap();
        assert_eq!(again.find(&engine, digest), Some(kept(100)), "the key is kept");
        assert!(again.find(&engine, Digest([8; 32])).is_none(), "another module's name");
        let other = Engine::new(wasmtime::Config::new().cranelift_opt_level(wasmtime::OptLevel::None)).unwrap();
        assert!(again.find(&other, digest).is_none(), "another engine");
        fs::copy(cache.path(&engine, digest), cache.path(&other, digest)).unwrap();
        assert!(again.find(&other, digest).is_none(), "this engine's code under the name of another's");
        let path = cache.path(&engine, digest);
        fs::copy(&path, cache.path(&engine, Digest([8; 32]))).unwrap();
        assert!(again.find(&engine, Digest([8; 32])).is_none(), "another module's code under this one's name");
        let whole = fs::read(&path).unwrap();
        for at in [0, MAC_BYTES, whole.len() / 2, whole.len() - 1] {
            let mut touched = whole.clone();
            touched[at] ^= 1;
            fs::write(&path, touched).unwrap();
            assert!(again.find(&engine, digest).is_none(), "byte {at} of {}", whole.len());
        }
        for cut in [0, 5, MAC_BYTES, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(again.find(&engine, digest).is_none(), "cut at {cut}");
        }
        fs::write(&path, &whole).unwrap();
        fs::write(folder.join("key"), [9; 32]).unwrap();
        let open = |mode| fs::set_permissions(folder.join("key"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        open(0o644);
        assert!(Cache::open(&folder).is_err(), "a key that others can read");
        open(0o600);
        assert!(Cache::open(&folder).unwrap().find(&engine, digest).is_none(), "another key");
    }
    #[test]
    fn what_was_not_used_for_longest_goes_first_and_what_is_in_force_stays() {
        let outer = tempfile::tempdir().unwrap();
        let (engine, cache) = (engine(), Cache::open(&outer.path().join("compiled")).unwrap());
        let keys: Vec<Digest> = (0..5).map(|n| Digest([n; 32])).collect();
        for (age, key) in (1..).zip(&keys) {
            cache.keep(&engine, *key, &kept(10_000));
            let then = SystemTime::now() - std::time::Duration::from_secs(100 - age);
            File::options().append(true).open(cache.path(&engine, *key)).unwrap().set_modified(then).unwrap();
        }
        cache.find(&engine, keys[1]).unwrap();
        cache.trim(&engine, &HashSet::from([keys[0]]), 35_000);
        let left: Vec<bool> = keys.iter().map(|key| cache.path(&engine, *key).exists()).collect();
        assert_eq!(left, [true, true, false, false, true], "the first is in force, the second was used just now");
        cache.trim(&engine, &HashSet::from([keys[0]]), 0);
        assert!(
            cache.path(&engine, keys[0]).exists() && !cache.path(&engine, keys[4]).exists() && outer.path().join("compiled/key").exists()
        );
    }
}

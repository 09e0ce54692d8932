//! Compiled modules on disk. Deserializing runs native code that somebody put there, so a file counts only if this daemon wrote
//! it: an HMAC-SHA256 (RFC 2104) over the module's digest, the engine and the code, with a key that only the daemon can read,
//! checked on the very bytes in memory that are then deserialized.

use crate::admit;
use bulkhead_core::policy::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use wasmtime::Engine;
use wasmtime::component::Component;

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

    /// The compiled module, if this daemon has kept it for this very engine.
    pub(crate) fn find(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(engine, digest);
        let mut bytes = Vec::new();
        File::open(&path).ok()?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
        let (mac, code) = bytes.split_at_checked(MAC_BYTES)?;
        if self.mac(engine, digest, code).verify_slice(mac).is_err() {
            tracing::warn!(file = %path.display(), "a compiled module was changed by somebody else, or cut off; it is compiled anew");
            return None;
        }
        // SAFETY: `deserialize` trusts its bytes to come from `Component::serialize`. These do: the MAC over them, taken with a key
        // that only this daemon can read, was made in `keep` over what `serialize` gave, and they are in memory that nobody else
        // can change between check and use. Another version or CPU is refused by wasmtime itself.
        match unsafe { Component::deserialize(engine, code) } {
            Ok(component) => Some(component),
            Err(why) => {
                tracing::info!(file = %path.display(), %why, "a compiled module is of another engine; it is compiled anew");
                None
            }
        }
    }

    /// Keeps a compiled module. What goes wrong is logged: the module serves all the same.
    pub(crate) fn keep(&self, engine: &Engine, digest: Digest, component: &Component) {
        let path = self.path(engine, digest);
        let kept = component.serialize().map_err(io::Error::other).and_then(|code| {
            let mac = self.mac(engine, digest, &code).finalize().into_bytes();
            write_whole(&path, &[&mac, &code])
        });
        if let Err(why) = kept {
            tracing::warn!(file = %path.display(), %why, "a compiled module could not be kept; the next start compiles it anew");
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

    fn mac(&self, engine: &Engine, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        // A key shorter than a block counts as filled up with zeros (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..self.key.len()].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"bulkhead compiled module 1\0");
        mac.update(&digest.0);
        mac.update(&engine_number(engine).to_be_bytes());
        mac.update(code);
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

/// Compiles, or finds the compiled.
pub(crate) fn compiled(cache: Option<&Cache>, engine: &Engine, digest: Digest, component: &[u8]) -> Result<Component, crate::NotAdmitted> {
    if let Some(found) = cache.and_then(|c| c.find(engine, digest)) {
        return Ok(found);
    }
    let component = admit::compile(engine, component)?;
    if let Some(cache) = cache {
        cache.keep(engine, digest, &component);
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        crate::engine::new(&crate::Limits { calls_at_once: 1, ..crate::Limits::default() }).unwrap()
    }

    fn component(engine: &Engine) -> Component {
        Component::new(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_kept_is_found_and_what_was_touched_is_not() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("compiled");
        let (engine, digest) = (engine(), Digest([7; 32]));
        let cache = Cache::open(&folder).unwrap();
        assert!(cache.find(&engine, digest).is_none());
        cache.keep(&engine, digest, &component(&engine));
        let again = Cache::open(&folder).unwrap();
        assert!(again.find(&engine, digest).is_some(), "the key is kept");
        assert!(again.find(&engine, Digest([8; 32])).is_none(), "another module's name");
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
}

//! The token of the TCP door: made at the first start, kept in a file that only its owner reads; what is on record is its hash.

use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use subtle::ConstantTimeEq;

/// SHA-256 of a token. The token is 256 random bits, so that a plain hash is enough: there is nothing to guess.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
    /// A hash from the record.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
    /// For the record.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// Whether `token` is the one; takes the same time for all tokens of one length.
    pub fn is_of(&self, token: &str) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

/// 32 random bytes, in hexadecimal digits.
pub fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    // At most 256 bytes are never cut short (getrandom(2)).
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled != bytes.len() {
        return Err(io::Error::other("the kernel gave too few random bytes"));
    }
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// The token in `file`, if it is one and nobody else could have written or read it: a database that was made anew keeps the token
/// that clients have.
pub fn kept(file: &Path) -> Option<String> {
    let mut open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(file).ok()?;
    let meta = open.metadata().ok()?;
    let is_ours = meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o077 == 0 && meta.len() <= 128;
    let mut text = String::new();
    is_ours.then(|| open.read_to_string(&mut text).ok())??;
    let token = text.trim();
    (token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit())).then(|| token.to_owned())
}

/// Writes the token to `file`, 0600 from its first moment on; what was there is replaced.
pub fn write(file: &Path, token: &str) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    match fs::remove_file(new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    writeln!(out, "{token}")?;
    out.sync_all()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_its_own_and_no_other() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert_eq!(a.len(), 64);
        let hash = TokenHash::of(&a);
        assert!(hash.is_of(&a) && !hash.is_of(&b) && !hash.is_of("") && !hash.is_of(&a[..63]));
        assert!(TokenHash::from_bytes(hash.as_bytes()) == Some(hash));
    }

    #[test]
    fn the_file_is_its_owners_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        write(&file, "one").unwrap();
        write(&file, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kept(&file), None, "not a token");
        let token = random().unwrap();
        write(&file, &token).unwrap();
        assert_eq!(kept(&file), Some(token));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(kept(&link), None, "a link may lead anywhere");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(kept(&file), None, "others may have read it");
    }
}

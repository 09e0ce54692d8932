//! Names of users and groups, from /etc/passwd and /etc/group, which are read again when they change. Accounts of a directory
//! service have no name here: they are `uid:N` and `gid:N`, in grants and admins as well.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The accounts of this machine.
#[derive(Debug)]
pub struct Accounts {
    users: Names,
    groups: Names,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { users: Names::of("/etc/passwd"), groups: Names::of("/etc/group") }
    }
}

impl Accounts {
    /// Name of a user, or `uid:N`.
    pub fn user(&self, uid: u32) -> String {
        self.users.name(uid).unwrap_or_else(|| format!("uid:{uid}"))
    }
    /// Name of a group, or `gid:N`.
    pub fn group(&self, gid: u32) -> String {
        self.groups.name(gid).unwrap_or_else(|| format!("gid:{gid}"))
    }
    /// The id of a user: a name, a number, or `uid:N`.
    pub fn uid_of(&self, user: &str) -> Option<u32> {
        self.users.id(user, "uid:")
    }
    /// The id of a group: a name, a number, or `gid:N`.
    pub fn gid_of(&self, group: &str) -> Option<u32> {
        self.groups.id(group, "gid:")
    }
}

/// Lines of `name:password:id:…` (passwd(5), group(5)).
#[derive(Debug)]
struct Names {
    file: PathBuf,
    read: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Inode, size and time of the file when it was read.
    version: Option<(u64, u64, i64, i64)>,
    by_id: HashMap<u32, String>,
}

impl Names {
    fn of(file: &str) -> Self {
        Self { file: Path::new(file).to_owned(), read: Mutex::default() }
    }

    fn look<T>(&self, find: impl FnOnce(&Table) -> T) -> T {
        let version = fs::metadata(&self.file).ok().map(|m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()));
        let mut table = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if table.version != version {
            let text = fs::read(&self.file).unwrap_or_default();
            *table = Table { version, by_id: parse(&String::from_utf8_lossy(&text)) };
        }
        find(&table)
    }

    fn name(&self, id: u32) -> Option<String> {
        self.look(|t| t.by_id.get(&id).cloned())
    }

    fn id(&self, name: &str, prefix: &str) -> Option<u32> {
        let number = name.strip_prefix(prefix).unwrap_or(name);
        number.parse().ok().or_else(|| self.look(|t| t.by_id.iter().find(|(_, n)| *n == name).map(|(id, _)| *id)))
    }
}

fn parse(text: &str) -> HashMap<u32, String> {
    let mut by_id = HashMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(_), Some(Ok(id))) = (fields.next(), fields.next(), fields.next().map(str::parse)) {
            // The first line of an id has its name (getpwuid(3)).
            by_id.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    by_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_numbers_stand_for_themselves() {
        let table = parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# odd\nalice:x:1000:1000::/:/bin/sh\nbad:x:y\n");
        assert_eq!(table, HashMap::from([(0, "root".to_owned()), (1000, "alice".to_owned())]));
        let accounts = Accounts::default();
        assert_eq!(accounts.uid_of("12345"), Some(12345));
        assert_eq!(accounts.gid_of("gid:7"), Some(7));
        assert_eq!(accounts.uid_of("root"), Some(0));
        assert_eq!(accounts.user(4_000_000_000), "uid:4000000000");
    }
}

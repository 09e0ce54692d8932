//! Gathers the WAL's small writes: one system call a commit instead of two a page.
//!
//! SQLite writes a WAL frame as 24 bytes and then a page (wal.c, `walWriteOneFrame`). An attach dirties some eight pages, so
//! that is sixteen calls, each of 1 µs natively and of 25 µs under user-mode Linux. This is a VFS (https://sqlite.org/vfs.html)
//! that is the default one in all but one thing: of files opened as a WAL, writes that follow each other are kept in memory, and
//! written together before anything else is done with the file.
//!
//! Why nobody can see the difference, once the connection that uses it has `synchronous=FULL`, as ours has:
//! - a commit's frames are synced before the index names them (wal.c, `walFrames`: `sqlite3OsSync`, then `walIndexAppend` and
//!   `walIndexWriteHdr`), and `xSync` writes first. Other connections read only frames that the index names;
//! - the connection itself reads through the same file, and `xRead` writes first. So does every other method;
//! - frames of a transaction that is not yet committed may be lost in a crash at any time as it is;
//! - a sector that is written in part damages nothing beyond it: where the default VFS does not promise that
//!   (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), SQLite pads commits and writes the rest after the sync, and nothing is gathered.
//!
//! What `unsafe` relies on: SQLite passes a file that our `open` has made, and uses it on one thread at a time (sqlite3.h,
//! "sqlite3_file" and "sqlite3_io_methods").

use libsqlite3_sys as ffi;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// Name of the VFS.
pub(crate) const NAME: &CStr = c"bulkhead-gather";

/// Most that is kept back, and so written at once: os_unix.c (`seekAndWriteFd`) takes 17 bits of the amount.
const PENDING_MAX: usize = 0x1_ffff;

/// An opened WAL. SQLite gives room for it and for the default VFS's own file, which follows.
#[repr(C)]
struct File {
    /// As `sqlite3_file` begins.
    methods: *const ffi::sqlite3_io_methods,
    pending: *mut Pending,
}

/// What is yet to be written.
struct Pending {
    at: i64,
    bytes: Vec<u8>,
    /// Whether to keep anything back.
    gathers: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    // Version 1 ends here: shared memory and mapping are the database file's.
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// The default VFS's own file.
fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    file.cast::<File>().wrapping_add(1).cast()
}

/// Calls a method of the default VFS's file; each of them must be there (sqlite3.h, "sqlite3_io_methods").
macro_rules! inner {
    ($file:expr, $method:ident $(, $arg:expr)*) => {{
        let file = inner($file);
        // SAFETY: opened by the default VFS, which sets all methods of version 1.
        unsafe { ((*(*file).pMethods).$method.expect("a method of every file"))(file $(, $arg)*) }
    }};
}

/// Writes what is pending. Whatever comes of it, nothing is pending afterwards: a transaction that fails writes these places anew.
fn flush(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: made by `open`, freed by `close` only; used by one thread at a time, and no reference to it outlives a method.
    let pending = unsafe { &mut *(*file.cast::<File>()).pending };
    if pending.bytes.is_empty() {
        return ffi::SQLITE_OK;
    }
    let len = c_int::try_from(pending.bytes.len()).expect("at most PENDING_MAX");
    let result = inner!(file, xWrite, pending.bytes.as_ptr().cast(), len, pending.at);
    pending.bytes.clear();
    result
}

/// Calls a method of the default VFS's file once all is written.
macro_rules! flushed {
    ($file:expr, $method:ident $(, $arg:expr)*) => {
        match flush($file) {
            ffi::SQLITE_OK => inner!($file, $method $(, $arg)*),
            failed => failed,
        }
    };
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, from: *const c_void, amount: c_int, at: i64) -> c_int {
    let Ok(len) = usize::try_from(amount) else { return ffi::SQLITE_MISUSE };
    let follows = {
        // SAFETY: as in `flush`; this reference ends with the block, before `flush` makes its own.
        let pending = unsafe { &*(*file.cast::<File>()).pending };
        pending.gathers && at == pending.at + pending.bytes.len() as i64 && pending.bytes.len() + len <= PENDING_MAX
    };
    if !follows {
        let result = flush(file);
        if result != ffi::SQLITE_OK {
            return result;
        }
    }
    // SAFETY: as in `flush`, which is over.
    let pending = unsafe { &mut *(*file.cast::<File>()).pending };
    if !pending.gathers {
        return inner!(file, xWrite, from, amount, at);
    }
    if pending.bytes.is_empty() {
        pending.at = at;
    }
    // SAFETY: SQLite gives `amount` bytes to read.
    pending.bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(from.cast(), len) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // Frames that nobody has synced belong to no commit.
    let written = flush(file);
    // SAFETY: from `Box::into_raw` in `open`; SQLite uses the file no more.
    drop(unsafe { Box::from_raw((*file.cast::<File>()).pending) });
    let closed = inner!(file, xClose);
    if closed == ffi::SQLITE_OK { written } else { closed }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, amount: c_int, at: i64) -> c_int {
    flushed!(file, xRead, to, amount, at)
}
unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    flushed!(file, xTruncate, size)
}
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    flushed!(file, xSync, flags)
}
unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    flushed!(file, xFileSize, size)
}
unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    flushed!(file, xLock, level)
}
unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    flushed!(file, xUnlock, level)
}
unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    flushed!(file, xCheckReservedLock, out)
}
unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, op: c_int, arg: *mut c_void) -> c_int {
    flushed!(file, xFileControl, op, arg)
}
unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    inner!(file, xSectorSize)
}
unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    inner!(file, xDeviceCharacteristics)
}

/// Opens a file. What is no WAL is the default VFS's, without us.
unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let default = default_vfs();
    let is_wal = flags & ffi::SQLITE_OPEN_WAL != 0;
    let target = if is_wal { inner(file) } else { file };
    let _ = vfs;
    // SAFETY: registered by SQLite itself, for as long as the process lives; `file` has room for both files (`szOsFile`).
    let result = unsafe { ((*default.as_ptr()).xOpen.expect("a method of every VFS"))(default.as_ptr(), name, target, flags, out_flags) };
    if !is_wal {
        return result;
    }
    // SAFETY: `file` is ours to fill; nothing in it is read before.
    let wal = unsafe { &mut *file.cast::<File>() };
    if result != ffi::SQLITE_OK {
        // Nothing to close: the default VFS has closed what it opened (os_unix.c, `unixOpen`).
        wal.methods = ptr::null();
        return result;
    }
    let gathers = inner!(file, xDeviceCharacteristics) & ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE != 0;
    wal.pending = Box::into_raw(Box::new(Pending { at: 0, bytes: Vec::new(), gathers }));
    wal.methods = &METHODS;
    ffi::SQLITE_OK
}

/// The default VFS; a pointer that SQLite keeps for ever.
struct Default(NonNull<ffi::sqlite3_vfs>);
// SAFETY: a VFS may be called from any thread (https://sqlite.org/c3ref/vfs.html).
unsafe impl Send for Default {}
// SAFETY: as above.
unsafe impl Sync for Default {}

fn default_vfs() -> NonNull<ffi::sqlite3_vfs> {
    static DEFAULT: OnceLock<Default> = OnceLock::new();
    // SAFETY: null asks for the default one; SQLite initializes itself.
    let find = || Default(NonNull::new(unsafe { ffi::sqlite3_vfs_find(ptr::null()) }).expect("SQLite has a default VFS"));
    DEFAULT.get_or_init(find).0
}

/// Makes the VFS known to SQLite. Its result code.
pub(crate) fn register() -> c_int {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        let default = default_vfs();
        // All its other methods work as they are: they look at `pAppData` and `mxPathname`, which are copied.
        // SAFETY: as in `default_vfs`.
        let mut vfs = unsafe { *default.as_ptr() };
        vfs.szOsFile += size_of::<File>() as c_int;
        vfs.pNext = ptr::null_mut();
        vfs.zName = NAME.as_ptr();
        vfs.xOpen = Some(open);
        // SAFETY: leaked: it stays for as long as the process lives.
        unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    /// A file opened through the VFS, without a database around it.
    struct Opened {
        room: Vec<u64>,
    }

    impl Opened {
        fn new(path: &std::path::Path) -> Self {
            assert_eq!(register(), ffi::SQLITE_OK);
            // SAFETY: a C string.
            let vfs = unsafe { &mut *ffi::sqlite3_vfs_find(NAME.as_ptr()) };
            let mut opened = Self { room: vec![0; vfs.szOsFile as usize / 8 + 1] };
            // A name for xOpen ends with two more NULs: no URI parameters follow.
            let name = [path.as_os_str().as_bytes(), &[0; 4]].concat();
            let flags = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_CREATE | ffi::SQLITE_OPEN_READWRITE;
            // SAFETY: a name as above, room of the size asked for.
            let result = unsafe { (vfs.xOpen.unwrap())(vfs, name.as_ptr().cast(), opened.file(), flags, ptr::null_mut()) };
            assert_eq!(result, ffi::SQLITE_OK);
            opened
        }
        fn file(&mut self) -> *mut ffi::sqlite3_file {
            self.room.as_mut_ptr().cast()
        }
        fn write(&mut self, at: i64, bytes: &[u8]) {
            // SAFETY: an open file; bytes with their length.
            let result = unsafe { write(self.file(), bytes.as_ptr().cast(), bytes.len() as c_int, at) };
            assert_eq!(result, ffi::SQLITE_OK);
        }
        fn read(&mut self, at: i64, len: usize) -> Vec<u8> {
            let mut to = vec![0; len];
            // SAFETY: an open file; room of that length.
            assert_eq!(unsafe { read(self.file(), to.as_mut_ptr().cast(), len as c_int, at) }, ffi::SQLITE_OK);
            to
        }
        fn sync(&mut self) {
            // SAFETY: an open file.
            assert_eq!(unsafe { sync(self.file(), ffi::SQLITE_SYNC_NORMAL) }, ffi::SQLITE_OK);
        }
    }

    impl Drop for Opened {
        fn drop(&mut self) {
            // SAFETY: an open file, used no more.
            assert_eq!(unsafe { close(self.file()) }, ffi::SQLITE_OK);
        }
    }

    #[test]
    fn writes_wait_for_a_sync_a_read_a_gap_or_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        // A new WAL gets the mode of its database.
        fs::write(dir.path().join("x"), []).unwrap();
        let path = dir.path().join("x-wal");
        let on_disk = || fs::metadata(&path).unwrap().len();
        let mut file = Opened::new(&path);
        file.write(0, b"head");
        file.write(4, b"page");
        assert_eq!(on_disk(), 0);
        file.sync();
        assert_eq!(fs::read(&path).unwrap(), b"headpage");
        file.write(8, b"more");
        assert_eq!(file.read(6, 6), b"gemore");
        file.write(12, b"a");
        file.write(2, b"AD");
        assert_eq!(fs::read(&path).unwrap(), b"headpagemorea", "the gap wrote what was before it");
        file.sync();
        assert_eq!(fs::read(&path).unwrap(), b"heADpagemorea");
        let page = [7; 4096];
        (0..80).for_each(|n| file.write(13 + n * 4096, &page));
        assert_eq!(on_disk(), 13 + 62 * 4096, "31 pages at most wait");
        drop(file);
        assert_eq!(on_disk(), 13 + 80 * 4096);
        assert!(fs::read(&path).unwrap()[13..].iter().all(|b| *b == 7));
    }
}

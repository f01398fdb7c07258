//! The model under SQLite: a file layer that passes everything on to the usual one and tells the
//! model of each change, until the power is gone.

#![allow(unsafe_code, reason = "SQLite's file layer is an interface of C")]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    mem,
    path::Path,
    ptr, slice,
    sync::{Mutex, MutexGuard},
};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::disk::{Disk, Trouble};

/// A registered file layer with a disk behind it. Lives as long as the process, as SQLite wants it.
pub(super) struct Power {
    pub(super) name: String,
    base: *mut sqlite3_vfs,
    disk: Mutex<Disk>,
}

// SAFETY: `base` points to SQLite's default file layer, which is never unregistered and may be used by
// any thread.
unsafe impl Send for Power {}
// SAFETY: as above; the disk is behind a mutex.
unsafe impl Sync for Power {}

impl Power {
    /// Registers a file layer of this name.
    pub(super) fn register(name: &str) -> &'static Power {
        // SAFETY: a null name finds the default one.
        let base = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!base.is_null());
        let power: &'static Power =
            Box::leak(Box::new(Power { name: name.to_owned(), base, disk: Mutex::new(Disk::new(0, 0)) }));
        // SAFETY: `base` is valid, and what is built from it is leaked, as registering asks for.
        let answer = unsafe {
            let vfs = Box::leak(Box::new(sqlite3_vfs {
                iVersion: 1,
                szOsFile: c_int::try_from(mem::size_of::<Shim>()).unwrap() + (*base).szOsFile,
                pNext: ptr::null_mut(),
                zName: CString::new(name).unwrap().into_raw(),
                pAppData: ptr::from_ref(power).cast_mut().cast(),
                xOpen: Some(open),
                xDelete: Some(delete),
                xAccess: Some(access),
                xFullPathname: Some(full_path),
                ..*base
            }));
            ffi::sqlite3_vfs_register(vfs, 0)
        };
        assert_eq!(answer, ffi::SQLITE_OK);
        power
    }

    /// The disk. Put a new one there before opening files.
    pub(super) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }
}

/// An open file, as SQLite allocates it: this, and behind it the usual layer's own.
#[repr(C)]
struct Shim {
    methods: *const sqlite3_io_methods,
    power: &'static Power,
    /// `None` for a file without name, which nobody finds after a power loss.
    path: *mut String,
}

impl Shim {
    /// # Safety
    /// `file` was opened by [`open`] and is not closed.
    unsafe fn of<'a>(file: *mut sqlite3_file) -> &'a Shim {
        // SAFETY: then it begins with a `Shim`.
        unsafe { &*file.cast::<Shim>() }
    }

    /// The usual layer's file.
    ///
    /// # Safety
    /// As [`Shim::of`].
    unsafe fn base(file: *mut sqlite3_file) -> *mut sqlite3_file {
        // SAFETY: `szOsFile` made room for it.
        unsafe { file.cast::<Shim>().add(1).cast() }
    }

    /// Tells the disk of an operation; an error is the answer for SQLite.
    fn tell(&self, operation: impl FnOnce(&mut Disk, &str) -> Result<(), Trouble>) -> Result<(), c_int> {
        if self.path.is_null() {
            return Ok(());
        }
        // SAFETY: set by `open`, freed by `close`.
        let path = unsafe { &*self.path };
        operation(&mut self.power.disk(), path).map_err(|trouble| match trouble {
            Trouble::NoPower => ffi::SQLITE_IOERR,
            Trouble::NoRoom => ffi::SQLITE_FULL,
        })
    }
}

/// # Safety
/// `vfs` is one that [`Power::register`] registered.
unsafe fn power(vfs: *mut sqlite3_vfs) -> &'static Power {
    // SAFETY: then this is a leaked `Power`.
    unsafe { &*(*vfs).pAppData.cast::<Power>() }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with a registered layer, `szOsFile` bytes for the file, and a name that
    // is null or ends with a zero.
    unsafe {
        let power = power(vfs);
        (*file).pMethods = ptr::null();
        let path = (!name.is_null()).then(|| CStr::from_ptr(name).to_str().unwrap().to_owned());
        let is_new = path.as_ref().is_some_and(|path| !Path::new(path).exists());
        if power.disk().remains.is_some() && is_new {
            return ffi::SQLITE_CANTOPEN;
        }
        let answer = (*power.base).xOpen.unwrap()(power.base, name.cast(), Shim::base(file), flags, out);
        if answer != ffi::SQLITE_OK {
            return answer;
        }
        if let Some(path) = &path {
            power.disk().open(path, std::fs::read(path).unwrap(), is_new);
        }
        let path = path.map_or(ptr::null_mut(), |path| Box::into_raw(Box::new(path)));
        file.cast::<Shim>().write(Shim { methods: &raw const METHODS, power, path });
        ffi::SQLITE_OK
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite calls this with a registered layer and a name that ends with a zero.
    unsafe {
        let power = power(vfs);
        if power.disk().delete(CStr::from_ptr(name).to_str().unwrap(), sync != 0).is_err() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        (*power.base).xDelete.unwrap()(power.base, name, sync)
    }
}

unsafe extern "C" fn access(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int, out: *mut c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let base = power(vfs).base;
        (*base).xAccess.unwrap()(base, name, flags, out)
    }
}

unsafe extern "C" fn full_path(vfs: *mut sqlite3_vfs, name: *const c_char, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let base = power(vfs).base;
        (*base).xFullPathname.unwrap()(base, name, size, out)
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes each open file once.
    unsafe {
        let path = Shim::of(file).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
        let base = Shim::base(file);
        (*(*base).pMethods).xClose.unwrap()(base)
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, size: c_int, at: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file and `size` bytes.
    unsafe {
        let content = slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(size).unwrap());
        let offset = usize::try_from(at).unwrap();
        if let Err(code) = Shim::of(file).tell(|disk, path| disk.write(path, offset, content)) {
            return code;
        }
        let base = Shim::base(file);
        (*(*base).pMethods).xWrite.unwrap()(base, bytes, size, at)
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe {
        if let Err(code) = Shim::of(file).tell(|disk, path| disk.truncate(path, usize::try_from(size).unwrap())) {
            return code;
        }
        let base = Shim::base(file);
        (*(*base).pMethods).xTruncate.unwrap()(base, size)
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file. The real file need not be synced: the model is the disk.
    match unsafe { Shim::of(file) }.tell(Disk::sync) {
        Ok(()) => ffi::SQLITE_OK,
        Err(code) => code,
    }
}

/// Methods that only pass on what they are given.
macro_rules! pass_on {
    ($($name:ident as $method:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)*) => {
        $(
            unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) $(-> $answer)? {
                // SAFETY: SQLite gives an open file, and the usual layer the rest as it came.
                unsafe {
                    let base = Shim::base(file);
                    (*(*base).pMethods).$method.unwrap()(base, $($argument),*)
                }
            }
        )*
    };
}

pass_on! {
    read as xRead(bytes: *mut c_void, size: c_int, at: sqlite3_int64) -> c_int;
    file_size as xFileSize(size: *mut sqlite3_int64) -> c_int;
    lock as xLock(level: c_int) -> c_int;
    unlock as xUnlock(level: c_int) -> c_int;
    check_lock as xCheckReservedLock(out: *mut c_int) -> c_int;
    control as xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size as xSectorSize() -> c_int;
    characteristics as xDeviceCharacteristics() -> c_int;
    map as xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    lock_map as xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    barrier as xShmBarrier();
    unmap as xShmUnmap(delete: c_int) -> c_int;
}

/// Version 2: with shared memory for the log's index, without mapped content, which would bypass the
/// model.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map),
    xShmLock: Some(lock_map),
    xShmBarrier: Some(barrier),
    xShmUnmap: Some(unmap),
    xFetch: None,
    xUnfetch: None,
};

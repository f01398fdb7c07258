//! What the operating system shows of this process: its arguments and its environment. Values are overwritten there.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use zeroize::Zeroizing;

/// Takes a variable out of the environment. Its bytes are overwritten where the system keeps them (`/proc/PID/environ`), then
/// the variable is removed, so that neither libraries nor children see it.
///
/// To be called while the process has one thread.
#[allow(unsafe_code)]
pub(crate) fn take_variable(name: &'static std::ffi::CStr) -> Option<Zeroizing<Vec<u8>>> {
    unsafe extern "C" {
        fn getenv(name: *const std::ffi::c_char) -> *mut std::ffi::c_char;
    }
    // SAFETY: `name` ends in a NUL. With one thread nobody changes the environment meanwhile.
    let start = unsafe { getenv(name.as_ptr()) };
    if start.is_null() {
        return None;
    }
    // SAFETY: `getenv` answers the start of a NUL-terminated text in memory that the process may write.
    let length = unsafe { std::ffi::CStr::from_ptr(start) }.to_bytes().len();
    // SAFETY: as above; nobody else holds a reference into it.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start.cast::<u8>(), length) };
    let value = Zeroizing::new(bytes.to_vec());
    zeroize::Zeroize::zeroize(bytes);
    // SAFETY: one thread, as the caller promises.
    unsafe { std::env::remove_var(OsStr::from_bytes(name.to_bytes())) };
    Some(value)
}

/// Overwrites every argument that equals the value, where the system shows it to others (`ps`, `/proc/PID/cmdline`). Best
/// effort: for a moment it was visible, and only Linux is supported.
#[cfg(target_os = "linux")]
pub(crate) fn overwrite_argument(value: &OsStr) {
    use std::{fs, os::unix::fs::FileExt};

    let overwrite = || -> std::io::Result<()> {
        let arguments = Zeroizing::new(fs::read("/proc/self/cmdline")?);
        let Some(start) = arguments_start(&fs::read_to_string("/proc/self/stat")?) else { return Ok(()) };
        let memory = fs::OpenOptions::new().write(true).open("/proc/self/mem")?;
        let mut at = start;
        for argument in arguments.split(|byte| *byte == 0) {
            if argument == value.as_bytes() {
                memory.write_all_at(&vec![0; argument.len()], at)?;
            }
            at += argument.len() as u64 + 1;
        }
        Ok(())
    };
    // What cannot be done here was warned of already.
    let _ = overwrite();
}

/// The address of the first argument: field 48 of `/proc/self/stat` (proc_pid_stat(5)). The second field, in parentheses, may
/// itself hold spaces.
#[cfg(target_os = "linux")]
fn arguments_start(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(45)?.parse().ok().filter(|address| *address != 0)
}

/// Other systems have no place that can be written without knowing their C library.
#[cfg(not(target_os = "linux"))]
pub(crate) fn overwrite_argument(_: &OsStr) {}

//! File systems that are mounted for a test and unmounted after it. That takes root.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A mount point. Unmounted when this is dropped.
#[derive(Debug)]
pub(super) struct Mount(TempDir);

impl Mount {
    /// A file system of that size, such as `8m`, in memory.
    pub(super) fn small(size: &str) -> Mount {
        let point = tempfile::tempdir().expect("a directory");
        let options = format!("size={size},mode=0700");
        mount(&[
            "-t".as_ref(),
            "tmpfs".as_ref(),
            "-o".as_ref(),
            options.as_ref(),
            "tmpfs".as_ref(),
            point.path().as_ref(),
        ]);
        Mount(point)
    }

    /// A directory once more, where it cannot be written.
    pub(super) fn read_only(directory: &Path) -> Mount {
        let point = tempfile::tempdir().expect("a directory");
        mount(&["--bind".as_ref(), directory.as_ref(), point.path().as_ref()]);
        let point = Mount(point);
        mount(&["-o".as_ref(), "remount,bind,ro".as_ref(), point.path().as_ref()]);
        point
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file that takes the room.
    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes all the room that is left, and answers how many bytes that were.
    pub(super) fn fill(&self) -> usize {
        let mut ballast = OpenOptions::new().append(true).create(true).open(self.ballast()).expect("a file");
        let mut taken = 0;
        loop {
            match ballast.write(&[0; 4096]) {
                Ok(length) => taken += length,
                Err(error) if error.kind() == ErrorKind::StorageFull => return taken,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives the room back.
    pub(super) fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("a file");
    }
}

fn mount(arguments: &[&OsStr]) {
    let output = Command::new("mount").args(arguments).output().expect("the command `mount`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "this test mounts file systems, which takes root and CAP_SYS_ADMIN: {said}");
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, because a server that a failing test left may still have files open.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

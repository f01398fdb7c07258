//! The one directory where everything is kept, for its owner only.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::Access;

use crate::{
    config::reason,
    failure::{Exit, Failure},
    private_file,
};

/// Held by the process that uses the directory.
const LOCK: &str = "server.lock";

/// The right to use a data directory, until dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The data directory, checked.
#[derive(Clone, Debug)]
pub(crate) struct DataDir {
    absolute: PathBuf,
    /// As it was named.
    shown: PathBuf,
}

impl DataDir {
    /// Makes the directory, or checks the one that is there.
    ///
    /// # Errors
    /// `data_directory_mode` when others have access to it or to a file of ours in it; `data_directory_read_only` when it
    /// cannot be made or written, `store_full` when there is no room for that.
    pub(crate) fn open(path: &Path) -> Result<DataDir, Failure> {
        let unwritable = |error: io::Error| unwritable(path, &error);
        if !path.is_dir() {
            make(path).map_err(unwritable)?;
        }
        let absolute = path.canonicalize().map_err(unwritable)?;
        check_modes(path, &absolute)?;
        rustix::fs::access(&absolute, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| unwritable(error.into()))?;
        let ignore = absolute.join(".gitignore");
        if !ignore.exists() {
            private_file::write(&ignore, b"*\n").map_err(unwritable)?;
        }
        Ok(DataDir { absolute, shown: path.to_owned() })
    }

    /// Takes the directory for this process alone. The kernel gives it back when the process dies.
    ///
    /// # Errors
    /// `store_in_use` while another process has it, and what the system says.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let failed = |error: io::Error| unwritable(&self.shown, &error);
        let path = self.file(LOCK);
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        // The umask may have taken the owner's bits away.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(claviger_store::Error::InUse.into()),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.absolute
    }

    /// The path as it was named, for people.
    pub(crate) fn shown(&self) -> impl fmt::Display {
        self.shown.display()
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.absolute.join(name)
    }
}

fn unwritable(shown: &Path, error: &io::Error) -> Failure {
    let message = format!("the data directory `{}` cannot be written: {}", shown.display(), reason(error));
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let code = if is_full { "store_full" } else { "data_directory_read_only" };
    Failure::new(Exit::Other, code, message).hint("choose another with `--data DIR`")
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // The umask may have taken the owner's bits away.
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

fn check_modes(shown: &Path, absolute: &Path) -> Result<(), Failure> {
    let unreadable = |error: io::Error| {
        let message = format!("the data directory `{}` cannot be read: {}", shown.display(), reason(&error));
        Failure::new(Exit::Other, "data_directory_read_only", message)
    };
    let mode = fs::metadata(absolute).map_err(unreadable)?.mode();
    if mode & 0o077 != 0 {
        return Err(private_file::too_wide(shown, mode, "700"));
    }
    for entry in fs::read_dir(absolute).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let mode = entry.metadata().map_err(unreadable)?.mode();
        if mode & 0o077 != 0 && entry.file_name().to_str().is_some_and(is_ours) {
            return Err(private_file::too_wide(&shown.join(entry.file_name()), mode, "600"));
        }
    }
    Ok(())
}

/// The files that have something to keep: databases with their logs and locks, and keys.
fn is_ours(name: &str) -> bool {
    name.starts_with("claviger.db") || name.starts_with("index.db") || name.ends_with(".key")
}

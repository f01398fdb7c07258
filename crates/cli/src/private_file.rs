//! Files that only their owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{
    config::reason,
    failure::{Exit, Failure},
};

/// More than any key file has.
const MAX_BYTES: u64 = 4_096;

/// Who else may have access to a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// Nobody.
    Nobody,
    /// The group may read, as it does where orchestrators mount secrets.
    GroupReads,
}

impl Others {
    fn forbidden(self) -> u32 {
        match self {
            Others::Nobody => 0o077,
            Others::GroupReads => 0o027,
        }
    }
}

/// Reads a key file; symbolic links are followed and their target is what is checked.
///
/// # Errors
/// `data_directory_mode` when others have access, and what the system says.
pub(crate) fn read(path: &Path, others: Others) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: io::Error| {
        Failure::plain(Exit::Other, format!("`{}` cannot be read: {}", path.display(), reason(&error)))
    };
    let file = File::open(path).map_err(unreadable)?;
    // Of the opened file, not of the path: it cannot be exchanged in between.
    let mode = file.metadata().map_err(unreadable)?.mode();
    if mode & others.forbidden() != 0 {
        return Err(too_wide(path, mode, "600"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Makes a file durably, for its owner only; one that is there is replaced as a whole.
///
/// # Errors
/// What the system says.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    if let Err(error) = fs::remove_file(new)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    // The umask may have taken the owner's bits away.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, path)?;
    sync_directory(path)
}

/// Overwrites a file and removes it. On file systems that copy on write, and on flash, the old blocks may survive.
///
/// # Errors
/// What the system says.
pub(crate) fn destroy(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    file.sync_all()?;
    fs::remove_file(path)?;
    sync_directory(path)
}

/// The failure that names the command which mends it.
pub(crate) fn too_wide(path: &Path, mode: u32, wanted: &str) -> Failure {
    let path = path.display();
    Failure::new(
        Exit::Other,
        "data_directory_mode",
        format!("`{path}` is open to others than its owner (mode {:o})", mode & 0o7777),
    )
    .hint(format!("chmod {wanted} {path}"))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

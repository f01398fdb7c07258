//! Ports that nobody uses.

use std::{
    env,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail, ensure};

/// Below the ports from which systems connect, so that nobody takes a server's port while the server is down.
const FIRST: u16 = 10_000;
const BLOCK: u16 = 20;
const BLOCKS: u16 = 1_100;

/// Ports next to each other that nobody used when they were taken, and that no other process takes this way until they are
/// dropped: also while the servers that listen there are down.
#[derive(Clone, Debug)]
pub struct FreePorts {
    first: u16,
    count: u16,
    // Its lock keeps the block, and ends with this process at the latest.
    _lock: Arc<File>,
}

impl FreePorts {
    /// Takes so many ports on loopback, 20 at most.
    ///
    /// # Errors
    /// When there are no free ones, or the directory for temporary files cannot be written.
    pub fn take(count: u16) -> Result<FreePorts> {
        ensure!(count <= BLOCK, "only {BLOCK} ports stand together, not {count}");
        let (directory, random) = (directory()?, RandomState::new());
        for attempt in 0..u64::from(BLOCKS) {
            let block = u16::try_from(random.hash_one(attempt) % u64::from(BLOCKS))?;
            let first = FIRST + block * BLOCK;
            let Some(lock) = locked(&directory, first)? else { continue };
            if (first..first + count).all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
                return Ok(FreePorts { first, count, _lock: Arc::new(lock) });
            }
        }
        bail!("no {count} free ports were found from {FIRST} to {}", FIRST + BLOCK * BLOCKS)
    }

    /// Which they are.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<> {
        self.first..self.first + self.count
    }

    pub(crate) fn nth(&self, at: u16) -> u16 {
        debug_assert!(at < self.count, "only what was taken is used");
        self.first + at
    }
}

/// Of the user, because the files of others cannot be locked.
fn directory() -> Result<PathBuf> {
    let directory = env::temp_dir().join(format!("claviger-testbed-ports-{}", rustix::process::getuid().as_raw()));
    fs::create_dir_all(&directory).with_context(|| format!("cannot make `{}`", directory.display()))?;
    Ok(directory)
}

/// The locked file of a block; none while another process, or another part of this one, has it.
fn locked(directory: &Path, first: u16) -> Result<Option<File>> {
    let path = directory.join(first.to_string());
    let file = File::create(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
    Ok(file.try_lock().is_ok().then_some(file))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_taken_is_given_to_nobody_else_until_it_is_dropped() {
        let taken: Vec<FreePorts> = (0..50).map(|_| FreePorts::take(3).unwrap()).collect();
        let ports: HashSet<u16> = taken.iter().flat_map(FreePorts::iter).collect();
        assert_eq!(ports.len(), 150);
        let (directory, first) = (directory().unwrap(), taken[0].nth(0));
        assert!(locked(&directory, first).unwrap().is_none());
        let still = taken[0].clone();
        drop(taken);
        assert!(locked(&directory, first).unwrap().is_none());
        drop(still);
        assert!(locked(&directory, first).unwrap().is_some());
    }

    #[test]
    fn more_than_stand_together_are_refused() {
        assert!(FreePorts::take(BLOCK).is_ok());
        assert!(FreePorts::take(BLOCK + 1).is_err());
    }
}

//! Connections that only read.

use std::path::Path;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connect;
use crate::{Error, Result};

/// A fixed number of connections, lent to one read at a time.
pub(super) struct Pool {
    idle: Mutex<Idle>,
    returned: Condvar,
    size: usize,
}

struct Idle {
    connections: Vec<Connection>,
    is_closed: bool,
}

impl Pool {
    /// Opens `size` connections.
    pub(super) fn open(path: &Path, vfs: Option<&str>, size: usize) -> Result<Pool> {
        let connections = (0..size).map(|_| connect::reader(path, vfs)).collect::<Result<_>>()?;
        Ok(Pool { idle: Mutex::new(Idle { connections, is_closed: false }), returned: Condvar::new(), size })
    }

    /// Reads, on this thread, with the connection that becomes idle first.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lent = self.lend()?;
        read(lent.connection.as_ref().ok_or_else(Error::closed)?)
    }

    /// Refuses further reads, waits for those under way, and closes the connections.
    pub(super) fn close(&self) {
        let mut idle = self.idle.lock();
        idle.is_closed = true;
        self.returned.notify_all();
        while idle.connections.len() < self.size {
            self.returned.wait(&mut idle);
        }
        idle.connections.clear();
    }

    fn lend(&self) -> Result<Lent<'_>> {
        let mut idle = self.idle.lock();
        loop {
            if idle.is_closed {
                return Err(Error::closed());
            }
            if let Some(connection) = idle.connections.pop() {
                return Ok(Lent { pool: self, connection: Some(connection) });
            }
            self.returned.wait(&mut idle);
        }
    }
}

/// A connection that goes back to its pool, also when the read panics.
struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.pool.idle.lock().connections.extend(self.connection.take());
        self.pool.returned.notify_all();
    }
}

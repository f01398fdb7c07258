//! Ports that nobody uses.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

use anyhow::{Result, bail};

/// Below the ports from which systems connect, so that nobody takes a server's port while the server is down.
const RANGE: Range<u16> = 10_000..32_000;
const TRIES: u64 = 1_000;

/// Different ports that are free now. Somebody may still be faster; the server then says so when it starts.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let random = RandomState::new();
    let mut found = HashSet::new();
    for attempt in 0..TRIES {
        let width = u64::from(RANGE.end - RANGE.start);
        let offset = u16::try_from(random.hash_one(attempt) % width)?;
        let port = RANGE.start + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            found.insert(port);
        }
        if found.len() == count {
            return Ok(found.into_iter().collect());
        }
    }
    bail!("no {count} ports between {} and {} are free", RANGE.start, RANGE.end)
}

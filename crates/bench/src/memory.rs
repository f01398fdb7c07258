//! How much memory a process has in use.

use anyhow::{Context, Result};

/// Bytes of a process that are in memory.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).context("cannot read /proc")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no resident size")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

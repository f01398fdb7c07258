//! What this program does in processes of its own, so that they can be measured from outside.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{engine, memory};

/// The first argument of a child.
const CHILD: &str = "child";

/// The task of a child and its argument, if this process is one.
pub(crate) fn task(arguments: &[String]) -> Option<(&str, &str)> {
    match arguments {
        [child, task, argument] if child == CHILD => Some((task, argument)),
        _ => None,
    }
}

/// Does it.
pub(crate) async fn run(task: &str, argument: &str) -> Result<()> {
    match task {
        "open" => open(Path::new(argument)).await,
        other => bail!("`{other}` is no task"),
    }
}

/// Opens a store and says how long that took and how much memory the process has in use.
async fn open(directory: &Path) -> Result<()> {
    let start = Instant::now();
    let engine = engine::open(directory).await?;
    let took = start.elapsed();
    println!("{} {}", took.as_micros(), memory::resident(std::process::id())?);
    std::io::stdout().flush()?;
    engine.close().await;
    Ok(())
}

/// Opens a store in a process of its own. How long it took, and how much memory the process had in use then.
pub(crate) fn opened(directory: &Path) -> Result<(Duration, u64)> {
    let mut process = Command::new(std::env::current_exe()?)
        .args([CHILD.as_ref(), "open".as_ref(), directory.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let output = process.stdout.take().context("no output")?;
    BufReader::new(output).read_line(&mut line)?;
    let status = process.wait()?;
    let (took, bytes) = line.trim().split_once(' ').with_context(|| format!("the child ended with {status}"))?;
    Ok((Duration::from_micros(took.parse()?), bytes.parse()?))
}

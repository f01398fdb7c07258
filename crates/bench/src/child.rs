//! What this program does in processes of its own: a trivial server, and opening a store.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use axum::{Router, routing::get};
use tokio::net::TcpListener;

use crate::engine;

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
        "hello" => hello(argument).await,
        other => bail!("`{other}` is no task"),
    }
}

fn start(task: &str, argument: &str) -> Result<(Child, String)> {
    let mut child =
        Command::new(std::env::current_exe()?).args([CHILD, task, argument]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    Ok((child, line))
}

/// Opens a store and says how long that took.
async fn open(directory: &Path) -> Result<()> {
    let start = Instant::now();
    let engine = engine::open(directory).await?;
    println!("{}", start.elapsed().as_micros());
    engine.close().await;
    Ok(())
}

/// How long opening a store takes, in a process of its own.
pub(crate) fn opened(directory: &Path) -> Result<Duration> {
    let (mut child, line) = start("open", directory.to_str().context("a path that is not text")?)?;
    child.wait()?;
    Ok(Duration::from_micros(line.trim().parse().context("the store did not open")?))
}

/// Answers `hello`, and says where.
async fn hello(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let router = Router::new().route("/", get(async || "hello"));
    Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), router).await?)
}

/// The trivial server. Ends when it is dropped.
pub(crate) struct Hello {
    child: Child,
    address: SocketAddr,
}

impl Hello {
    /// Starts it.
    pub(crate) fn start() -> Result<Hello> {
        let (child, line) = start("hello", "127.0.0.1:0")?;
        Ok(Hello { child, address: line.trim().parse()? })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        // If it has ended already there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

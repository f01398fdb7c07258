//! A relay in front of servers that come and go. Nothing is refused while no server is there; callers wait.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::JoinHandle,
};

use super::Transcript;

/// A running relay. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Where servers have to listen: on the same port, because they want their own in the header `Host`, on another
    /// address of this machine.
    pub(crate) server: SocketAddr,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

/// Whether a server is there, and how often connections were cut.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    is_open: bool,
    cuts: u64,
}

impl Relay {
    pub(crate) async fn start() -> Relay {
        Relay::with(None).await
    }

    /// One that writes down what servers say, as it passes.
    pub(crate) async fn listening_in(said: Transcript) -> Relay {
        Relay::with(Some(said)).await
    }

    async fn with(said: Option<Transcript>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = SocketAddr::from(([127, 0, 0, 2], address.port()));
        let line = watch::Sender::new(Line::default());
        let receiver = line.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (line, said) = (receiver.clone(), said.clone());
                // Ends as its two ends do.
                tokio::spawn(async move { carry(client, (server, line), said).await.ok() });
            }
        });
        Relay { url: format!("http://{address}"), server, line, task }
    }

    /// From now on, connections go to the server.
    pub(crate) fn open(&self) {
        self.line.send_modify(|line| line.is_open = true);
    }

    /// From now on, connections wait.
    pub(crate) fn hold(&self) {
        self.line.send_modify(|line| line.is_open = false);
    }

    /// Ends every connection that there is.
    pub(crate) fn cut(&self) {
        self.line.send_modify(|line| line.cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Way = (SocketAddr, watch::Receiver<Line>);

async fn carry(client: TcpStream, (address, mut line): Way, said: Option<Transcript>) -> io::Result<()> {
    let cuts = line.borrow().cuts;
    let server = connect(address, &mut line).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = forward(from_client, to_server, None) => ended,
        ended = forward(from_server, to_client, said) => ended,
        _ = line.wait_for(|line| line.cuts != cuts) => Ok(()),
    }
}

async fn connect(address: SocketAddr, line: &mut watch::Receiver<Line>) -> io::Result<TcpStream> {
    let gone = |_| io::Error::from(io::ErrorKind::NotConnected);
    loop {
        line.wait_for(|line| line.is_open).await.map_err(gone)?;
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            // It was killed: another comes.
            Err(_) => line.changed().await.map_err(gone)?,
        }
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, said: Option<Transcript>) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            return Ok(());
        }
        if let Some(said) = &said {
            said.add(&chunk[..length]);
        }
        to.write_all(&chunk[..length]).await?;
    }
}

//! A network between two programs, to be broken.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards TCP connections on loopback, until it is told otherwise.
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    target: watch::Sender<SocketAddr>,
    task: JoinHandle<()>,
}

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Open,
    /// Nothing gets through and nobody is told.
    Stalled,
    /// Nobody gets a connection.
    Cut,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    condition: Condition,
    /// How often it was cut: a connection ends with the next, also if the network is healed at once.
    cuts: u64,
}

impl Proxy {
    /// A proxy in front of a port on loopback.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn start(port: u16) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let link = watch::Sender::new(Link { condition: Condition::Open, cuts: 0 });
        let target = watch::Sender::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let task = tokio::spawn(accept(listener, target.subscribe(), link.subscribe()));
        Ok(Proxy { address, link, target, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as an address for clients without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Forwards new connections to another port.
    pub fn aim(&self, port: u16) {
        self.target.send_replace(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }

    /// Ends every connection, and every new one at once.
    pub fn cut(&self) {
        self.link.send_modify(|link| *link = Link { condition: Condition::Cut, cuts: link.cuts + 1 });
    }

    /// Holds back what is sent, in both directions. Connections stay; nobody is told.
    pub fn stall(&self) {
        self.link.send_modify(|link| link.condition = Condition::Stalled);
    }

    /// Ends every connection, once.
    pub fn interrupt(&self) {
        self.link.send_modify(|link| link.cuts += 1);
    }

    /// Lets everything through again, also what was held back.
    pub fn heal(&self) {
        self.link.send_modify(|link| link.condition = Condition::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        // Ends the connections too.
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<SocketAddr>, link: watch::Receiver<Link>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, perhaps: others get their turn before the next try.
            tokio::task::yield_now().await;
            continue;
        };
        let target = *target.borrow();
        tokio::spawn(forward(client, target, link.clone()));
    }
}

async fn forward(client: TcpStream, target: SocketAddr, mut link: watch::Receiver<Link>) {
    let Link { condition, cuts } = *link.borrow_and_update();
    if condition == Condition::Cut {
        return;
    }
    let mut closed = link.clone();
    let work = async {
        open(&mut link).await;
        let server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            done = pump(from_client, to_server, link.clone()) => done,
            done = pump(from_server, to_client, link) => done,
        }
    };
    tokio::select! {
        // However it ended, both connections end with it.
        _ = work => {}
        _ = closed.wait_for(|link| link.cuts != cuts) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut link: watch::Receiver<Link>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        open(&mut link).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

/// Waits until the network is open. With the proxy's end the connection ends anyway.
async fn open(link: &mut watch::Receiver<Link>) {
    let _ = link.wait_for(|link| link.condition == Condition::Open).await;
}

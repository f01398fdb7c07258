//! Several servers.

use std::collections::HashMap;

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    FreePorts, NatsServer, Proxy, ServerOptions,
    config::{Membership, Ports},
    server::{ASK_EVERY, PATIENCE, STARTS, is_port_taken},
};

/// Servers of a cluster, where nothing else is asked for.
const SIZE: usize = 3;

/// How the servers of a cluster reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// Directly.
    Direct,
    /// Through proxies, one for each pair and direction, so that a server can be cut off from the others.
    Proxied,
}

/// Three nats-servers, or as many as asked for. Streams may have three replicas. Dropped, they are killed.
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    /// By the places of the server that connects and the one it reaches.
    links: HashMap<(usize, usize), Proxy>,
    /// Where servers are told to find each other besides: nowhere, or gossip would lead them around the proxies.
    _nowhere: Option<Proxy>,
}

impl NatsCluster {
    /// Starts three servers, and waits until they have a leader and all three are with it.
    ///
    /// # Errors
    /// When a server does not start, or they do not find together within a minute.
    pub async fn start(options: ServerOptions, routes: Routes) -> Result<NatsCluster> {
        NatsCluster::start_many(SIZE, options, routes).await
    }

    /// The same with as many servers.
    ///
    /// # Errors
    /// As [`start`](NatsCluster::start).
    pub async fn start_many(size: usize, options: ServerOptions, routes: Routes) -> Result<NatsCluster> {
        let mut starts = 1;
        loop {
            let cluster = NatsCluster::new(size, &options, routes).await?;
            match try_join_all(cluster.servers.iter().map(NatsServer::restart)).await {
                Ok(_) => {
                    cluster.ready().await?;
                    return Ok(cluster);
                }
                Err(error) if starts < STARTS && is_port_taken(&error) => starts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn new(size: usize, options: &ServerOptions, routes: Routes) -> Result<NatsCluster> {
        let places = u16::try_from(size)?;
        let taken = FreePorts::take(Ports::EACH * places)?;
        let ports: Vec<Ports> = (0..places).map(|place| Ports::of(&taken, place)).collect();
        let mut links = HashMap::new();
        let mut nowhere = None;
        if routes == Routes::Proxied {
            for (from, to) in pairs(size) {
                links.insert((from, to), Proxy::start(ports[to].cluster).await?);
            }
            let proxy = Proxy::start(0).await?;
            proxy.cut();
            nowhere = Some(proxy);
        }
        let advertised = nowhere.as_ref().map(|proxy| proxy.address().to_string());
        let server = |at: usize| {
            let reached = |to: usize| match links.get(&(at, to)) {
                Some(proxy) => proxy.address().to_string(),
                None => format!("127.0.0.1:{}", ports[to].cluster),
            };
            let routes = (0..size).filter(|to| *to != at).map(reached).collect();
            let membership = Membership { routes, advertised: advertised.clone() };
            NatsServer::new(&format!("node{}", at + 1), options, ports[at].clone(), Some(&membership))
        };
        let servers = (0..size).map(server).collect::<Result<_>>()?;
        Ok(NatsCluster { servers, links, _nowhere: nowhere })
    }

    /// The servers, `node1` first.
    #[must_use]
    pub fn servers(&self) -> &[NatsServer] {
        &self.servers
    }

    /// Where clients connect.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::url).collect()
    }

    /// Where the servers tell how they are.
    #[must_use]
    pub fn monitor_urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::monitor_url).collect()
    }

    /// Waits until a leader has all others with it, up to date, and every server is healthy.
    ///
    /// # Errors
    /// When that is not so within a minute.
    pub async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_complete().await {
            if Instant::now() > deadline {
                let tails: Vec<String> = self.servers.iter().map(NatsServer::log_tail).collect();
                bail!("the cluster is not complete:\n{}", tails.join("\n\n"));
            }
            sleep(ASK_EVERY).await;
        }
        try_join_all(self.servers.iter().map(NatsServer::ready)).await?;
        Ok(())
    }

    /// The place of the server that leads the cluster, if one of those that answer knows it.
    pub async fn leader(&self) -> Option<usize> {
        for server in &self.servers {
            let meta = server.monitor("/jsz").await.ok();
            let name = meta.as_ref().and_then(|meta| meta["meta_cluster"]["leader"].as_str());
            if let Some(at) = name.and_then(|name| self.place(name)) {
                return Some(at);
            }
        }
        None
    }

    /// The place of the server that leads a stream, if one of those that answer knows it.
    pub async fn stream_leader(&self, stream: &str) -> Option<usize> {
        for server in &self.servers {
            let Ok(all) = server.monitor("/jsz?accounts=true&streams=true").await else { continue };
            let accounts = members(&all["account_details"]);
            let mut streams = accounts.flat_map(|account| members(&account["stream_detail"]));
            let found = streams.find(|detail| detail["name"] == stream);
            if let Some(at) = found.and_then(|detail| self.place(detail["cluster"]["leader"].as_str()?)) {
                return Some(at);
            }
        }
        None
    }

    /// Cuts a server off from the others; clients still reach it.
    ///
    /// # Panics
    /// When the cluster was started with [`Routes::Direct`].
    pub fn isolate(&self, at: usize) {
        self.links_of(at).for_each(Proxy::cut);
    }

    /// The same without telling anybody: connections stay, nothing gets through.
    ///
    /// # Panics
    /// When the cluster was started with [`Routes::Direct`].
    pub fn silence(&self, at: usize) {
        self.links_of(at).for_each(Proxy::stall);
    }

    /// Ends what [`isolate`](NatsCluster::isolate) and [`silence`](NatsCluster::silence) began.
    pub fn heal(&self) {
        self.links.values().for_each(Proxy::heal);
    }

    fn links_of(&self, at: usize) -> impl Iterator<Item = &Proxy> {
        assert!(!self.links.is_empty(), "only a cluster with proxied routes can be divided");
        self.links.iter().filter(move |((from, to), _)| *from == at || *to == at).map(|(_, proxy)| proxy)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| server.name() == name)
    }

    async fn is_complete(&self) -> bool {
        let Some(leader) = self.leader().await else { return false };
        let Ok(meta) = self.servers[leader].monitor("/jsz").await else { return false };
        let others = members(&meta["meta_cluster"]["replicas"]);
        others.filter(|other| other["current"] == true && other["offline"] != true).count() == self.servers.len() - 1
    }
}

fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size).flat_map(move |from| (0..size).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

fn members(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

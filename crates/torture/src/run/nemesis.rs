//! Breaks things, one at a time, and mends them again.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use claviger_testbed::Proxy;
use claviger_torture::{Fault, Random, Recorder};
use futures_util::future::try_join_all;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::{plan::Plan, problems::Problems, world::World};

/// What may happen to a server.
#[derive(Clone, Copy, Debug)]
enum Harm {
    /// `kill -9`, and started again a while later.
    Kill,
    /// Its connections to others are cut.
    CutOff,
    /// It stands still (`SIGSTOP`), and goes on later.
    Pause,
    /// Nothing gets through to it any more, and nobody is told.
    Silence,
}

/// To whom.
#[derive(Clone, Debug)]
enum Victim {
    /// These nats-servers.
    Nats(Vec<usize>),
    /// A Claviger server.
    Node(usize),
}

const HARMS: [Harm; 4] = [Harm::Kill, Harm::CutOff, Harm::Pause, Harm::Silence];

/// The stream of secrets, as NATS names it.
const SECRETS: &str = "KV_claviger_secrets";

/// Does it.
pub(crate) struct Nemesis {
    world: Arc<World>,
    recorder: Arc<Recorder>,
    random: Random,
    /// Whether all nats-servers are killed at once, too.
    blackouts: bool,
    /// When whose default reads may have been old.
    faults: Vec<Fault>,
    rounds: usize,
    /// Where each turn begins.
    first: usize,
}

/// What it did.
pub(crate) struct Raged {
    /// When whose default reads may have been old.
    pub(crate) faults: Vec<Fault>,
    /// How often it broke something.
    pub(crate) rounds: usize,
}

impl Nemesis {
    pub(crate) fn new(world: Arc<World>, recorder: Arc<Recorder>, mut random: Random, plan: &Plan) -> Nemesis {
        let (first, blackouts) = (random.below(60), plan.blackouts);
        Nemesis { world, recorder, random, blackouts, faults: Vec::new(), rounds: 0, first }
    }

    /// Goes on for so long, and ends with everything mended; earlier when something does not get well again.
    pub(crate) async fn rage(mut self, time: Duration, problems: &Problems) -> Raged {
        let until = self.recorder.now() + time;
        loop {
            // Calm, in which default reads have to be fresh.
            sleep(self.random.millis(1_000..=2_500)).await;
            if self.recorder.now() >= until {
                break;
            }
            if let Err(error) = self.round().await {
                problems.add(format!("after {:.1} s: {error:#}", self.recorder.now().as_secs_f64()));
                break;
            }
            self.rounds += 1;
        }
        Raged { faults: self.faults, rounds: self.rounds }
    }

    /// Every kind of harm in turn, to the nats-servers and to ours by turns.
    async fn next(&mut self) -> (Harm, Victim) {
        let (turn, pair) = (self.rounds % 2, self.rounds / 2);
        let (harm, time) = (HARMS[pair % HARMS.len()], pair / HARMS.len());
        // Another victim each time that the same harm comes round again.
        let number = self.first + time + pair;
        match turn {
            0 => (harm, Victim::Nats(self.nats_servers(harm, time, number).await)),
            _ => (harm, Victim::Node(number % self.world.nodes.len())),
        }
    }

    /// One of them: every other time, by chance, the one that leads the stream of secrets. With blackouts every other kill
    /// is of all.
    async fn nats_servers(&mut self, harm: Harm, time: usize, number: usize) -> Vec<usize> {
        let count = self.world.nats.servers().len();
        if self.blackouts && matches!(harm, Harm::Kill) && time % 2 == 1 {
            return (0..count).collect();
        }
        let leader = if self.random.one_in(2) { self.world.nats.stream_leader(SECRETS).await } else { None };
        vec![leader.unwrap_or(number % count)]
    }

    #[allow(clippy::print_stdout, reason = "shows the progress")]
    async fn round(&mut self) -> Result<()> {
        let (harm, victim) = self.next().await;
        let began = self.recorder.now();
        let (what, before) = (describe(harm, &victim), self.recorder.count());
        let open = self.faults.len();
        let fault = |node| Fault { node, began, ended: Duration::MAX };
        self.faults.extend(self.struck(&victim).into_iter().map(fault));
        self.harm(harm, &victim)?;
        sleep(self.random.millis(800..=3_000)).await;
        let mended = self.recorder.now();
        self.mend(harm, &victim).await?;
        self.world.is_well().await?;
        let ended = self.recorder.now();
        self.faults[open..].iter_mut().for_each(|fault| fault.ended = ended);
        println!(
            "{:>7.1} s  {what:<36} {:>4.1} s, well again after {:>4.1} s, {:>5} operations meanwhile",
            began.as_secs_f64(),
            (mended - began).as_secs_f64(),
            (ended - mended).as_secs_f64(),
            self.recorder.count() - before
        );
        Ok(())
    }

    /// The Claviger servers that may not hear of changes then.
    fn struck(&self, victim: &Victim) -> Vec<usize> {
        match victim {
            Victim::Nats(_) => (0..self.world.nodes.len()).collect(),
            Victim::Node(node) => vec![*node],
        }
    }

    fn harm(&self, harm: Harm, victim: &Victim) -> Result<()> {
        match victim {
            Victim::Nats(servers) => servers.iter().try_for_each(|at| self.harm_nats(harm, *at)),
            Victim::Node(at) => self.harm_node(harm, *at),
        }
    }

    fn harm_nats(&self, harm: Harm, at: usize) -> Result<()> {
        let nats = &self.world.nats;
        match harm {
            Harm::Kill => nats.servers()[at].kill(),
            Harm::Pause => nats.servers()[at].pause()?,
            Harm::CutOff => nats.isolate(at),
            Harm::Silence => nats.silence(at),
        }
        Ok(())
    }

    fn harm_node(&self, harm: Harm, at: usize) -> Result<()> {
        let node = &self.world.nodes[at];
        match harm {
            Harm::Kill => node.kill(),
            Harm::Pause => node.signal(Signal::STOP)?,
            Harm::CutOff => node.links().iter().for_each(Proxy::cut),
            Harm::Silence => node.links().iter().for_each(Proxy::stall),
        }
        Ok(())
    }

    async fn mend(&self, harm: Harm, victim: &Victim) -> Result<()> {
        match victim {
            Victim::Nats(servers) => {
                try_join_all(servers.iter().map(|at| self.mend_nats(harm, *at))).await?;
                Ok(())
            }
            Victim::Node(at) => self.mend_node(harm, *at).await,
        }
    }

    async fn mend_nats(&self, harm: Harm, at: usize) -> Result<()> {
        let nats = &self.world.nats;
        match harm {
            Harm::Kill => nats.servers()[at].restart().await?,
            Harm::Pause => nats.servers()[at].resume()?,
            Harm::CutOff | Harm::Silence => nats.heal(),
        }
        Ok(())
    }

    async fn mend_node(&self, harm: Harm, at: usize) -> Result<()> {
        let node = &self.world.nodes[at];
        match harm {
            Harm::Kill => node.start().await?,
            Harm::Pause => node.signal(Signal::CONT)?,
            Harm::CutOff | Harm::Silence => node.links().iter().for_each(Proxy::heal),
        }
        Ok(())
    }
}

fn describe(harm: Harm, victim: &Victim) -> String {
    let harm = match harm {
        Harm::Kill => "kill -9 of",
        Harm::CutOff => "cut off:",
        Harm::Pause => "paused:",
        Harm::Silence => "silenced:",
    };
    match victim {
        Victim::Nats(servers) if servers.len() > 1 => format!("{harm} all nats-servers"),
        Victim::Nats(servers) => format!("{harm} nats-server {}", servers[0] + 1),
        Victim::Node(at) => format!("{harm} Claviger server {}", at + 1),
    }
}

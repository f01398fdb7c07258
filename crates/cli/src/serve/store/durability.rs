//! Judges whether what is acknowledged can be lost, and says why.

use std::{collections::BTreeSet, time::Duration};

use claviger_api::Durability;
use claviger_store::Placement;

use super::monitoring::{Learned, Sync};
use crate::failure::{Exit, Failure};

/// What is known, and what is wrong.
pub(super) struct Judgment {
    pub(super) durability: Durability,
    /// For people, a line each.
    pub(super) lines: Vec<String>,
}

/// A directory of this machine: every write is synced before it is acknowledged.
pub(super) fn of_one_disk() -> Durability {
    durability("durable", 1, "file", "always")
}

/// Judges streams by where they are kept and by what the servers that keep them say.
pub(super) fn judge(streams: &[Placement], learned: &Learned) -> Judgment {
    let single = names(streams, |stream| stream.replicas < 2);
    let in_memory = names(streams, |stream| stream.is_in_memory);
    let servers: BTreeSet<&str> = streams.iter().flat_map(|stream| &stream.servers).map(String::as_str).collect();
    let sync = |server: &str| learned.syncs.get(server).copied();
    let late = servers.iter().filter_map(|server| match sync(server) {
        Some(Sync::Every(interval)) => Some(syncs_late(server, interval)),
        _ => None,
    });
    let unknown: Vec<&str> = servers.iter().copied().filter(|server| sync(server).is_none()).collect();
    let late: Vec<String> = late.collect();
    let synced = match (late.is_empty(), unknown.is_empty() && !servers.is_empty()) {
        (false, _) => "later",
        (true, false) => "unknown",
        (true, true) => "always",
    };
    let level = match synced {
        _ if !single.is_empty() || !in_memory.is_empty() => "weak",
        "later" => "weak",
        "unknown" => "unknown",
        _ => "durable",
    };
    let replicas = streams.iter().map(|stream| stream.replicas).min().unwrap_or_default();
    let storage = if in_memory.is_empty() { "file" } else { "memory" };
    let mut lines = Vec::new();
    lines.extend(about(&single, "one replica only: when its server loses its disk, acknowledged writes are lost"));
    lines.extend(about(&in_memory, "no file: when its servers stop, acknowledged writes are lost"));
    lines.extend(late);
    lines.extend(unknown_syncs(&unknown, learned));
    let durability = durability(level, u32::try_from(replicas).unwrap_or(u32::MAX), storage, synced);
    Judgment { durability, lines }
}

impl Judgment {
    /// Refuses what is not durable, or not known to be.
    ///
    /// # Errors
    /// `not_durable`.
    pub(super) fn require(self) -> Result<Judgment, Failure> {
        if self.lines.is_empty() {
            return Ok(self);
        }
        let message = "`nats.require` is `durable`, and acknowledged writes may be lost";
        Err(Failure::new(Exit::Other, "not_durable", message).details(self.lines))
    }
}

fn durability(level: &str, replicas: u32, storage: &str, synced: &str) -> Durability {
    Durability { level: level.to_owned(), replicas, storage: storage.to_owned(), synced: synced.to_owned() }
}

fn names(streams: &[Placement], has: impl Fn(&Placement) -> bool) -> Vec<&str> {
    streams.iter().filter(|stream| has(stream)).map(|stream| stream.name.as_str()).collect()
}

fn about(streams: &[&str], what: &str) -> Option<String> {
    let quoted: Vec<String> = streams.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => None,
        [one] => Some(format!("the stream {one} has {what}")),
        more => Some(format!("the streams {} have {what}", more.join(", "))),
    }
}

fn syncs_late(server: &str, interval: Duration) -> String {
    format!(
        "the NATS server `{server}` syncs its disk every {} s and not before it acknowledges: a loss of power can lose \
         acknowledged writes; set `sync_interval: always` in its section `jetstream`",
        interval.as_secs_f64()
    )
}

fn unknown_syncs(servers: &[&str], learned: &Learned) -> Option<String> {
    if servers.is_empty() {
        return None;
    }
    let names: Vec<String> = servers.iter().map(|name| format!("`{name}`")).collect();
    let (which, sync) = if names.len() == 1 { ("the NATS server", "syncs") } else { ("the NATS servers", "sync") };
    let why = if learned.silent.is_empty() {
        "give the monitoring address of each in `nats.monitor`".to_owned()
    } else {
        learned.silent.join(", ")
    };
    Some(format!("it is not known whether {which} {} {sync} before acknowledging: {why}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use claviger_store::Stream;

    use super::*;

    const TWO_MINUTES: Sync = Sync::Every(Duration::from_secs(120));

    fn stream(name: &str, replicas: usize) -> Placement {
        let servers = (1..=replicas).map(|number| format!("n{number}")).collect();
        Placement { stream: Stream::Secrets, name: name.to_owned(), replicas, is_in_memory: false, servers }
    }

    fn learned(syncs: &[(&str, Sync)]) -> Learned {
        Learned { syncs: syncs.iter().map(|(name, sync)| ((*name).to_owned(), *sync)).collect(), silent: Vec::new() }
    }

    fn told(streams: &[Placement], learned: &Learned) -> (String, String, Vec<String>) {
        let Judgment { durability, lines } = judge(streams, learned);
        (durability.level, durability.synced, lines)
    }

    const ALWAYS: [(&str, Sync); 3] = [("n1", Sync::Always), ("n2", Sync::Always), ("n3", Sync::Always)];

    #[test]
    fn three_replicas_that_sync_always_are_durable() {
        let expected = ("durable".to_owned(), "always".to_owned(), Vec::new());
        assert_eq!(told(&[stream("a", 3), stream("b", 3)], &learned(&ALWAYS)), expected);
    }

    #[test]
    fn one_replica_and_memory_are_weak_however_they_sync() {
        let memory = Placement { is_in_memory: true, ..stream("c", 3) };
        let (level, synced, lines) = told(&[stream("a", 1), stream("b", 1), memory], &learned(&ALWAYS));
        assert_eq!((level.as_str(), synced.as_str(), lines.len()), ("weak", "always", 2));
        assert!(lines[0].starts_with("the streams `a`, `b` have one replica only"), "{lines:?}");
        assert!(lines[1].starts_with("the stream `c` has no file"), "{lines:?}");
        assert_eq!(judge(&[stream("a", 1), stream("b", 3)], &learned(&ALWAYS)).durability.replicas, 1);
    }

    #[test]
    fn one_server_that_syncs_later_makes_it_weak() {
        let syncs = learned(&[ALWAYS[0], ("n2", TWO_MINUTES)]);
        let (level, synced, lines) = told(&[stream("a", 3)], &syncs);
        assert_eq!((level.as_str(), synced.as_str()), ("weak", "later"));
        assert!(lines[0].contains("`n2` syncs its disk every 120 s"), "{lines:?}");
        assert!(lines[1].contains("whether the NATS server `n3` syncs"), "{lines:?}");
    }

    #[test]
    fn what_nobody_says_is_not_known_and_a_requirement_refuses_it() {
        let silent = Learned { silent: vec!["`http://a:8222` does not answer".to_owned()], ..learned(&ALWAYS[..2]) };
        let judgment = judge(&[stream("a", 3)], &silent);
        assert_eq!((judgment.durability.level.as_str(), judgment.durability.synced.as_str()), ("unknown", "unknown"));
        assert!(judgment.lines[0].ends_with("`n3` syncs before acknowledging: `http://a:8222` does not answer"));
        let nobody = judge(&[stream("a", 3)], &Learned::default());
        assert!(nobody.lines[0].contains("`n1`, `n2`, `n3` sync before acknowledging: give the monitoring address"));
        assert!(nobody.require().is_err_and(|failure| failure.has_code("not_durable")));
        assert!(judge(&[stream("a", 3)], &learned(&ALWAYS)).require().is_ok());
    }
}

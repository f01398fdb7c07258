//! Slows down whoever presents wrong API keys. Nothing is stored, and a right key is never held up.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures that a peer may have at once.
const BURST: f64 = 60.0;
/// Failures that it may have for every second after that.
const PER_SECOND: f64 = 1.0;
/// Peers that are remembered; all others share one allowance.
const MOST_PEERS: usize = 10_000;

const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Counts failed authentications by peer.
#[derive(Default)]
pub(crate) struct Throttle {
    peers: Mutex<HashMap<IpAddr, Allowance>>,
}

struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn refilled(&self, now: Instant) -> f64 {
        (self.left + now.duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST)
    }
}

impl Throttle {
    /// Whether the next failure of a peer is one too many.
    pub(crate) fn is_used_up(&self, peer: IpAddr, now: Instant) -> bool {
        let peers = self.peers.lock();
        let peer = network(peer);
        let known = peers.get(&peer).or_else(|| peers.get(&OTHERS).filter(|_| peers.len() >= MOST_PEERS));
        known.is_some_and(|allowance| allowance.refilled(now) < 1.0)
    }

    /// Notes a failure.
    ///
    /// # Errors
    /// The seconds to wait, when the peer had too many.
    pub(crate) fn note_failure(&self, peer: IpAddr, now: Instant) -> Result<(), u64> {
        let mut peers = self.peers.lock();
        let mut peer = network(peer);
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, allowance| allowance.refilled(now) < BURST);
            if peers.len() >= MOST_PEERS {
                peer = OTHERS;
            }
        }
        let allowance = peers.entry(peer).or_insert(Allowance { left: BURST, at: now });
        *allowance = Allowance { left: allowance.refilled(now), at: now };
        if allowance.left < 1.0 {
            return Err(((1.0 - allowance.left) / PER_SECOND).ceil() as u64);
        }
        allowance.left -= 1.0;
        Ok(())
    }
}

/// One IPv6 customer has at least 2^64 addresses.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_peer_has_a_burst_and_then_a_rate_and_others_are_not_touched() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let (one, same, other) = ("2001:db8::1", "2001:db8::ffff:2", "192.0.2.1");
        let note =
            |peer: &str, after: u64| throttle.note_failure(peer.parse().unwrap(), start + Duration::from_secs(after));
        let is_used_up = |peer: &str| throttle.is_used_up(peer.parse().unwrap(), start);
        for _ in 0..60 {
            assert!(!is_used_up(one));
            note(one, 0).unwrap();
        }
        assert!(is_used_up(same) && !is_used_up(other));
        assert_eq!(note(same, 0), Err(1));
        assert_eq!(note(other, 0), Ok(()));
        assert_eq!(note(one, 1), Ok(()));
        assert_eq!(note(one, 1), Err(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..20_000_u32 {
            let _ = throttle.note_failure(IpAddr::from(n.to_be_bytes()), now);
        }
        assert!(throttle.peers.lock().len() <= MOST_PEERS + 1);
    }
}

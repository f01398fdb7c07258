//! What streams and subjects are called on NATS.

use crate::{Filter, Stream, Subject};

/// The names of one stream. No subject of a record can leave [`root`](Names::root): its tokens have no
/// wildcard, no space and no dot.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// The JetStream stream.
    pub(super) stream: String,
    /// What the subjects of records begin with, dot included.
    root: String,
    /// What the subjects of control records begin with, dot included.
    control: String,
}

/// A record that is not for tails: the ledger writes it for itself. The newest of each kind is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Which life of the store this is. In the keyring's stream only.
    Incarnation,
    /// Everything that was acknowledged before has a smaller sequence.
    Barrier,
    /// Up to where records were dropped by retention.
    Trimmed,
}

impl Names {
    /// The names of a stream under a prefix. The secrets are a key-value bucket, so that tools for
    /// these can read it.
    pub(super) fn of(prefix: &str, stream: Stream) -> Names {
        let control = format!("{prefix}.control.{stream}.");
        match stream {
            Stream::Secrets => {
                Names { stream: format!("KV_{prefix}_{stream}"), root: format!("$KV.{prefix}_{stream}."), control }
            }
            _ => Names { stream: format!("{prefix}_{stream}"), root: format!("{prefix}.{stream}."), control },
        }
    }

    /// Every subject of the stream.
    pub(super) fn subjects(&self) -> Vec<String> {
        vec![format!("{}>", self.root), format!("{}>", self.control)]
    }

    /// A record's subject on NATS.
    pub(super) fn subject(&self, subject: &Subject) -> String {
        format!("{}{subject}", self.root)
    }

    /// A control record's subject on NATS.
    pub(super) fn control(&self, control: Control) -> String {
        let word = match control {
            Control::Incarnation => "incarnation",
            Control::Barrier => "barrier",
            Control::Trimmed => "trimmed",
        };
        format!("{}{word}", self.control)
    }

    /// The subjects that pass, as NATS writes it.
    pub(super) fn filter(&self, filter: &Filter) -> String {
        match filter {
            Filter::All => format!("{}>", self.root),
            Filter::Exact(subject) => self.subject(subject),
            Filter::Under(prefix) => format!("{}.>", self.subject(prefix)),
        }
    }

    /// The record's subject that is called this on NATS. `None` when it is none.
    pub(super) fn parse(&self, text: &str) -> Option<Subject> {
        text.strip_prefix(&self.root).and_then(Subject::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_a_bucket() {
        let names = Names::of("claviger", Stream::Secrets);
        assert_eq!(names.stream, "KV_claviger_secrets");
        assert_eq!(names.subjects(), ["$KV.claviger_secrets.>", "claviger.control.secrets.>"]);
    }

    #[test]
    fn subjects_come_back() {
        for stream in Stream::ALL {
            let names = Names::of("v-1", stream);
            let subject = Subject::new(&["a", "=2A", "_"]);
            assert_eq!(names.parse(&names.subject(&subject)), Some(subject));
            for control in [Control::Incarnation, Control::Barrier, Control::Trimmed] {
                assert_eq!(names.parse(&names.control(control)), None);
            }
        }
    }

    #[test]
    fn prefixes_keep_vaults_apart() {
        let (one, other) = (Names::of("a", Stream::Runs), Names::of("a-a", Stream::Runs));
        assert_eq!(one.parse(&other.subject(&Subject::new(&["x"]))), None);
    }
}

//! The values in use right now, masked in every log line of the process.

use std::{borrow::Cow, collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use claviger_core::{MIN_MASKABLE_BYTES, Mask, Redactor, RedactorBuilder, SecretValue};
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a value stays tracked after its last use: log lines may be late.
pub(crate) const KEPT_AFTER: Duration = Duration::from_secs(60);

/// Tracks the values that somebody holds, and for 60 s after that. Cheap to clone; all clones share what is tracked.
#[derive(Clone, Default)]
pub struct LiveValues(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tracked: Mutex<Tracked>,
    redactor: ArcSwap<Redactor>,
}

/// Under one mask, the values of different environments.
#[derive(Default)]
struct Tracked {
    by_mask: HashMap<Mask, Vec<Entry>>,
    /// Every entry has a number of its own, by which a hold finds it again.
    last_number: u64,
    /// Redactors of all entries, each of at least twice as many as the next: a new value costs little, however many there
    /// are, and a text is looked through a few times only.
    layers: Vec<Layer>,
}

struct Layer {
    values: usize,
    redactor: Redactor,
}

struct Entry {
    number: u64,
    value: Arc<SecretValue>,
    /// Of this value alone: making its forms is most of the work, and is done once.
    redactor: Redactor,
    holders: usize,
    idle_since: Instant,
}

/// An entry, as a hold knows it.
struct Held {
    number: u64,
    redactor: Redactor,
}

impl LiveValues {
    /// Tracks nothing yet.
    #[must_use]
    pub fn new() -> LiveValues {
        LiveValues::default()
    }

    /// Tracks the values until 60 s after the hold is dropped. When this returns, they are masked. Values too short to be
    /// masked are left out.
    pub fn hold(&self, values: &[(Mask, Arc<SecretValue>)]) -> LiveHold {
        let (mut held, mut unknown) = (Vec::with_capacity(values.len()), Vec::new());
        let mut tracked = self.0.tracked.lock();
        for (mask, value) in values.iter().filter(|(_, value)| value.len() >= MIN_MASKABLE_BYTES) {
            match tracked.hold(mask, value) {
                Some(known) => held.push((mask.clone(), known)),
                None => unknown.push((mask, value)),
            }
        }
        drop(tracked);
        if !unknown.is_empty() {
            self.track(&unknown, &mut held);
        }
        LiveHold { shared: self.0.clone(), held }
    }

    fn track(&self, values: &[(&Mask, &Arc<SecretValue>)], held: &mut Vec<(Mask, Held)>) {
        // Without the lock: others need not wait for it.
        let made: Vec<Redactor> = values.iter().map(|(mask, value)| redactor_of(mask, value)).collect();
        let mut tracked = self.0.tracked.lock();
        let mut new = Vec::with_capacity(made.len());
        for ((mask, value), redactor) in values.iter().zip(made) {
            // Somebody else may have been faster with the same value.
            let known = tracked.hold(mask, value).unwrap_or_else(|| {
                new.push(redactor.clone());
                tracked.add(mask, value, redactor)
            });
            held.push(((*mask).clone(), known));
        }
        if !new.is_empty() {
            tracked.layer(&new);
            // Under the same lock: whoever finds a value tracked may rely on its being masked.
            self.0.redactor.store(Arc::new(tracked.redactor()));
        }
    }

    /// The text with every tracked value masked.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.redactor.load().redact(text)
    }

    /// A JSON text with every tracked value masked. Valid JSON stays valid JSON.
    #[must_use]
    pub fn redact_json<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.redactor.load().redact_json(text)
    }

    /// Masks what is tracked now, also when it is no longer tracked.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::clone(&self.0.redactor.load())
    }

    /// Forgets what nobody has held for 60 s. To be called now and then.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut tracked = self.0.tracked.lock();
        if tracked.expire(now) {
            self.0.redactor.store(Arc::new(tracked.redactor()));
        }
    }
}

impl Tracked {
    /// Another holder of what is tracked already.
    fn hold(&mut self, mask: &Mask, value: &Arc<SecretValue>) -> Option<Held> {
        let entries = self.by_mask.get_mut(mask)?;
        let entry = entries.iter_mut().find(|entry| is_same(&entry.value, value))?;
        entry.holders += 1;
        Some(Held { number: entry.number, redactor: entry.redactor.clone() })
    }

    /// The first holder.
    fn add(&mut self, mask: &Mask, value: &Arc<SecretValue>, redactor: Redactor) -> Held {
        self.last_number += 1;
        let (number, value) = (self.last_number, value.clone());
        let entry = Entry { number, value, redactor: redactor.clone(), holders: 1, idle_since: Instant::now() };
        self.by_mask.entry(mask.clone()).or_default().push(entry);
        Held { number, redactor }
    }

    /// Adds the redactors of new values. Layers that have become small for their place are put together.
    fn layer(&mut self, new: &[Redactor]) {
        let mut parts: Vec<Redactor> = new.to_vec();
        let mut values = parts.len();
        while let Some(last) = self.layers.pop_if(|last| last.values < 2 * values) {
            values += last.values;
            parts.push(last.redactor);
        }
        self.layers.push(Layer { values, redactor: Redactor::of_all(&parts).compact() });
    }

    fn release(&mut self, mask: &Mask, number: u64, now: Instant) {
        let entries = self.by_mask.get_mut(mask);
        if let Some(entry) = entries.into_iter().flatten().find(|entry| entry.number == number) {
            entry.holders -= 1;
            entry.idle_since = now;
        }
    }

    /// Whether anything was forgotten.
    fn expire(&mut self, now: Instant) -> bool {
        let mut expired = false;
        self.by_mask.retain(|_, entries| {
            let before = entries.len();
            entries.retain(|entry| entry.holders > 0 || now.duration_since(entry.idle_since) < KEPT_AFTER);
            expired |= entries.len() < before;
            !entries.is_empty()
        });
        if expired {
            self.layers.clear();
            let left: Vec<Redactor> = self.by_mask.values().flatten().map(|entry| entry.redactor.clone()).collect();
            self.layer(&left);
        }
        expired
    }

    fn redactor(&self) -> Redactor {
        Redactor::of_all(self.layers.iter().map(|layer| &layer.redactor))
    }
}

fn redactor_of(mask: &Mask, value: &SecretValue) -> Redactor {
    let mut builder = RedactorBuilder::new();
    builder.track(mask.clone(), value);
    builder.build()
}

fn is_same(left: &Arc<SecretValue>, right: &Arc<SecretValue>) -> bool {
    Arc::ptr_eq(left, right) || claviger_crypto::constant_time_eq(left.expose(), right.expose())
}

impl fmt::Debug for LiveValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveValues({:?})", self.0.redactor.load())
    }
}

/// Keeps values tracked while it lives.
#[must_use = "the values are tracked only as long as this lives"]
pub struct LiveHold {
    shared: Arc<Shared>,
    held: Vec<(Mask, Held)>,
}

impl LiveHold {
    /// A redactor of the values held.
    pub(crate) fn redactor(&self) -> Redactor {
        Redactor::of_all(self.held.iter().map(|(_, held)| &held.redactor)).compact()
    }
}

impl Drop for LiveHold {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut tracked = self.shared.tracked.lock();
        for (mask, held) in &self.held {
            tracked.release(mask, held.number, now);
        }
    }
}

impl fmt::Debug for LiveHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveHold({} values)", self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(version: u64, text: &str) -> (Mask, Arc<SecretValue>) {
        let name = "A".parse().expect("a name");
        (Mask::new(&name, version), Arc::new(SecretValue::new(text.as_bytes().to_vec())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_masked_until_a_minute_after_its_last_hold() {
        let live = LiveValues::new();
        let first = live.hold(&[tracked(1, "some-value")]);
        let second = live.hold(&[tracked(1, "some-value")]);
        let logged = live.clone();
        drop(first);
        tokio::time::advance(2 * KEPT_AFTER).await;
        live.expire();
        assert_eq!(logged.redact("some-value"), "«A@1»");
        drop(second);
        tokio::time::advance(KEPT_AFTER - Duration::from_secs(1)).await;
        live.expire();
        assert_eq!(logged.redact("some-value"), "«A@1»");
        tokio::time::advance(Duration::from_secs(1)).await;
        live.expire();
        assert_eq!(logged.redact("some-value"), "some-value");
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_held_again_in_time_stays() {
        let live = LiveValues::new();
        drop(live.hold(&[tracked(1, "some-value")]));
        tokio::time::advance(KEPT_AFTER / 2).await;
        let _hold = live.hold(&[tracked(1, "some-value")]);
        tokio::time::advance(KEPT_AFTER).await;
        live.expire();
        assert_eq!(live.redact("some-value"), "«A@1»");
    }

    #[test]
    fn environments_may_have_different_values_under_one_mask() {
        let live = LiveValues::new();
        let _here = live.hold(&[tracked(1, "value-here")]);
        let there = live.hold(&[tracked(1, "value-there"), tracked(2, "value-two")]);
        assert_eq!(live.redact("value-here value-there value-two"), "«A@1» «A@1» «A@2»");
        drop(there);
        assert_eq!(live.redact("value-there"), "«A@1»", "late log lines");
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_values_each_is_masked_as_long_as_it_is_held() {
        let live = LiveValues::new();
        let value = |number: u64| format!("value-number-{number:03}");
        let mut holds: Vec<LiveHold> = (0..100).map(|n| live.hold(&[tracked(n, &value(n))])).collect();
        assert!(live.0.tracked.lock().layers.len() <= 7, "a text is looked through a few times only");
        let text: String = (0..100).map(value).collect();
        let masks = |from: u64, to: u64| (from..to).map(|n| format!("«A@{n}»")).collect::<String>();
        assert_eq!(live.redact(&text), masks(0, 100));
        let rest = holds.split_off(60);
        drop(holds);
        tokio::time::advance(KEPT_AFTER).await;
        live.expire();
        let forgotten: String = (0..60).map(value).collect();
        assert_eq!(live.redact(&text), format!("{forgotten}{}", masks(60, 100)));
        assert_eq!(rest[0].redactor().redact(&text).matches('«').count(), 1);
    }

    #[test]
    fn holding_what_is_tracked_already_builds_nothing() {
        let live = LiveValues::new();
        let _first = live.hold(&[tracked(1, "some-value")]);
        let before = Arc::as_ptr(&live.0.redactor.load_full());
        let _second = live.hold(&[tracked(1, "some-value"), tracked(2, "short")]);
        assert_eq!(Arc::as_ptr(&live.0.redactor.load_full()), before);
    }
}

//! Instants at which something is to be looked at again. Held in memory: journals are the truth.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use claviger_core::{EnvironmentName, Timestamp, run::RunId};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A run that is to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Alarm {
    pub(crate) environment: EnvironmentName,
    pub(crate) run: RunId,
    pub(crate) look: Look,
}

/// How a run is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It may be due.
    Due,
    /// What its state asks for may not have been done: the store did not answer.
    Anew,
}

/// An alarm's place: its instant, and a number that makes it unique.
type Place = (Timestamp, u64);

#[derive(Default)]
struct Inner {
    alarms: BTreeMap<Place, Alarm>,
    /// The alarm of each run: one is enough, since whoever looks sets the next.
    runs: HashMap<RunId, Place>,
    made: u64,
}

/// Alarms in order of time.
#[derive(Clone, Default)]
pub(crate) struct Timers {
    inner: Arc<Mutex<Inner>>,
    earlier: Arc<Notify>,
}

impl Timers {
    /// Has a run looked at then, or earlier if it is to be looked at earlier anyway.
    pub(crate) fn look_at(&self, at: Timestamp, environment: EnvironmentName, id: RunId, look: Look) {
        let mut inner = self.inner.lock();
        let mut alarm = Alarm { environment, run: id, look };
        if let Some(known) = inner.runs.get(&id).copied() {
            let is_earlier = known.0 <= at;
            if is_earlier && look == Look::Due {
                return;
            }
            if inner.alarms.remove(&known).is_some_and(|known| known.look == Look::Anew) {
                alarm.look = Look::Anew;
            }
            return self.insert(&mut inner, if is_earlier { known.0 } else { at }, alarm);
        }
        self.insert(&mut inner, at, alarm);
    }

    /// Forgets the alarm of a run that ended.
    pub(crate) fn forget(&self, id: RunId) {
        let mut inner = self.inner.lock();
        if let Some(place) = inner.runs.remove(&id) {
            inner.alarms.remove(&place);
        }
    }

    fn insert(&self, inner: &mut Inner, at: Timestamp, alarm: Alarm) {
        inner.made += 1;
        let place = (at, inner.made);
        inner.runs.insert(alarm.run, place);
        inner.alarms.insert(place, alarm);
        if inner.alarms.first_key_value().is_some_and(|(first, _)| *first == place) {
            self.earlier.notify_one();
        }
    }

    /// The alarms that are due, removed.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<Alarm> {
        let mut inner = self.inner.lock();
        let later = inner.alarms.split_off(&(Timestamp(now.0.saturating_add(1)), 0));
        let due: Vec<Alarm> = std::mem::replace(&mut inner.alarms, later).into_values().collect();
        for alarm in &due {
            inner.runs.remove(&alarm.run);
        }
        due
    }

    /// Waits until an alarm may be due. Looks at the clock at least every second, so that a wall clock
    /// that jumps is noticed.
    pub(crate) async fn wait(&self, now: Timestamp) {
        let next = self.inner.lock().alarms.first_key_value().map(|((at, _), _)| *at);
        let pause = next.map_or(Duration::from_secs(1), |at| at.since(now)).min(Duration::from_secs(1));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.earlier.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> EnvironmentName {
        "default".parse().expect("a name")
    }

    const RUN: RunId = RunId([1; 16]);

    #[test]
    fn a_run_has_one_alarm_the_earliest() {
        let timers = Timers::default();
        timers.look_at(Timestamp(20), env(), RUN, Look::Due);
        timers.look_at(Timestamp(10), env(), RUN, Look::Due);
        timers.look_at(Timestamp(30), env(), RUN, Look::Due);
        assert!(timers.due(Timestamp(9)).is_empty());
        assert_eq!(timers.due(Timestamp(40)).len(), 1);
        timers.look_at(Timestamp(50), env(), RUN, Look::Due);
        timers.forget(RUN);
        assert!(timers.due(Timestamp(60)).is_empty());
    }

    #[test]
    fn a_doubt_is_kept_whichever_alarm_is_earlier() {
        for (first, second) in [((10, Look::Anew), (20, Look::Due)), ((20, Look::Anew), (10, Look::Due))] {
            for pair in [[first, second], [second, first]] {
                let timers = Timers::default();
                for (at, look) in pair {
                    timers.look_at(Timestamp(at), env(), RUN, look);
                }
                assert!(matches!(timers.due(Timestamp(10))[..], [Alarm { look: Look::Anew, .. }]), "{pair:?}");
            }
        }
    }
}

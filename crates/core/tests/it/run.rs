//! The run state machine: what holds for every sequence of commands.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use claviger_core::{
    EnvironmentName, EventPosition, Revision, Timestamp,
    run::{
        Again, Body, Cause, Command, Delivery, Effect, Ending, Entry, Failure, JobEnd, MAX_HANDED_OVER, MAX_LOSSES,
        NewClaim, Open, Phase, Refused, Release, Report, Reported, Retry, Run, RunId, StepId, StepKind, StepState,
        apply, effects,
    },
    secret::SecretVersion,
};
use proptest::prelude::*;

const ID: RunId = RunId([7; 16]);

fn body(n: u8) -> Body {
    Body { sealed: Arc::from([n]), view: None }
}

fn step(n: u8) -> StepId {
    format!("step {n}").parse().unwrap()
}

fn created(claim: Option<NewClaim>, max_attempts: u32) -> Entry {
    let cause = Cause {
        event_id: "e1".into(),
        event_name: "a.b".parse().unwrap(),
        space: Some("acme".parse().unwrap()),
        at: Timestamp(0),
        input: body(0),
        parent: Some((RunId([1; 16]), step(9))),
    };
    Entry::Created {
        environment: "default".parse().unwrap(),
        function: "f".parse().unwrap(),
        cause,
        retry: Retry { max_attempts, ..Retry::default() },
        claim,
    }
}

/// A version of a secret. Odd ones live in a space.
fn secret(version: u64) -> SecretVersion {
    let space = (version % 2 == 1).then(|| "acme".parse().unwrap());
    SecretVersion { name: "KEY".parse().unwrap(), version, space }
}

fn environment(n: u8) -> EnvironmentName {
    ["default", "staging"][usize::from(n % 2)].parse().unwrap()
}

fn claim(until: i64) -> NewClaim {
    NewClaim { holder: "w".into(), lease_until: Timestamp(until), secrets: vec![secret(3)] }
}

/// A journal as it grows: its entries and the state after them, and what an engine that performs every effect knows.
struct Story {
    entries: Vec<(Entry, Revision, Timestamp)>,
    run: Run,
    now: Timestamp,
    engine: Engine,
}

/// An engine, as far as it could forget a run.
#[derive(Default)]
struct Engine {
    is_offered: bool,
    alarms: BTreeSet<Timestamp>,
    watched: BTreeSet<StepId>,
    invoked: BTreeSet<StepId>,
    awaits_secrets: bool,
    parents_told: usize,
}

impl Engine {
    fn perform(&mut self, before: Option<&Run>, after: &Run) {
        for effect in effects(before, after) {
            match effect {
                Effect::Offer => self.is_offered = true,
                Effect::WakeAt(at) => drop(self.alarms.insert(at)),
                Effect::Watch(step) => drop(self.watched.insert(step)),
                Effect::Invoke(step, _) => drop(self.invoked.insert(step)),
                Effect::AwaitSecrets => self.awaits_secrets = true,
                Effect::TellParent(..) => self.parents_told += 1,
            }
        }
    }

    /// Alarms ring. Whoever looks offers the run if it is ready, or looks again when it is due.
    fn pass_to(&mut self, now: Timestamp, run: &Run) {
        let later = self.alarms.split_off(&now.plus(Duration::from_millis(1)));
        if !std::mem::replace(&mut self.alarms, later).is_empty() {
            self.is_offered |= run.is_ready(now);
            self.alarms.extend(run.due_at().filter(|at| *at > now));
        }
    }

    /// Whether it would do, now or later, all that the run's state asks for.
    fn remembers(&self, run: &Run, now: Timestamp) -> bool {
        let has = |step: &StepId, open: &Open| match open {
            Open::Sleep { .. } => true,
            Open::Wait { .. } => self.watched.contains(step),
            Open::Invoke { .. } => self.invoked.contains(step),
        };
        let is_ringing = self.alarms.first().is_some_and(|at| *at <= now);
        let is_offered = !run.is_ready(now) || self.is_offered || is_ringing;
        let is_timed = run.due_at().is_none_or(|due| due <= now || self.alarms.first().is_some_and(|at| *at <= due));
        let is_blocked = matches!(run.phase, Phase::Blocked { .. });
        let is_over = run.has_ended();
        is_over
            || (is_offered && is_timed && (!is_blocked || self.awaits_secrets))
                && run.open_steps().all(|(step, open)| has(step, open))
    }
}

impl Story {
    fn new(entry: Entry) -> Story {
        let run = Run::fold(None, ID, &entry, Revision(1), Timestamp(0)).unwrap();
        let mut engine = Engine::default();
        engine.perform(None, &run);
        Story { entries: vec![(entry, Revision(1), Timestamp(0))], run, now: Timestamp(0), engine }
    }

    fn apply(&mut self, command: Command) -> Result<(), Refused> {
        if let Some(entry) = apply(&self.run, command, self.now)?.entry {
            let revision = self.run.last.next();
            let before = self.run.clone();
            self.run = Run::fold(Some(before.clone()), ID, &entry, revision, self.now).expect("applied entries fold");
            self.engine.perform(Some(&before), &self.run);
            self.entries.push((entry, revision, self.now));
        }
        Ok(())
    }

    fn fence(&self) -> Revision {
        self.run.claim.as_ref().map_or(Revision(0), |claim| claim.fence)
    }

    fn report(&mut self, outcomes: Vec<Reported>, ending: Option<Ending>) -> Result<(), Refused> {
        self.apply(Command::Report(Report { fence: self.fence(), outcomes, ending }))
    }

    fn refold(&self) -> Run {
        let fold = |run, (entry, revision, at): &(Entry, Revision, Timestamp)| {
            Some(Run::fold(run, ID, entry, *revision, *at).expect("a journal folds"))
        };
        self.entries.iter().fold(None, fold).unwrap()
    }
}

fn finished(n: u8) -> Reported {
    Reported { id: step(n), kind: StepKind::Run, state: StepState::Finished(Some(body(n))) }
}

fn open(n: u8, open: Open) -> Reported {
    Reported { id: step(n), kind: StepKind::Sleep, state: StepState::Open(open) }
}

fn sleep(n: u8, until: i64) -> Reported {
    open(n, Open::Sleep { until: Timestamp(until) })
}

fn wait(n: u8, until: Option<i64>) -> Reported {
    let wait = Open::Wait {
        pattern: "a.*".parse().unwrap(),
        condition: None,
        until: until.map(Timestamp),
        after: EventPosition { events: Revision(4), ..EventPosition::default() },
    };
    open(n, wait)
}

fn invoke(n: u8, until: Option<i64>) -> Reported {
    let until = until.map(Timestamp);
    open(n, Open::Invoke { function: "g".parse().unwrap(), child: RunId([n; 16]), input: None, until })
}

fn some_outcome() -> impl Strategy<Value = Reported> {
    prop_oneof![
        (0u8..6).prop_map(finished),
        (0u8..6).prop_map(|n| Reported {
            id: step(n),
            kind: StepKind::Run,
            state: StepState::Failed(Failure::Error(body(n))),
        }),
        (0u8..6, 0i64..40).prop_map(|(n, until)| sleep(n, until)),
        (0u8..6, proptest::option::of(0i64..40)).prop_map(|(n, until)| wait(n, until)),
        (0u8..6, proptest::option::of(0i64..40)).prop_map(|(n, until)| invoke(n, until)),
    ]
}

fn some_ending() -> impl Strategy<Value = Option<Ending>> {
    prop_oneof![
        4 => Just(None),
        2 => Just(Some(Ending::Suspend)),
        1 => Just(Some(Ending::Complete(None))),
        1 => Just(Some(Ending::Fail { failure: Failure::Error(body(9)), again: Again::Backoff })),
        1 => Just(Some(Ending::Fail { failure: Failure::Error(body(9)), again: Again::Never })),
        1 => (0u64..50).prop_map(|pause| {
            let again = Again::After(Duration::from_millis(pause));
            Some(Ending::Fail { failure: Failure::Error(body(9)), again })
        }),
    ]
}

/// A command, made for the state it meets: its fence is the present one or a stale one.
#[derive(Clone, Debug)]
enum Move {
    Claim,
    Extend(bool),
    LookUp(bool, u8, Vec<u64>),
    Report(bool, Vec<Reported>, Option<Ending>),
    Resolve(u8),
    Release(bool, Release),
    TimeOut,
    Block,
    Unblock,
    Cancel,
    Wait(i64),
}

fn some_move() -> impl Strategy<Value = Move> {
    let outcomes = proptest::collection::vec(some_outcome(), 0..4);
    prop_oneof![
        4 => Just(Move::Claim),
        1 => any::<bool>().prop_map(Move::Extend),
        3 => (proptest::bool::weighted(0.8), 0u8..2, proptest::collection::vec(0u64..8, 0..4))
            .prop_map(|(f, e, s)| Move::LookUp(f, e, s)),
        6 => (proptest::bool::weighted(0.9), outcomes, some_ending()).prop_map(|(f, o, e)| Move::Report(f, o, e)),
        2 => (0u8..6).prop_map(Move::Resolve),
        2 => (any::<bool>(), prop_oneof![Just(Release::Lost), Just(Release::Withheld), Just(Release::Undelivered)])
            .prop_map(|(f, r)| Move::Release(f, r)),
        1 => Just(Move::TimeOut),
        1 => Just(Move::Block),
        1 => Just(Move::Unblock),
        1 => Just(Move::Cancel),
        4 => (0i64..3_000).prop_map(Move::Wait),
    ]
}

fn play(story: &mut Story, step_: Move) -> Result<(), Refused> {
    let fence = |good: bool, story: &Story| if good { story.fence() } else { Revision(story.fence().0 + 1_000) };
    match step_ {
        Move::Claim => {
            let until = story.now.0 + 30;
            // The offer is used up, whatever comes of it.
            story.engine.is_offered = false;
            story.apply(Command::Claim(claim(until)))
        }
        Move::Extend(good) => {
            let lease_until = Timestamp(story.now.0 + 60);
            story.apply(Command::Extend { fence: fence(good, story), lease_until })
        }
        Move::LookUp(good, n, versions) => {
            let secrets = versions.into_iter().map(secret).collect();
            story.apply(Command::LookUp { fence: fence(good, story), environment: environment(n), secrets })
        }
        Move::Report(good, outcomes, ending) => {
            let fence = fence(good, story);
            story.apply(Command::Report(Report { fence, outcomes, ending }))
        }
        Move::Resolve(n) => story.apply(Command::Resolve { step: step(n), state: StepState::Finished(Some(body(n))) }),
        Move::Release(good, reason) => story.apply(Command::Release { fence: fence(good, story), reason }),
        Move::TimeOut => story.apply(Command::TimeOut { fence: story.fence() }),
        Move::Block => story.apply(Command::Block { missing: vec!["KEY".parse().unwrap()] }),
        Move::Unblock => story.apply(Command::Unblock),
        Move::Cancel => story.apply(Command::Cancel { by: "someone".into(), reason: None }),
        Move::Wait(millis) => {
            story.now = story.now.plus(Duration::from_millis(millis.unsigned_abs()));
            story.engine.pass_to(story.now, &story.run);
            Ok(())
        }
    }
}

fn terminal_entries(story: &Story) -> usize {
    let is_terminal = |entry: &Entry| {
        matches!(
            entry,
            Entry::Cancelled { .. }
                | Entry::Progressed { ending: Some(JobEnd::Completed(_) | JobEnd::Failed { retry_at: None, .. }), .. }
                | Entry::Released { then: Phase::Ended(_), .. }
        )
    };
    story.entries.iter().filter(|(entry, _, _)| is_terminal(entry)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_story_keeps_the_rules(moves in proptest::collection::vec(some_move(), 1..60), held in any::<bool>(), attempts in 1u32..5) {
        let mut story = Story::new(created(held.then(|| claim(30)), attempts));
        for step_ in moves {
            let before = story.run.clone();
            let length = story.entries.len();
            let result = play(&mut story, step_.clone());
            let after = &story.run;
            // The fold of the journal is the state.
            prop_assert_eq!(&story.refold(), after);
            // A refusal changes nothing, and nothing follows the end.
            if result.is_err() || before.has_ended() {
                prop_assert_eq!(&before, after);
                prop_assert_eq!(length, story.entries.len());
            }
            // A finished step keeps its outcome.
            for (id, known) in &before.steps {
                if !matches!(known.state, StepState::Open(_)) {
                    prop_assert_eq!(&after.steps[id].state, &known.state);
                }
            }
            // Nothing that the state asks for is forgotten.
            prop_assert!(after.has_ended() || story.engine.remembers(after, story.now), "{:?} after {:?}", after, step_);
            // Only a run that a worker could have taken is blocked.
            if matches!(step_, Move::Block) && result.is_ok() {
                prop_assert!(before.is_ready(story.now));
            }
            // An attempt ends by its failure only; progress forgives what went wrong without it.
            prop_assert!(after.attempt() >= before.attempt() || after.has_ended());
            if matches!(step_, Move::Report(..)) && length < story.entries.len() {
                prop_assert_eq!((after.losses, after.undelivered), (0, 0));
            }
            // What is handed over is noted once under each claim, is never forgotten, and is no progress.
            prop_assert!(after.deliveries.starts_with(&before.deliveries));
            if let Move::LookUp(_, n, versions) = &step_ && result.is_ok() {
                let under: Vec<_> = after.deliveries_under(story.fence()).collect();
                let here = |delivery: &&&Delivery| delivery.environment == environment(*n);
                let noted: Vec<_> = under.iter().filter(here).flat_map(|delivery| &delivery.secrets).collect();
                prop_assert!(versions.iter().all(|version| noted.contains(&&secret(*version))));
                prop_assert_eq!(noted.iter().collect::<BTreeSet<_>>().len(), noted.len());
                prop_assert!(under.iter().all(|delivery| delivery.attempt == after.attempt()));
                let rest = Run { last: before.last, deliveries: before.deliveries.clone(), ..after.clone() };
                prop_assert_eq!(rest, before.clone());
            }
            // A worker holds it exactly while it is running.
            prop_assert_eq!(after.claim.is_some(), after.phase == Phase::Running);
            prop_assert!(after.failures <= attempts);
            prop_assert!(after.losses <= MAX_LOSSES);
            prop_assert_eq!(after.has_ended(), after.ended_at.is_some());
            // A stale fence is never obeyed.
            if matches!(step_, Move::Report(false, ..) | Move::Extend(false) | Move::Release(false, _) | Move::LookUp(false, ..)) {
                prop_assert!(result.is_err());
            }
        }
        prop_assert_eq!(terminal_entries(&story), usize::from(story.run.has_ended()));
        prop_assert_eq!(story.engine.parents_told, usize::from(story.run.has_ended()));
        // What a restart does for the state is what the state asks for: never nothing for a run that can go on.
        let wanted = effects(None, &story.run);
        let waits_for_others = story.run.open_steps().any(|(_, open)| !matches!(open, Open::Sleep { .. }));
        if !story.run.has_ended() && story.run.phase != Phase::Running && !waits_for_others {
            prop_assert!(!wanted.is_empty());
        }
    }
}

#[test]
fn a_job_looks_up_what_it_was_not_handed_and_only_so_much() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    let look_up = |story: &mut Story, n: u8, secrets: Vec<SecretVersion>| {
        story.apply(Command::LookUp { fence: story.fence(), environment: environment(n), secrets })
    };
    look_up(&mut story, 0, vec![secret(3)]).unwrap();
    assert_eq!(story.entries.len(), 1, "it was handed over with the claim");
    look_up(&mut story, 1, vec![secret(3), secret(3)]).unwrap();
    assert_eq!(story.run.deliveries[1].secrets, [secret(3)], "another environment's is another secret");
    let all = MAX_HANDED_OVER as u64;
    assert_eq!(look_up(&mut story, 0, (10..9 + all).map(secret).collect()), Err(Refused::TooManySecrets));
    look_up(&mut story, 0, (10..8 + all).map(secret).collect()).unwrap();
    assert_eq!(look_up(&mut story, 0, vec![secret(1)]), Err(Refused::TooManySecrets));
    look_up(&mut story, 0, vec![secret(10)]).unwrap();
    story
        .report(Vec::new(), Some(Ending::Fail { failure: Failure::TimedOut, again: Again::After(Duration::ZERO) }))
        .unwrap();
    let stale = story.run.deliveries[0].fence;
    let late = Command::LookUp { fence: stale, environment: environment(0), secrets: vec![secret(10)] };
    assert_eq!(story.apply(late), Err(Refused::Lost));
    story.apply(Command::Claim(claim(60))).unwrap();
    look_up(&mut story, 0, vec![secret(1)]).unwrap();
    assert_eq!(story.run.deliveries_under(story.fence()).count(), 2, "each claim counts anew");
}

#[test]
fn a_three_step_run_in_three_reports() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    story.report(vec![finished(1)], None).unwrap();
    story.report(vec![finished(2)], None).unwrap();
    story.report(vec![finished(3)], Some(Ending::Complete(Some(body(9))))).unwrap();
    assert!(story.run.has_ended());
    assert_eq!(story.entries.len(), 4);
    assert_eq!(story.run.steps.len(), 3);
}

#[test]
fn a_sleep_that_is_over_makes_the_run_ready_and_is_finished_by_the_claim() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    story.report(vec![sleep(1, 100)], Some(Ending::Suspend)).unwrap();
    assert_eq!(story.run.phase, Phase::Suspended);
    assert_eq!(story.run.due_at(), Some(Timestamp(100)));
    story.now = Timestamp(99);
    assert_eq!(story.apply(Command::Claim(claim(200))), Err(Refused::NotReady));
    story.now = Timestamp(100);
    story.apply(Command::Claim(claim(200))).unwrap();
    assert_eq!(story.run.steps[&step(1)].state, StepState::Finished(None));
}

#[test]
fn an_event_that_came_while_the_worker_went_on_is_not_lost_by_its_suspend() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    story.report(vec![wait(1, None)], None).unwrap();
    story.apply(Command::Resolve { step: step(1), state: StepState::Finished(None) }).unwrap();
    story.report(Vec::new(), Some(Ending::Suspend)).unwrap();
    assert_eq!(story.run.phase, Phase::Queued);
}

#[test]
fn a_failed_attempt_waits_longer_each_time_until_none_is_left() {
    let mut story = Story::new(created(Some(claim(30)), 3));
    let mut pauses = Vec::new();
    while !story.run.has_ended() {
        let fail = Ending::Fail { failure: Failure::Error(body(1)), again: Again::Backoff };
        story.report(Vec::new(), Some(fail)).unwrap();
        if let Phase::Retrying { at } = story.run.phase {
            pauses.push(at.since(story.now).as_millis());
            story.now = at;
            story.apply(Command::Claim(claim(at.0 + 30))).unwrap();
        }
    }
    assert_eq!(pauses, [1_000, 2_000]);
    assert_eq!(story.run.failures, 3);
}

#[test]
fn a_run_whose_workers_are_lost_again_and_again_fails() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    for _ in 1..MAX_LOSSES {
        story.apply(Command::Release { fence: story.fence(), reason: Release::Lost }).unwrap();
        story.now = story.now.plus(Duration::from_secs(60));
        story.apply(Command::Claim(claim(story.now.0 + 30))).unwrap();
    }
    story.apply(Command::Release { fence: story.fence(), reason: Release::Lost }).unwrap();
    assert!(story.run.has_ended());
}

#[test]
fn an_attempt_whose_workers_were_lost_counts() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    let fail = Ending::Fail { failure: Failure::Error(body(1)), again: Again::After(Duration::ZERO) };
    story.report(Vec::new(), Some(fail)).unwrap();
    while !story.run.has_ended() {
        story.now = story.now.plus(Duration::from_secs(60));
        story.apply(Command::Claim(claim(story.now.0 + 30))).unwrap();
        story.apply(Command::Release { fence: story.fence(), reason: Release::Lost }).unwrap();
    }
    assert_eq!(story.run.attempt(), 2);
}

#[test]
fn what_cannot_be_delivered_is_tried_again_less_and_less_often() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    let mut pauses = Vec::new();
    for _ in 0..11 {
        story.apply(Command::Release { fence: story.fence(), reason: Release::Undelivered }).unwrap();
        let Phase::Retrying { at } = story.run.phase else { panic!("it is tried again") };
        pauses.push(at.since(story.now).as_secs());
        story.now = at;
        story.apply(Command::Claim(claim(at.0 + 30))).unwrap();
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
}

#[test]
fn pauses_have_bounds() {
    let retry = |initial, factor, max| Retry {
        max_attempts: 100,
        initial_delay: initial,
        backoff_factor: factor,
        max_delay: max,
    };
    let day = Duration::from_secs(86_400);
    assert_eq!(retry(Duration::from_secs(1), 10.0, day).delay_after(99), Some(day));
    assert_eq!(retry(Duration::MAX, 10.0, day).delay_after(1), Some(day));
    assert_eq!(retry(Duration::ZERO, 10.0, day).delay_after(99), Some(Duration::ZERO));
    assert_eq!(retry(day, 1.0, Duration::ZERO).delay_after(1), Some(Duration::ZERO));
    assert_eq!(retry(day, 1.0, day).delay_after(100), None);
    assert_eq!(retry(Duration::MAX, 10.0, Duration::MAX).delay_after(99), Some(Duration::MAX));
    // The end of time, and not before the beginning.
    assert_eq!(Timestamp(5).plus(Duration::MAX), Timestamp(i64::MAX));
}

#[test]
fn a_run_takes_a_thousand_steps_and_no_more() {
    let mut story = Story::new(created(Some(claim(30)), 4));
    let named = |n: usize| Reported { id: format!("{n}").parse().unwrap(), ..finished(1) };
    story.report((0..1_000).map(named).collect(), None).unwrap();
    assert_eq!(story.report(vec![named(1_000)], None), Err(Refused::TooManySteps));
    story.report(vec![named(7)], Some(Ending::Complete(None))).unwrap();
    assert_eq!(story.run.steps.len(), 1_000);
}

#[test]
fn ids_print_and_parse() {
    let id = RunId([0xab; 16]);
    assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
    for bad in ["", "run_", "run_AB", &"run_".repeat(9), "run_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"] {
        assert!(bad.parse::<RunId>().is_err(), "{bad}");
    }
}

//! The checker agrees with the naive oracle, accepts what a working vault does, and catches broken ones.

use std::{sync::Arc, time::Duration};

use claviger_torture::{Action, Consistency, Fault, Operation, Outcome, Random, Rules, Violation, check};
use proptest::prelude::*;

use crate::{
    oracle,
    simulated::{self, Size},
};

const STALENESS: Duration = Duration::from_micros(25);
const SET: Action = Action::Set { expected: None };
const STRONG: Action = Action::Read(Consistency::Strong);
const DEFAULT: Action = Action::Read(Consistency::Default);

fn rules() -> Rules {
    Rules { staleness: STALENESS, faults: Vec::new() }
}

/// An operation of a client of its own at the first server, from and until these microseconds.
fn operation(client: usize, action: Action, (began, ended): (u64, u64), outcome: Outcome) -> Operation {
    let (number, secret) = (began, Arc::from("STRIPE_KEY"));
    let (began, ended) = (Duration::from_micros(began), Duration::from_micros(ended));
    Operation { number, client, node: 0, secret, action, began, ended, outcome }
}

fn set(revision: u64, version: u64) -> Outcome {
    Outcome::Set { revision, version, created: version == 1 }
}

fn found(revision: u64, version: u64) -> Outcome {
    Outcome::Found { revision, version }
}

fn only_violation(history: &[Operation]) -> Violation {
    let violations = check(history, &rules());
    assert_eq!(violations.len(), 1, "{violations:?}");
    violations[0].clone()
}

/// The answers that show what is wrong.
fn answers(history: &[Operation]) -> Vec<Operation> {
    match only_violation(history) {
        Violation::Contradiction { earlier, later } => vec![*earlier, *later],
        Violation::NoOrder { answers, .. } => answers,
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_working_vault_passes(seed: u64) {
        let size = Size { clients: 8, operations: 400, nodes: 3, staleness: STALENESS };
        let history = simulated::history(seed, size);
        let violations = check(&history, &rules());
        prop_assert!(violations.is_empty(), "{}", violations[0]);
    }

    #[test]
    fn default_reads_of_a_history_that_passes_are_bounded_and_monotonic(seed: u64) {
        let size = Size { clients: 4, operations: 60, nodes: 2, staleness: STALENESS };
        let history = spoiled(seed, size);
        if check(&history, &rules()).is_empty() {
            assert_bounded(&history);
            assert_monotonic(&history);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_naive_oracle_agrees(seed: u64, operations in 1_usize..7) {
        let size = Size { clients: 3, operations, nodes: 2, staleness: STALENESS };
        let history = spoiled(seed, size);
        let is_explained = oracle::explains(&history, STALENESS);
        let violations = check(&history, &rules());
        let of_secret = violations.iter().filter(|it| matches!(it, Violation::NoOrder { .. } | Violation::Contradiction { .. })).count();
        prop_assert_eq!(of_secret == 0, is_explained, "{:#?}", history);
        for violation in &violations {
            prop_assert!(!still_explained(violation, &history), "{}", violation);
        }
    }
}

/// What a working vault does, with up to three answers changed or lost.
fn spoiled(seed: u64, size: Size) -> Vec<Operation> {
    let mut random = Random::new(seed);
    let mut history = simulated::history(random.draw(), size);
    for _ in 0..random.below(4) {
        let at = random.below(history.len());
        history[at].outcome = spoil(&mut random, history[at].outcome);
    }
    history
}

fn spoil(random: &mut Random, outcome: Outcome) -> Outcome {
    let off = |random: &mut Random, number: u64| (number + random.draw() % 4).saturating_sub(2);
    match outcome {
        _ if random.one_in(4) => Outcome::Unknown,
        Outcome::Set { revision, version, created } => Outcome::Set {
            revision: off(random, revision),
            version: off(random, version),
            created: created ^ random.one_in(4),
        },
        Outcome::Deleted { revision, version } => {
            Outcome::Deleted { revision: off(random, revision), version: off(random, version) }
        }
        Outcome::Found { .. } if random.one_in(4) => Outcome::NotSet,
        Outcome::Found { revision, version } => {
            Outcome::Found { revision: off(random, revision), version: off(random, version) }
        }
        Outcome::Conflict { current } => Outcome::Conflict { current: off(random, current) },
        Outcome::NotSet | Outcome::Refused | Outcome::Unknown => outcome,
    }
}

/// Whether the operations that are said to show a failure could have happened after all.
fn still_explained(violation: &Violation, history: &[Operation]) -> bool {
    let answers = match violation {
        Violation::NoOrder { answers, .. } => answers.clone(),
        Violation::Contradiction { earlier, later } => vec![(**earlier).clone(), (**later).clone()],
        _ => return false,
    };
    let may_have_changed =
        |it: &&Operation| it.written().is_some() || (it.is_write() && it.outcome == Outcome::Unknown);
    let forgotten = history.iter().filter(|it| may_have_changed(it) && !answers.contains(it));
    let forgotten = forgotten.map(|it| Operation { outcome: Outcome::Unknown, ..it.clone() });
    let shown: Vec<Operation> = answers.iter().cloned().chain(forgotten).collect();
    oracle::explains(&shown, STALENESS)
}

fn assert_bounded(history: &[Operation]) {
    for read in history.iter().filter(|it| it.action == DEFAULT) {
        let Outcome::Found { revision, .. } = read.outcome else { continue };
        for write in history.iter().filter(|it| it.ended + STALENESS < read.began) {
            assert!(write.written().is_none_or(|written| written <= revision), "{write}\n{read}");
        }
    }
}

fn assert_monotonic(history: &[Operation]) {
    let mut newest = std::collections::HashMap::new();
    for read in history.iter().filter(|it| it.action == DEFAULT) {
        if let Outcome::Found { revision, .. } = read.outcome {
            let before = newest.insert((read.client, read.node), revision);
            assert!(before.is_none_or(|before| before <= revision), "{read}");
        }
    }
}

#[test]
fn a_stale_strong_read_is_caught() {
    let history = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(1, SET, (20, 30), set(2, 2)),
        operation(2, SET, (32, 50), Outcome::Unknown),
        operation(3, STRONG, (33, 40), found(2, 2)),
        operation(2, STRONG, (60, 70), found(1, 1)),
    ];
    let shown = answers(&history);
    assert_eq!(shown, [history[1].clone(), history[4].clone()]);
    let text = only_violation(&history).to_string();
    assert!(text.contains("client 3 at node 1  strong read"), "{text}");
}

#[test]
fn an_acknowledged_change_that_is_gone_is_caught() {
    let gone = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(0, SET, (20, 30), set(2, 2)),
        operation(1, SET, (40, 50), set(3, 2)),
    ];
    assert_eq!(answers(&gone), gone[1..]);
    let unset = [operation(0, SET, (0, 10), set(1, 1)), operation(1, STRONG, (20, 30), Outcome::NotSet)];
    assert_eq!(answers(&unset), unset);
}

#[test]
fn a_compare_and_set_that_both_win_is_caught() {
    let guarded = Action::Set { expected: Some(1) };
    let history = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(1, guarded, (20, 40), set(2, 2)),
        operation(2, guarded, (20, 40), set(3, 3)),
    ];
    assert_eq!(answers(&history), history[1..]);
}

#[test]
fn a_read_from_the_future_is_caught() {
    let history = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(1, STRONG, (12, 15), found(2, 2)),
        operation(0, SET, (20, 30), set(2, 2)),
    ];
    assert_eq!(answers(&history), history[1..]);
    let by_default = [history[0].clone(), operation(1, DEFAULT, (12, 15), found(2, 2)), history[2].clone()];
    assert_eq!(answers(&by_default), by_default[1..]);
    let unanswered = [history[0].clone(), history[1].clone(), operation(0, SET, (20, 30), Outcome::Unknown)];
    assert_eq!(answers(&unanswered), [history[1].clone()]);
}

#[test]
fn revisions_that_do_not_follow_time_are_caught() {
    let other = |history: Operation| Operation { secret: Arc::from("MAIL_PASSWORD"), ..history };
    let history = [operation(0, SET, (0, 10), set(2, 1)), other(operation(0, SET, (20, 30), set(1, 1)))];
    assert!(matches!(only_violation(&history), Violation::OutOfOrder { .. }));
    let twice = [operation(0, SET, (0, 10), set(1, 1)), other(operation(1, SET, (5, 10), set(1, 1)))];
    assert!(matches!(only_violation(&twice), Violation::OutOfOrder { .. }));
    let together = [operation(0, SET, (0, 10), set(2, 1)), other(operation(1, SET, (5, 30), set(1, 1)))];
    assert_eq!(check(&together, &rules()), []);
}

#[test]
fn a_default_read_may_be_behind_and_not_too_far() {
    let history = |began| {
        [
            operation(0, SET, (0, 10), set(1, 1)),
            operation(0, SET, (20, 30), set(2, 2)),
            Operation { node: 1, ..operation(1, DEFAULT, (began, began + 5), found(1, 1)) },
        ]
    };
    assert_eq!(check(&history(55), &rules()), []);
    assert_eq!(answers(&history(56)), history(56)[1..]);
    let fault = Fault { node: 1, began: Duration::from_micros(10), ended: Duration::from_micros(40) };
    let excused = Rules { faults: vec![fault.clone()], ..rules() };
    assert_eq!(check(&history(56), &excused), []);
    assert_eq!(check(&history(66), &excused).len(), 1);
    let of_another = Rules { faults: vec![Fault { node: 0, ..fault }], ..rules() };
    assert_eq!(check(&history(56), &of_another).len(), 1);
}

#[test]
fn a_default_read_never_goes_back() {
    let history = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(0, SET, (20, 30), set(2, 2)),
        Operation { node: 1, ..operation(1, DEFAULT, (31, 32), found(2, 2)) },
        Operation { node: 1, ..operation(1, DEFAULT, (33, 34), found(1, 1)) },
    ];
    assert_eq!(answers(&history), history[2..]);
    let another_client = Operation { client: 2, ..history[3].clone() };
    assert_eq!(check(&[history[0].clone(), history[1].clone(), history[2].clone(), another_client], &rules()), []);
}

#[test]
fn a_server_shows_what_it_has_acknowledged() {
    let history = [
        operation(0, SET, (0, 10), set(1, 1)),
        operation(0, SET, (20, 30), set(2, 2)),
        operation(1, DEFAULT, (31, 32), found(1, 1)),
    ];
    assert_eq!(answers(&history), history[1..]);
}

#[test]
fn a_change_without_an_answer_may_happen_late_and_only_once() {
    let late = [
        operation(0, SET, (0, 10), Outcome::Unknown),
        operation(1, STRONG, (20, 30), Outcome::NotSet),
        operation(1, STRONG, (40, 50), found(7, 1)),
        operation(1, SET, (60, 70), set(9, 2)),
    ];
    assert_eq!(check(&late, &rules()), []);
    let twice = [late[0].clone(), operation(1, SET, (60, 70), set(9, 3))];
    assert_eq!(answers(&twice), twice[1..]);
    let refused = [operation(0, SET, (0, 10), Outcome::Refused), late[2].clone()];
    assert_eq!(answers(&refused), refused[1..]);
}

#[test]
fn the_explanation_of_a_long_history_is_short() {
    let size = Size { clients: 8, operations: 3_000, nodes: 3, staleness: STALENESS };
    let mut history = simulated::history(7, size);
    let strong = |it: &Operation| it.action == STRONG && matches!(it.outcome, Outcome::Found { .. });
    let early = history.iter().position(strong).expect("a read");
    let late = history.iter().rposition(strong).expect("a read");
    history[late].outcome = history[early].outcome;
    let shown = answers(&history);
    assert!(shown.len() <= 2 && shown.contains(&history[late]), "{shown:?}");
}

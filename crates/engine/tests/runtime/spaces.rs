//! Runs work in the space of their event.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use claviger_core::{Bounds, Revision, Timestamp};
use claviger_engine::{
    Clock, Error,
    audit::Fact,
    runtime::{Condition, FunctionSpec, Known, Made, Registration, Status, Trigger},
};
use claviger_store::{Append, Expected, Stream, Subject};
use tokio::time::Instant;

use crate::world::{
    World, admin, caller, caller_in, declared, env, function, id, json, made, needy, scope, secret_version,
};

fn in_spaces(spec: FunctionSpec, spaces: &[&str]) -> FunctionSpec {
    FunctionSpec { spaces: Some(spaces.iter().map(|space| space.parse().unwrap()).collect()), ..spec }
}

fn trigger(event: &str, conditions: &[(&str, serde_json::Value)]) -> Trigger {
    let condition =
        |(path, equals): &(&str, serde_json::Value)| Condition { path: (*path).into(), equals: equals.clone() };
    Trigger { event: event.parse().unwrap(), conditions: conditions.iter().map(condition).collect() }
}

async fn world_with(spaces: &[&str]) -> World {
    let world = World::new().await;
    for space in spaces {
        world.space(space).await;
    }
    world
}

/// The functions that an event started.
async fn started(world: &World, space: Option<&str>, event: (&str, &str)) -> BTreeSet<String> {
    let event = world.emit_in(space, None, event).await;
    world.all_runs_of(space, &event).await.into_iter().map(|run| run.info.function).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_start_functions_by_pattern_space_and_conditions() {
    let world = world_with(&["acme", "beta"]).await;
    let specs = vec![
        FunctionSpec { triggers: vec!["order.*".parse().unwrap()], ..function("all") },
        in_spaces(FunctionSpec { triggers: vec!["order.*".parse().unwrap()], ..function("acme") }, &["acme"]),
        in_spaces(FunctionSpec { triggers: vec!["order.*".parse().unwrap()], ..function("both") }, &["beta", "acme"]),
        FunctionSpec {
            triggers: vec![
                trigger("order.*", &[("data.kind", "big".into()), ("data.items.1.price", 7.into())]),
                trigger("order.>", &[("data", "all".into())]),
            ],
            ..function("some")
        },
    ];
    let _worker = world.worker(specs, 100).await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let big = r#"{"kind":"big","items":[{"price":1},{"price":7}]}"#;
    for (space, data, expected) in [
        (None, "{}", &["all"][..]),
        (Some("acme"), "{}", &["all", "acme", "both"]),
        (Some("beta"), "null", &["all", "both"]),
        (None, big, &["all", "some"]),
        (Some("beta"), big, &["all", "both", "some"]),
        (None, r#"{"kind":"big","items":[{"price":7}]}"#, &["all"]),
        (None, r#"{"kind":"big"}"#, &["all"]),
        (None, r#""all""#, &["all", "some"]),
    ] {
        assert_eq!(started(&world, space, ("order.created", data)).await, names(expected), "{space:?} {data}");
    }
    assert_eq!(started(&world, Some("acme"), ("order.item.added", r#""all""#)).await, names(&["some"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn declarations_are_checked_and_kept() {
    let world = world_with(&["acme"]).await;
    let spec = |conditions: &[(&str, serde_json::Value)]| FunctionSpec {
        triggers: vec![trigger("a", conditions)],
        ..function("f")
    };
    let connect = |spec: FunctionSpec| {
        let registration =
            Registration { environment: env(), functions: vec![spec], credit: 1, worker: "w".to_owned() };
        world.engine.runtime().connect(caller(Bounds::default()), registration)
    };
    let many: Vec<_> = (0..33).map(|_| ("data", 1.into())).collect();
    let far = in_spaces(function("f"), &["acme"; 1_001]);
    let nowhere = in_spaces(function("f"), &[]);
    for bad in [spec(&[("name", 1.into())]), spec(&[("dat.a", 1.into())]), spec(&many), far, nowhere] {
        assert!(matches!(connect(bad).await, Err(Error::Invalid { .. })));
    }
    let kept =
        in_spaces(FunctionSpec { lookups: true, ..spec(&[("data.a", json_value(r#"{"b":[null,1.5]}"#))]) }, &["acme"]);
    drop(connect(kept.clone()).await.unwrap());
    let world = world.restarted().await;
    let known = world.engine.runtime().functions(&admin(), &env()).await.unwrap();
    assert_eq!(known[0].function.spec, kept);
}

fn json_value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_secrets_children_and_sent_events_stay_in_the_space() {
    let world = world_with(&["acme"]).await;
    world.set("TOKEN", "of-environment").await;
    world.set_in(&scope(Some("acme")), "TOKEN", "of-acme").await;
    let mut parent = function("parent");
    parent.secrets = vec![declared("TOKEN")];
    let mut child = function("child");
    child.secrets = vec![declared("TOKEN")];
    let mut worker = world.worker(vec![parent, child, function("sent")], 8).await;
    for (space, value) in [(Some("acme"), "of-acme"), (None, "of-environment")] {
        let name = space.map(|space: &str| space.parse().unwrap());
        world.emit_in(space, None, ("parent.requested", "{}")).await;
        let job = worker.job().await;
        assert_eq!(job.secrets[0].value.expose(), value.as_bytes());
        let invoke = Made::Invoke { function: id("child"), data: None, timeout: None };
        let send = Made::Send { event: "sent.requested".parse().unwrap(), data: Some(json("1")) };
        worker.suspend(&job, vec![made("child", invoke), made("send", send)]).await;
        let mut jobs = [worker.job().await, worker.job().await];
        jobs.sort_by_key(|job| job.function.to_string());
        let [of_child, sent] = &jobs;
        assert_eq!((of_child.function.as_str(), sent.function.as_str()), ("child", "sent"));
        assert_eq!(of_child.secrets[0].value.expose(), value.as_bytes());
        assert_eq!((&of_child.event.space, &sent.event.space), (&name, &name));
        let run = world.run(of_child.run).await;
        assert_eq!(
            (&run.info.space, &run.deliveries[0].secrets[..]),
            (&name, &[secret_version("TOKEN", 1, space)][..])
        );
        worker.complete(sent, "null").await;
        worker.complete(of_child, &format!(r#""{value}""#)).await;
        let again = worker.job().await;
        let Known::Result(Some(result)) = &again.steps[0].known else { panic!("the child's result") };
        assert_eq!(result.get(), format!(r#""{value}""#));
        worker.complete(&again, "null").await;
        assert_eq!(world.run(job.run).await.steps.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_in_two_places_starts_a_run_in_each() {
    let world = world_with(&["acme", "beta"]).await;
    let mut worker = world.worker(vec![function("f")], 8).await;
    for (space, data) in [(Some("acme"), "1"), (None, "2"), (Some("beta"), "3")] {
        let event = world.emit_in(space, Some("order-17"), ("f.requested", data)).await;
        assert_eq!(world.emit_in(space, Some("order-17"), ("f.requested", "4")).await, event);
        let runs = world.all_runs_of(space, &event).await;
        let job = worker.job().await;
        assert_eq!((job.event.space, job.event.data.get()), (scope(space).space, data));
        assert_eq!(runs.iter().map(|run| run.info.id).collect::<Vec<_>>(), [job.run]);
        assert_eq!(runs[0].info.space, scope(space).space);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_blocked_by_what_its_space_lacks() {
    let world = world_with(&["acme", "beta"]).await;
    let mut worker = world.worker(vec![needy("payout", &["TOKEN"])], 8).await;
    world.set_in(&scope(Some("beta")), "TOKEN", "of-beta").await;
    let blocked = world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    let run = world.run_in(Some("acme"), &blocked, Status::Blocked).await;
    assert_eq!(run.info.missing, ["TOKEN"]);
    world.emit_in(Some("beta"), None, ("payout.requested", "{}")).await;
    let there = worker.job().await;
    assert_eq!(there.secrets[0].value.expose(), b"of-beta");
    assert_eq!(world.run(run.info.id).await.info.status, Status::Blocked, "another space's is not its own");
    // What it inherits lets it go on.
    world.set("TOKEN", "of-environment").await;
    let job = worker.job().await;
    assert_eq!((job.run, job.secrets[0].value.expose()), (run.info.id, &b"of-environment"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_goes_takes_with_it_what_it_inherits() {
    let world = world_with(&["acme"]).await;
    world.set("TOKEN", "of-environment").await;
    let payout = FunctionSpec { lookups: true, ..needy("payout", &["TOKEN"]) };
    let mut worker = world.worker(vec![payout], 1).await;
    world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    let job = worker.job().await;
    let waiting = world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    assert!(worker.look_up(&job, "TOKEN").await.is_some());
    let acme = "acme".parse().unwrap();
    world.engine.spaces().delete(&admin(), &env(), &acme, None).await.unwrap();
    worker.changes_to(&job, "TOKEN", None).await;
    worker.complete(&job, "null").await;
    let run = world.run_in(Some("acme"), &waiting, Status::Blocked).await;
    world.space("acme").await;
    assert_eq!(worker.job().await.run, run.info.id);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_run_goes_on_although_nobody_can_tell_whether_others_may() {
    let world = world_with(&["acme"]).await;
    let damaged: Vec<String> = (0..8).map(|at| format!("DAMAGED_{at}")).collect();
    let names: Vec<&str> = damaged.iter().map(String::as_str).collect();
    let others = world.worker(vec![needy("other", &names)], 1).await;
    let other = world.emit_in(Some("acme"), None, ("other.requested", "{}")).await;
    let other = world.run_in(Some("acme"), &other, Status::Blocked).await;
    world.set("TOKEN", "of-environment").await;
    let mut worker = world.worker(vec![needy("payout", &["TOKEN"])], 1).await;
    world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    let job = worker.job().await;
    let waiting = world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    world.engine.spaces().delete(&admin(), &env(), &"acme".parse().unwrap(), None).await.unwrap();
    worker.complete(&job, "null").await;
    let run = world.run_in(Some("acme"), &waiting, Status::Blocked).await;
    for name in names {
        let subject = Subject::parse(&format!("secret.default.env.{name}")).unwrap();
        let damage = Append::new(Stream::Secrets, subject, b"damaged".to_vec(), Expected::Absent);
        world.ledger.append(vec![damage]).await.remove(0).unwrap();
    }
    let created_at = Instant::now();
    world.space("acme").await;
    assert_eq!(worker.job().await.run, run.info.id);
    assert!(created_at.elapsed() < Duration::from_secs(1), "at once, not when they are looked at again");
    assert_eq!(world.run(other.info.id).await.info.status, Status::Blocked);
    drop(others);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_sees_events_of_its_space_and_without_one_all() {
    let world = world_with(&["acme", "beta"]).await;
    let mut worker = world.worker(vec![function("payout")], 8).await;
    let wait = || made("paid", Made::Wait { pattern: "paid".parse().unwrap(), condition: None, timeout: None });
    for (space, seen) in [(Some("acme"), "3"), (None, "1")] {
        world.emit_in(space, None, ("payout.requested", "{}")).await;
        let job = worker.job().await;
        worker.suspend(&job, vec![wait()]).await;
        for (other, data) in [(Some("beta"), "1"), (None, "2"), (Some("acme"), "3")] {
            world.emit_in(other, None, ("paid", data)).await;
        }
        let again = worker.job().await;
        let Known::Result(Some(result)) = &again.steps[0].known else { panic!("an event") };
        let event = json_value(result.get());
        assert_eq!(event["data"], json_value(seen));
        assert_eq!(event["space"], if seen == "3" { "acme" } else { "beta" });
        worker.complete(&again, "null").await;
    }
    // Also one that came before the wait was known to anybody, as after a restart.
    world.emit_in(Some("acme"), None, ("payout.requested", "{}")).await;
    let job = worker.job().await;
    worker.suspend(&job, vec![wait()]).await;
    let world = world.restarted().await;
    let mut worker = world.worker(vec![function("payout")], 8).await;
    for (other, data) in [(None, "2"), (Some("acme"), "3")] {
        world.emit_in(other, None, ("paid", data)).await;
    }
    let Known::Result(Some(result)) = &worker.job().await.steps[0].known else { panic!("an event") };
    assert_eq!(json_value(result.get())["data"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_key_declares_and_emits_only_for_its_spaces() {
    let world = world_with(&["acme", "beta"]).await;
    let connect = async |spaces: &[&str], spec: FunctionSpec| {
        let registration =
            Registration { environment: env(), functions: vec![spec], credit: 1, worker: "w".to_owned() };
        world.engine.runtime().connect(caller_in(spaces), registration).await.map(|(connection, _)| connection)
    };
    let f = || function("f");
    assert!(connect(&["acme"], in_spaces(f(), &["acme"])).await.is_ok());
    for (own, spec) in [
        (&["acme"][..], f()),
        (&["acme"], in_spaces(f(), &["acme", "beta"])),
        // It is acme's.
        (&["beta"], in_spaces(f(), &["beta"])),
    ] {
        assert!(matches!(connect(own, spec).await, Err(Error::Denied { bound: Some(_), .. })));
    }
    assert!(connect(&["acme", "beta"], in_spaces(f(), &["beta"])).await.is_ok());
    assert!(
        matches!(connect(&["acme"], in_spaces(f(), &["acme"])).await, Err(Error::Denied { .. })),
        "it is beta's now"
    );
    let entries = world.engine.audit().list(&admin(), &env(), Revision::ZERO, 100).await.unwrap().items;
    assert_eq!(entries.iter().filter(|entry| matches!(entry.fact, Fact::Refused { .. })).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_only_to_a_worker_whose_key_is_for_its_space() {
    let world = world_with(&["acme", "beta"]).await;
    let narrow = in_spaces(function("f"), &["acme"]);
    let mut acme = world.worker_of(caller_in(&["acme"]), vec![narrow.clone()], 8).await;
    // A worker that is not narrowed declares it for all: acme's goes on serving what it may.
    let mut all = world.worker(vec![function("f")], 1).await;
    world.emit_in(Some("beta"), None, ("f.requested", "1")).await;
    let first = all.job().await;
    let waiting = world.emit_in(Some("beta"), None, ("f.requested", "2")).await;
    let of_environment = world.emit_in(None, None, ("f.requested", "3")).await;
    for _ in 0..10 {
        world.emit_in(Some("acme"), None, ("f.requested", "4")).await;
        let job = acme.job().await;
        assert_eq!(job.event.space, Some("acme".parse().unwrap()));
        acme.complete(&job, "null").await;
    }
    assert_eq!(world.run_in(Some("beta"), &waiting, Status::Queued).await.info.attempt, 1);
    let mut job = first;
    for _ in 0..2 {
        all.complete(&job, "null").await;
        job = all.job().await;
        assert_ne!(job.event.space, Some("acme".parse().unwrap()));
    }
    all.complete(&job, "null").await;
    world.run_in(Some("beta"), &waiting, Status::Completed).await;
    world.run_with(&of_environment, Status::Completed).await;
    assert!(acme.inbox.try_recv().is_err());
}

/// Time that stands still: nothing is looked at again because some has passed.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_no_free_worker_may_have_goes_to_the_first_that_may() {
    let world = World::by(Arc::new(Still)).await;
    for space in ["acme", "beta"] {
        world.space(space).await;
    }
    let mut acme = world.worker_of(caller_in(&["acme"]), vec![in_spaces(function("f"), &["acme"])], 1).await;
    let mut busy = world.worker(vec![function("f")], 1).await;
    world.emit_in(Some("beta"), None, ("f.requested", "0")).await;
    let job = busy.job().await;
    for data in ["1", "2"] {
        world.emit_in(Some("beta"), None, ("f.requested", data)).await;
    }
    // By then they were offered to the worker that is free.
    for _ in 0..4 {
        world.emit_in(Some("acme"), None, ("f.requested", "9")).await;
        let job = acme.job().await;
        assert_eq!(job.event.data.get(), "9");
        acme.complete(&job, "null").await;
    }
    // One that becomes free takes it, and so does one that comes.
    busy.complete(&job, "null").await;
    let first = busy.job().await;
    let mut new = world.worker(vec![function("f")], 1).await;
    let second = new.job().await;
    let mut data = [first.event.data.get(), second.event.data.get()];
    data.sort_unstable();
    assert_eq!(data, ["1", "2"]);
    // Nobody is left for it: it waits.
    let third = world.emit_in(Some("beta"), None, ("f.requested", "3")).await;
    world.run_in(Some("beta"), &third, Status::Queued).await;
    assert!(acme.inbox.try_recv().is_err());
    new.complete(&second, "null").await;
    assert_eq!(new.job().await.event.data.get(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_widened_begins_now_where_it_is_new() {
    let world = world_with(&["acme", "beta"]).await;
    let narrow = in_spaces(function("f"), &["acme"]);
    drop(world.worker(vec![narrow], 1).await);
    let old = world.emit_in(Some("beta"), None, ("f.requested", "1")).await;
    let kept = world.emit_in(Some("acme"), None, ("f.requested", "2")).await;
    world.run_in(Some("acme"), &kept, Status::Queued).await;
    // A server with an index of its own goes through all events again.
    let world = World::on(world.ledger.clone()).await;
    let mut worker = world.worker(vec![function("f")], 8).await;
    let new = world.emit_in(Some("beta"), None, ("f.requested", "3")).await;
    let mut seen = [worker.job().await, worker.job().await];
    seen.sort_by_key(|job| job.event.data.get().to_owned());
    assert_eq!(seen.iter().map(|job| job.event.data.get()).collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(world.all_runs_of(Some("beta"), &new).await.len(), 1);
    assert!(world.all_runs_of(Some("beta"), &old).await.is_empty());
}

//! Listeners look secrets up by name while they have a job.

use std::sync::Arc;

use claviger_core::{Bounds, Caller, Reach, Revision};
use claviger_engine::{
    Error,
    audit::Fact,
    runtime::{CancelReason, Frame, Job, Lookup, LookupSpace, MAX_LOOKUPS, Outgoing, Retryable, RunDetail, Status},
};
use claviger_store::Stream;

use crate::world::{
    Worker, World, admin, caller, caller_in, env, function, listener, returned, scope, secret_version, within,
};

fn found(version: u64, value: &str) -> Option<(u64, String)> {
    Some((version, value.to_owned()))
}

/// What was refused, in order.
async fn refusals(world: &World) -> Vec<String> {
    let entries = world.engine.audit().list(&admin(), &env(), Revision::ZERO, 1_000).await.unwrap().items;
    let what = |fact| match fact {
        Fact::Refused { what, .. } => Some(what.unwrap_or_default()),
        _ => None,
    };
    entries.into_iter().filter_map(|entry| what(entry.fact)).collect()
}

/// Deliveries in the audit of an environment.
async fn delivered(world: &World, environment: &str) -> usize {
    let place = environment.parse().unwrap();
    let entries = world.engine.audit().list(&admin(), &place, Revision::ZERO, 1_000).await.unwrap().items;
    entries.iter().filter(|entry| matches!(entry.fact, Fact::Delivered { .. })).count()
}

fn versions(run: &RunDetail) -> Vec<claviger_core::secret::SecretVersion> {
    run.deliveries.iter().flat_map(|delivery| delivery.secrets.iter().cloned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_noted_audited_and_masked() {
    let world = World::new().await;
    world.set("SLACK_TOKEN", "xoxb-canary-1").await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    assert!(job.secrets.is_empty());
    assert_eq!(worker.look_up(&job, "SLACK_TOKEN").await, found(1, "xoxb-canary-1"));
    assert_eq!(world.engine.live().redact("it is xoxb-canary-1"), "it is «SLACK_TOKEN@1»");
    assert_eq!(worker.look_up(&job, "NOT_SET").await, None);
    assert_eq!(versions(&world.run(job.run).await), [secret_version("SLACK_TOKEN", 1, None)]);
    assert_eq!((delivered(&world, "default").await, refusals(&world).await), (1, Vec::new()));
    // Again: noted once, audited twice.
    assert_eq!(worker.look_up(&job, "SLACK_TOKEN").await, found(1, "xoxb-canary-1"));
    assert_eq!(versions(&world.run(job.run).await).len(), 1);
    assert_eq!(delivered(&world, "default").await, 2);
    worker.report(&job, vec![returned("leak", r#""Bearer xoxb-canary-1""#)]).await;
    worker.complete(&job, r#""xoxb-canary-1""#).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert!(!format!("{run:?}").contains("canary"));
    assert_eq!(run.result.unwrap().get(), r#""«SLACK_TOKEN@1»""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_resolves_where_the_job_is() {
    let world = World::new().await;
    for space in ["acme", "beta"] {
        world.space(space).await;
    }
    world.set("TOKEN", "of-environment").await;
    world.set_in(&scope(Some("beta")), "TOKEN", "of-beta").await;
    world.set_in(&scope(Some("acme")), "OWN", "of-acme").await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit_in(Some("acme"), None, ("orders.requested", "{}")).await;
    let job = worker.job().await;
    assert_eq!(job.event.space, Some("acme".parse().unwrap()));
    assert_eq!(worker.look_up(&job, "TOKEN").await, found(1, "of-environment"), "inherited");
    assert_eq!(worker.look_up(&job, "OWN").await, found(1, "of-acme"));
    let asked = [
        (LookupSpace::Named("beta".parse().unwrap()), found(1, "of-beta")),
        (LookupSpace::Environment, found(1, "of-environment")),
        (LookupSpace::Named("nowhere".parse().unwrap()), None),
    ];
    for (space, expected) in asked {
        worker.ask_in(&job, "other", ("TOKEN", None, space));
        assert_eq!(worker.found().await, ("other".to_owned(), expected));
    }
    // An override in the middle of the job: it is told, and finds the new one.
    world.set_in(&scope(Some("acme")), "TOKEN", "of-acme-now").await;
    worker.changes_to(&job, "TOKEN", Some((1, "of-acme-now"))).await;
    // A block wins over both.
    let blocked = ("TOKEN".parse().unwrap(), scope(Some("acme")));
    world.engine.vault().block(&admin(), &blocked.1, &blocked.0, None).await.unwrap();
    worker.changes_to(&job, "TOKEN", None).await;
    let noted = versions(&world.run(job.run).await);
    let expected = [
        secret_version("TOKEN", 1, None),
        secret_version("OWN", 1, Some("acme")),
        secret_version("TOKEN", 1, Some("beta")),
        secret_version("TOKEN", 1, Some("acme")),
    ];
    assert_eq!(noted, expected);
    let leak = r#"["of-environment","of-acme","of-beta","of-acme-now"]"#;
    worker.complete(&job, leak).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert_eq!(run.result.unwrap().get(), r#"["«TOKEN@1»","«OWN@1»","«TOKEN@1»","«TOKEN@1»"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_environment_takes_a_key_for_it() {
    let world = World::new().await;
    let staging = world.engine.access().create_environment(&admin(), "staging").await.unwrap().name;
    let there = claviger_core::Scope::environment(staging);
    world.set_in(&there, "TOKEN", "staging-canary").await;
    world.set("TOKEN", "home-canary").await;
    let asked = ("TOKEN", Some("staging"), LookupSpace::OfJob);

    let mut narrow = world.worker(vec![listener("narrow")], 1).await;
    world.emit("narrow.requested", "{}").await;
    let job = narrow.job().await;
    narrow.ask_in(&job, "1", asked.clone());
    assert_eq!(narrow.found().await.1, None, "as if it were not set");
    let [refusal] = &refusals(&world).await[..] else { panic!("one refusal") };
    assert!(refusal.contains("`TOKEN`") && refusal.contains("`staging`"), "{refusal}");
    // Nor does it hear of changes there: the first that it hears is the one that was made after.
    assert_eq!(narrow.look_up(&job, "OWN").await, None);
    world.set_in(&there, "TOKEN", "staging-canary-2").await;
    world.set("OWN", "own-canary").await;
    narrow.changes_to(&job, "OWN", Some((1, "own-canary"))).await;
    assert_eq!(narrow.look_up(&job, "TOKEN").await, found(1, "home-canary"));

    let wide = Caller { reach: Reach::All, ..caller(Bounds::default()) };
    let mut wide = world.worker_of(wide, vec![listener("wide")], 1).await;
    world.emit("wide.requested", "{}").await;
    let job = wide.job().await;
    wide.ask_in(&job, "1", asked);
    assert_eq!(wide.found().await.1, found(2, "staging-canary-2"));
    assert_eq!((delivered(&world, "staging").await, delivered(&world, "default").await), (1, 2));
    let run = world.run(job.run).await;
    assert_eq!(run.deliveries[1].environment.as_str(), "staging");
    wide.fail(&job, "failed with staging-canary-2", Retryable::Yes).await;
    // The next attempt knows of it by the journal alone, and so does a server that starts.
    let world = world.restarted().await;
    let wide = Caller { reach: Reach::All, ..caller(Bounds::default()) };
    let mut wide = world.worker_of(wide, vec![listener("wide")], 1).await;
    let job = wide.job().await;
    wide.complete(&job, r#"["staging-canary-2","home-canary"]"#).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert_eq!(run.result.unwrap().get(), r#"["«TOKEN@2»","home-canary"]"#, "only what this run was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_key_finds_what_its_space_has_and_inherits() {
    let world = World::new().await;
    for space in ["acme", "beta"] {
        world.space(space).await;
        world.set_in(&scope(Some(space)), "OWN", &format!("own-of-{space}")).await;
    }
    world.set("TOKEN", "of-environment").await;
    let spec =
        claviger_engine::runtime::FunctionSpec { spaces: Some(vec!["acme".parse().unwrap()]), ..listener("orders") };
    let mut worker = world.worker_of(caller_in(&["acme"]), vec![spec], 1).await;
    world.emit_in(Some("acme"), None, ("orders.requested", "{}")).await;
    let job = worker.job().await;
    assert_eq!(worker.look_up(&job, "TOKEN").await, found(1, "of-environment"));
    assert_eq!(worker.look_up(&job, "OWN").await, found(1, "own-of-acme"));
    for space in [LookupSpace::Named("beta".parse().unwrap()), LookupSpace::Environment] {
        worker.ask_in(&job, "1", ("OWN", None, space));
        assert_eq!(worker.found().await.1, None);
    }
    assert_eq!(refusals(&world).await.len(), 2);
    // It hears of what it inherits, and not of what it was refused.
    world.set_in(&scope(Some("beta")), "OWN", "own-of-beta-2").await;
    world.set("TOKEN", "of-environment-2").await;
    worker.changes_to(&job, "TOKEN", Some((2, "of-environment-2"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_declared_look_ups_of_the_present_claim_are_answered() {
    let world = World::new().await;
    world.set("TOKEN", "some-value").await;
    let mut worker = world.worker(vec![function("plain"), listener("orders")], 2).await;
    world.emit("plain.requested", "{}").await;
    let plain = worker.job().await;
    worker.ask(&plain, "7", "TOKEN");
    let Some(Outgoing::Unanswered { id, error, .. }) = worker.hear().await else { panic!("a refusal") };
    assert_eq!((id.as_str(), error.code()), ("7", "denied"));
    assert_eq!(refusals(&world).await.len(), 1);
    assert_eq!(world.engine.audit().deliveries_total(), 0);

    world.emit("orders.requested", "{}").await;
    let mut job = worker.job().await;
    let fence = std::mem::replace(&mut job.fence, Revision(1));
    worker.ask(&job, "1", "TOKEN");
    assert_eq!(worker.cancelled().await, CancelReason::Lost);
    job.fence = fence;
    // Another worker's job.
    let other = world.worker(vec![listener("orders")], 1).await;
    let mut other = Worker { jobs: Default::default(), ..other };
    other.ask(&job, "1", "TOKEN");
    assert_eq!(other.cancelled().await, CancelReason::Lost);
    assert_eq!(worker.look_up(&job, "TOKEN").await, found(1, "some-value"), "it is held as before");
    worker.complete(&job, "null").await;
    worker.ask(&job, "2", "TOKEN");
    assert_eq!(worker.cancelled().await, CancelReason::Lost);
    assert_eq!(world.engine.audit().deliveries_total(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_look_ups_at_once_are_each_answered() {
    let world = World::new().await;
    for n in 0..MAX_LOOKUPS {
        world.set(&format!("TOKEN_{n}"), &format!("value-number-{n:02}")).await;
    }
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    for _ in 0..10 {
        for n in 0..MAX_LOOKUPS {
            worker.ask(&job, &n.to_string(), &format!("TOKEN_{n}"));
        }
        for _ in 0..MAX_LOOKUPS {
            let (id, value) = worker.found().await;
            assert_eq!(value, found(1, &format!("value-number-{:02}", id.parse::<u32>().unwrap())));
        }
    }
    assert_eq!(world.engine.audit().deliveries_total(), 10 * MAX_LOOKUPS as u64);
    assert_eq!(versions(&world.run(job.run).await).len(), MAX_LOOKUPS);
    let all: Vec<String> = (0..MAX_LOOKUPS).map(|n| format!("value-number-{n:02}")).collect();
    worker.complete(&job, &serde_json::to_string(&all).unwrap()).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert!(!run.result.unwrap().get().contains("value"));
}

fn ask(worker: &Worker, job: &Job, n: usize) -> Result<(), Error> {
    let lookup = Lookup {
        run: job.run,
        fence: job.fence,
        id: n.to_string().parse().unwrap(),
        name: "TOKEN".parse().unwrap(),
        environment: None,
        space: LookupSpace::OfJob,
    };
    worker.connection.submit(Frame::Lookup(lookup))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_read_its_answers_breaks_the_protocol() {
    let world = World::new().await;
    world.set("TOKEN", "some-value").await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    // As many again as it may ask at once are let through: they might be for a job that was taken back.
    for n in 0..2 * MAX_LOOKUPS {
        within(ask_again(&worker, &job, n)).await;
    }
    assert!(matches!(ask(&worker, &job, 0), Err(Error::TooManyRequests)));
    worker.found().await;
    within(ask_again(&worker, &job, 0)).await;
}

/// Asks until it may.
async fn ask_again(worker: &Worker, job: &Job, n: usize) {
    while ask(worker, job, n).is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_wait_for_answers_breaks_the_protocol() {
    let world = World::new().await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    // Nobody can note anything: the answers have to wait.
    world.cable.fill_up(Some(Stream::Runs));
    worker.send(&job, vec![returned("a", "1")], None);
    let ask = |n: usize| ask(&worker, &job, n);
    within(async {
        while world.cable.refused() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!((0..MAX_LOOKUPS).all(|n| ask(n).is_ok()));
    assert!(matches!(ask(MAX_LOOKUPS), Err(Error::TooManyRequests)));
    world.cable.fill_up(None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_that_could_not_be_noted_or_audited() {
    let world = World::new().await;
    world.set("TOKEN", "some-canary").await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    for stream in [Stream::Runs, Stream::Audit] {
        world.cable.fill_up(Some(stream));
        worker.ask(&job, "1", "TOKEN");
        match worker.hear().await {
            Some(Outgoing::Unanswered { error, .. }) => assert_eq!(error.code(), "store_full"),
            other => panic!("expected no answer, got {other:?}"),
        }
        assert_eq!(world.engine.audit().deliveries_total(), 0);
    }
    world.cable.fill_up(None);
    assert_eq!(worker.look_up(&job, "TOKEN").await, found(1, "some-canary"));
    assert_eq!(delivered(&world, "default").await, 1);
    worker.complete(&job, r#""some-canary""#).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert_eq!(run.result.unwrap().get(), r#""«TOKEN@1»""#, "although it had been noted before it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_looked_up_is_masked_in_later_attempts_and_after_a_restart() {
    let world = World::new().await;
    world.set("TOKEN", "first-canary").await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    worker.look_up(&job, "TOKEN").await;
    world.set("TOKEN", "second-canary").await;
    worker.changes_to(&job, "TOKEN", Some((2, "second-canary"))).await;
    worker.fail(&job, "it was first-canary", Retryable::Yes).await;
    let world = world.restarted().await;
    let mut worker = world.worker(vec![listener("orders")], 1).await;
    let again = worker.job().await;
    assert_eq!(again.run, job.run);
    worker.complete(&again, r#""first-canary second-canary""#).await;
    let run = world.reaches(job.run, Status::Completed).await;
    assert!(!format!("{run:?}").contains("canary"));
    assert_eq!(run.result.unwrap().get(), r#""«TOKEN@1» «TOKEN@2»""#);
    assert!(run.deliveries.iter().any(|delivery| delivery.attempt == 1 && !delivery.secrets.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_narrowed_by_name_finds_nothing_else() {
    let world = World::new().await;
    world.set("SLACK_TOKEN", "some-value").await;
    world.set("STRIPE_KEY", "other-value").await;
    let bounds = Bounds { secrets: vec!["SLACK_*".to_owned()], ..Bounds::default() };
    let narrow = Caller { bounds: Arc::new(bounds), ..caller(Bounds::default()) };
    let mut worker = world.worker_of(narrow, vec![listener("orders")], 1).await;
    world.emit("orders.requested", "{}").await;
    let job = worker.job().await;
    assert_eq!(worker.look_up(&job, "SLACK_TOKEN").await, found(1, "some-value"));
    assert_eq!(worker.look_up(&job, "STRIPE_KEY").await, None);
    assert_eq!(refusals(&world).await.len(), 1);
}

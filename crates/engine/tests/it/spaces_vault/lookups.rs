//! Look-ups of single secrets, and what the audit says of those that are refused.

use std::sync::Arc;

use claviger_core::{Caller, FunctionId, Reach, run::RunId};
use claviger_engine::vault::Lookup;

use super::*;

const RUN: RunId = RunId([4; 16]);

/// A runtime caller in the default environment, narrowed.
fn narrowed(secrets: &str, spaces: Option<&[&str]>) -> Caller {
    let mut caller = caller(Role::Runtime);
    let bounds = Arc::make_mut(&mut caller.bounds);
    bounds.secrets = vec![secrets.to_owned()];
    bounds.spaces = spaces.map(|spaces| spaces.iter().map(|space| space.parse().expect("a name")).collect());
    caller
}

fn elsewhere(environment: &str, space: Option<&str>) -> Scope {
    let space = space.map(|space| space.parse().expect("a name"));
    Scope { environment: environment.parse().expect("a name"), space }
}

async fn look_up(
    engine: &Engine,
    caller: &Caller,
    (home, scope): (&Scope, &Scope),
    secret: &str,
) -> Result<Prepared, Error> {
    let (function, name): (FunctionId, _) = (function(), name(secret));
    engine.vault().prepare_lookup(caller, Lookup { scope, home, function: &function, run: RUN, name: &name }).await
}

/// Why refusals were made, oldest first.
async fn reasons(engine: &Engine, environment: &Scope) -> Vec<String> {
    let listed = engine.audit().list(&system_caller(), &environment.environment, Revision::ZERO, 100).await;
    let reason = |entry: claviger_engine::audit::AuditEntry| match entry.fact {
        Fact::Refused { what, permission, .. } => {
            assert_eq!(permission, "secret.receive");
            what
        }
        _ => None,
    };
    listed.expect("listed").items.into_iter().filter_map(reason).collect()
}

/// Two spaces, and an environment `staging` with a space `acme`; a secret `A` in each, and one that only the first has.
async fn world() -> (Store, Engine) {
    let (store, engine) = with_spaces().await;
    engine.access().create_environment(&system_caller(), "staging").await.expect("created");
    create_space(&engine, &elsewhere("staging", Some("acme"))).await;
    for (scope, text) in [
        (scope(), "of the environment"),
        (space("acme"), "of acme"),
        (elsewhere("staging", None), "of staging"),
        (elsewhere("staging", Some("acme")), "of acme in staging"),
    ] {
        set_in(&engine, &scope, "A", text).await;
    }
    set_in(&engine, &scope(), "INHERITED", "of the environment").await;
    (store, engine)
}

#[tokio::test]
async fn a_look_up_finds_what_wins_in_its_scope_and_is_audited_like_any_delivery() {
    let (store, engine) = world().await;
    let (home, runtime) = (space("acme"), caller(Role::Runtime));
    for (scope, secret, expected) in [
        (home.clone(), "A", Some("of acme")),
        (home.clone(), "INHERITED", Some("of the environment")),
        (scope(), "A", Some("of the environment")),
        (space("other"), "A", Some("of the environment")),
        (space("nowhere"), "A", None),
        (home.clone(), "NOWHERE", None),
    ] {
        let prepared = look_up(&engine, &runtime, (&home, &scope), secret).await.expect("prepared");
        assert_eq!(prepared.delivered().len(), usize::from(expected.is_some()), "{scope:?} {secret}");
        if expected.is_none() {
            continue;
        }
        let refused = engine.vault().open(prepared, None);
        assert_eq!(refused.expect_err("without its audit record").code(), "internal");
        let prepared = look_up(&engine, &runtime, (&home, &scope), secret).await.expect("prepared");
        let versions = prepared.delivered().to_vec();
        let audit =
            store.ledger.append(vec![engine.vault().delivery_audit(&prepared)]).await.remove(0).expect("stored");
        let opened = engine.vault().open(prepared, Some(audit)).expect("opened");
        assert_eq!(opened.values[0].2.expose(), expected.expect("a value").as_bytes());
        let last = engine.audit().list(&system_caller(), &environment(), Revision::ZERO, 100).await.expect("listed");
        let last = last.items.into_iter().last().expect("an entry").fact;
        assert_eq!(last, Fact::Delivered { function: function(), run: RUN, home: None, secrets: versions });
    }
    assert!(reasons(&engine, &home).await.is_empty());
}

#[tokio::test]
async fn what_the_key_does_not_cover_is_not_found_and_the_audit_says_why() {
    let (_store, engine) = world().await;
    let (acme, staging) = (space("acme"), elsewhere("staging", None));
    let refused = [
        (
            narrowed("*", None),
            staging.clone(),
            "it is not for the environment `staging`, or there is none of that name",
        ),
        (narrowed("*", None), elsewhere("nowhere", None), "it is not for the environment `nowhere`, or there is none"),
        (narrowed("*", Some(&["acme"])), space("other"), "it is not for the space `other`"),
        (narrowed("*", Some(&["acme"])), scope(), "it is not for the environment itself"),
        (narrowed("B*", None), acme.clone(), "it is not for secrets of that name"),
    ];
    for (at, (caller, scope, reason)) in refused.iter().enumerate() {
        let prepared = look_up(&engine, caller, (&acme, scope), "A").await.expect("answered");
        assert!(prepared.delivered().is_empty() && prepared.missing_required().is_empty());
        let reasons = reasons(&engine, &acme).await;
        assert_eq!(reasons.len(), at + 1);
        let last = &reasons[at];
        assert!(last.contains(reason) && last.contains("`A`"), "{last}");
    }
    assert!(reasons(&engine, &staging).await.is_empty(), "a foreign environment does not fill up with it");
}

#[tokio::test]
async fn a_key_for_all_environments_looks_into_another() {
    let (store, engine) = world().await;
    let acme = space("acme");
    let (everywhere, spaces) = (narrowed("*", None), narrowed("*", Some(&["acme"])));
    let (everywhere, spaces) = (Caller { reach: Reach::All, ..everywhere }, Caller { reach: Reach::All, ..spaces });
    for (caller, scope, expected) in [
        (&everywhere, elsewhere("staging", None), 1),
        (&everywhere, elsewhere("staging", Some("acme")), 1),
        (&everywhere, elsewhere("staging", Some("other")), 0),
        (&spaces, elsewhere("staging", Some("acme")), 1),
        (&spaces, elsewhere("staging", None), 0),
    ] {
        let prepared = look_up(&engine, caller, (&acme, &scope), "A").await.expect("answered");
        assert_eq!(prepared.delivered().len(), expected, "{scope:?}");
        if expected == 1 {
            let append = engine.vault().delivery_audit(&prepared);
            assert_eq!(append.subject.as_str(), "audit.staging.delivery", "where the value lives");
            store.ledger.append(vec![append]).await.remove(0).expect("stored");
        }
    }
}

#[tokio::test]
async fn who_has_no_job_there_looks_nothing_up() {
    let (_store, engine) = world().await;
    let acme = space("acme");
    let other_space = narrowed("*", Some(&["other"]));
    let mut other_function = narrowed("*", None);
    Arc::make_mut(&mut other_function.bounds).functions = Some(vec!["another".parse().expect("an id")]);
    for caller in [caller(Role::Admin), caller(Role::Operator), caller(Role::Viewer), other_space, other_function] {
        let refused = look_up(&engine, &caller, (&acme, &acme), "A").await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
        let (function, declared) = (function(), declared(&["A"]));
        let request = Request { scope: &acme, function: &function, run: RUN, declared: &declared };
        let refused = engine.vault().prepare(&caller, request).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{refused:?}");
    }
    let nowhere = elsewhere("nowhere", None);
    let refused = look_up(&engine, &caller(Role::Runtime), (&nowhere, &acme), "A").await;
    assert!(matches!(refused, Err(Error::EnvironmentNotFound)), "{refused:?}");
}

#[tokio::test]
async fn a_narrowed_key_receives_what_its_space_inherits_and_not_the_environment_itself() {
    let (_store, engine) = world().await;
    let (acme, caller) = (space("acme"), narrowed("*", Some(&["acme"])));
    let inherited = look_up(&engine, &caller, (&acme, &acme), "INHERITED").await.expect("answered");
    assert_eq!(inherited.delivered(), [crate::support::version("INHERITED", 1)]);
    let outside = look_up(&engine, &caller, (&scope(), &scope()), "INHERITED").await;
    assert!(matches!(outside, Err(Error::Denied { bound: Some(_), .. })), "{outside:?}");
}

//! Everything that some scopes mean, handed over at once.

use std::sync::Arc;

use super::*;

const WHAT: &str = "a list of secrets with their values";

async fn hand_over(engine: &Engine, scopes: &[Scope]) -> Result<Vec<(String, Option<String>, String)>, Error> {
    hand_over_to(engine, &caller(Role::Runtime), scopes).await
}

/// Name, space and value of each.
async fn hand_over_to(
    engine: &Engine,
    caller: &claviger_core::Caller,
    scopes: &[Scope],
) -> Result<Vec<(String, Option<String>, String)>, Error> {
    let rows = engine.vault().deliver_all(caller, scopes, WHAT).await?;
    let row = |(version, value, metadata): (SecretVersion, Arc<claviger_core::SecretValue>, SecretMetadata)| {
        assert_eq!((&version.name, Some(version.version)), (&metadata.secret.name, metadata.secret.active));
        assert_eq!(version.space, metadata.secret.scope.space);
        let text = String::from_utf8(value.expose().to_vec()).expect("text");
        (version.name.to_string(), version.space.map(|space| space.to_string()), text)
    };
    Ok(rows.into_iter().map(row).collect())
}

async fn handed_over(engine: &Engine) -> Vec<Vec<SecretVersion>> {
    let entries = engine.audit().list(&system_caller(), &environment(), Revision::ZERO, 1_000).await.expect("listed");
    let secrets = |entry: claviger_engine::audit::AuditEntry| match entry.fact {
        Fact::HandedOver { what, secrets } => {
            assert_eq!((what.as_str(), &*entry.caller), (WHAT, "runtime"));
            Some(secrets)
        }
        _ => None,
    };
    entries.items.into_iter().filter_map(secrets).collect()
}

async fn world() -> (Store, Engine) {
    let (store, engine) = with_spaces().await;
    for (scope, secret, text) in [
        (scope(), "A", "of the environment"),
        (scope(), "B", "of the environment"),
        (scope(), "C", "of the environment"),
        (space("acme"), "B", "of acme"),
        (space("acme"), "D", "of acme"),
        (space("other"), "A", "of other"),
    ] {
        set_in(&engine, &scope, secret, text).await;
    }
    block(&engine, &space("acme"), "C").await;
    set_in(&engine, &scope(), "EMPTY", "").await;
    (store, engine)
}

fn row(name: &str, space: Option<&str>, text: &str) -> (String, Option<String>, String) {
    (name.to_owned(), space.map(str::to_owned), text.to_owned())
}

#[tokio::test]
async fn each_name_comes_once_and_one_record_names_each() {
    let (_store, engine) = world().await;
    let rows = hand_over(&engine, &[space("acme"), scope()]).await.expect("handed over");
    let expected = [
        row("A", None, "of the environment"),
        row("B", Some("acme"), "of acme"),
        row("D", Some("acme"), "of acme"),
        row("EMPTY", None, ""),
    ];
    assert_eq!(rows, expected);
    let recorded = handed_over(&engine).await;
    assert_eq!(recorded.len(), 1);
    let named = recorded[0].iter().map(|version| (version.name.as_str(), version.space.is_some(), version.version));
    assert!(named.eq([("A", false, 1), ("B", true, 1), ("D", true, 1), ("EMPTY", false, 1)]));
    assert_eq!(engine.audit().deliveries_total(), 1);
    assert_eq!(engine.live().redact("it is of acme"), "it is «B@1»", "and they are masked in logs");
}

#[tokio::test]
async fn the_scopes_are_those_given_in_their_order() {
    let (_store, engine) = world().await;
    let environment = [
        row("A", None, "of the environment"),
        row("B", None, "of the environment"),
        row("C", None, "of the environment"),
        row("EMPTY", None, ""),
    ];
    assert_eq!(hand_over(&engine, &[scope()]).await.expect("handed over"), environment);
    assert_eq!(hand_over(&engine, &[space("nowhere"), scope()]).await.expect("handed over"), environment);
    let alone = [row("B", Some("acme"), "of acme"), row("D", Some("acme"), "of acme")];
    assert_eq!(hand_over(&engine, &[space("acme")]).await.expect("handed over"), alone);
    let both = hand_over(&engine, &[space("other"), space("acme"), scope()]).await.expect("handed over");
    assert_eq!(both[0], row("A", Some("other"), "of other"));
    assert_eq!(both[1], row("B", Some("acme"), "of acme"));
    assert!(both.iter().all(|(name, ..)| name != "C"), "acme blocks it before the environment is asked");
    assert_eq!(hand_over(&engine, &[space("nowhere")]).await.expect("nothing"), []);
    for scopes in [Vec::new(), vec![scope(), Scope::environment("staging".parse().expect("a name"))]] {
        assert_eq!(hand_over(&engine, &scopes).await.expect_err("refused").code(), "invalid_request");
    }
}

#[tokio::test]
async fn bounds_hold() {
    let (_store, engine) = world().await;
    for role in [Role::Admin, Role::Operator, Role::Viewer, Role::Subscriber] {
        let refused = hand_over_to(&engine, &caller(role), &[scope()]).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{role}: {refused:?}");
    }
    let mut narrowed = caller(Role::Runtime);
    Arc::make_mut(&mut narrowed.bounds).secrets = vec!["B".to_owned()];
    let rows = hand_over_to(&engine, &narrowed, &[space("acme"), scope()]).await.expect("handed over");
    assert_eq!(rows, [row("B", Some("acme"), "of acme")]);

    let mut narrowed = caller(Role::Runtime);
    Arc::make_mut(&mut narrowed.bounds).spaces = Some(vec!["acme".parse().expect("a name")]);
    let rows = hand_over_to(&engine, &narrowed, &[space("acme"), scope()]).await.expect("handed over");
    assert_eq!(rows[0], row("A", None, "of the environment"), "inherited");
    assert_eq!(hand_over_to(&engine, &narrowed, &[space("other"), scope()]).await.expect("nothing"), []);
    assert_eq!(hand_over_to(&engine, &narrowed, &[scope()]).await.expect("nothing"), []);
    assert_eq!(handed_over(&engine).await.len(), 2, "nothing handed over is nothing to record");
}

#[tokio::test]
async fn without_its_audit_record_nothing_is_handed_over() {
    let (store, engine) = world().await;
    store.ledger.fill(Stream::Audit);
    let failed = hand_over(&engine, &[scope()]).await;
    assert_eq!(failed.expect_err("the audit is full").code(), "store_full");
    assert_eq!(engine.audit().deliveries_total(), 0);
}

#[tokio::test]
async fn more_names_than_a_page_has() {
    let (_store, engine) = with_spaces().await;
    let sets = (0..1_203).map(|at| {
        let (engine, scope) = (&engine, if at % 3 == 0 { space("acme") } else { scope() });
        async move { set_in(engine, &scope, &format!("NAME_{at:04}"), "some-value").await }
    });
    futures_util::future::join_all(sets).await;
    let rows = hand_over(&engine, &[space("acme"), scope()]).await.expect("handed over");
    assert_eq!(rows.len(), 1_203);
    assert!(rows.is_sorted_by(|one, next| one.0 < next.0));
    assert_eq!(handed_over(&engine).await[0].len(), 1_203);
}

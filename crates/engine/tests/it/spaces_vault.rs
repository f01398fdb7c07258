//! Secrets of spaces: overrides, blocks, and what is seen and delivered through a space.

mod all;
mod events;
mod leftovers;
mod lookups;
mod model;

use claviger_core::{
    Permission, Revision, Role, Scope, Verdict,
    secret::{Action, SecretVersion},
};
use claviger_engine::{
    Engine, Error,
    access::system_caller,
    audit::Fact,
    spaces::NewSpace,
    vault::{ChangedSecret, Delivered, Origin, Prepared, Request, SecretMetadata, SetSecret, Short},
};
use claviger_store::{Append, Expected, Ledger, Stream};
use serde_json::value::RawValue;

use crate::support::{
    Store, caller, declared, environment, eventually, function, memory_engine, name, records, scope, value,
};

pub(crate) fn space(text: &str) -> Scope {
    Scope { space: Some(text.parse().expect("a space's name")), ..scope() }
}

pub(crate) async fn create_space(engine: &Engine, scope: &Scope) {
    let name = scope.space.clone().expect("a space");
    let metadata = RawValue::from_string("{}".to_owned()).expect("JSON");
    let created = engine.spaces().create(&system_caller(), &scope.environment, NewSpace { name, metadata }).await;
    created.expect("the space is created");
}

/// A store with the spaces `acme` and `other`.
async fn with_spaces() -> (Store, Engine) {
    let (store, engine) = memory_engine().await;
    create_space(&engine, &space("acme")).await;
    create_space(&engine, &space("other")).await;
    (store, engine)
}

pub(crate) async fn set_in(engine: &Engine, scope: &Scope, secret: &str, text: &str) -> SecretMetadata {
    let set = SetSecret { short: Short::Accept, ..value(text) };
    engine.vault().set(&system_caller(), scope, &name(secret), set).await.expect("the secret is set").secret
}

async fn delete_in(engine: &Engine, scope: &Scope, secret: &str) {
    engine.vault().delete(&system_caller(), scope, &name(secret), None).await.expect("deleted");
}

async fn block(engine: &Engine, scope: &Scope, secret: &str) -> SecretMetadata {
    engine.vault().block(&system_caller(), scope, &name(secret), None).await.expect("blocked")
}

async fn unblock(engine: &Engine, scope: &Scope, secret: &str) -> SecretMetadata {
    engine.vault().unblock(&system_caller(), scope, &name(secret), None).await.expect("unblocked")
}

async fn prepare_in(engine: &Engine, scope: &Scope, secrets: &[&str]) -> Result<Prepared, Error> {
    let (function, declared) = (function(), declared(secrets));
    let request = Request { scope, function: &function, run: claviger_core::run::RunId([3; 16]), declared: &declared };
    engine.vault().prepare(&caller(Role::Runtime), request).await
}

async fn deliver_in(engine: &Engine, store: &Store, scope: &Scope, secrets: &[&str]) -> Delivered {
    let prepared = prepare_in(engine, scope, secrets).await.expect("prepared");
    let stored = store.ledger.append(vec![engine.vault().delivery_audit(&prepared)]).await.remove(0).expect("stored");
    engine.vault().open(prepared, Some(stored)).expect("opened")
}

/// The value that a job in this scope would receive.
pub(crate) async fn meaning(engine: &Engine, store: &Store, scope: &Scope, secret: &str) -> Option<String> {
    let mut delivered = deliver_in(engine, store, scope, &[secret]).await;
    let (_, _, value) = delivered.values.pop()?;
    Some(String::from_utf8(value.expose().to_vec()).expect("text"))
}

async fn origins(engine: &Engine, scope: &Scope) -> Vec<(String, Origin)> {
    let page = engine.vault().list(&system_caller(), scope, None, 1_000).await.expect("listed");
    page.items.into_iter().map(|item| (item.secret.secret.name.to_string(), item.origin)).collect()
}

#[tokio::test]
async fn every_row_of_the_rules() {
    let (store, engine) = with_spaces().await;
    let acme = space("acme");
    for secret in ["OVERRIDDEN", "INHERITED", "BLOCKED"] {
        set_in(&engine, &scope(), secret, "of the environment").await;
    }
    for secret in ["OVERRIDDEN", "OWN"] {
        set_in(&engine, &acme, secret, "of the space").await;
    }
    for secret in ["BLOCKED", "BLOCKED_ALONE"] {
        block(&engine, &acme, secret).await;
    }
    let (inside, outside) = (Some("of the space".to_owned()), Some("of the environment".to_owned()));
    let rows = [
        ("BLOCKED", Some(Origin::Blocked), None, outside.clone()),
        ("BLOCKED_ALONE", Some(Origin::Blocked), None, None),
        ("INHERITED", Some(Origin::Inherited), outside.clone(), outside.clone()),
        ("NOWHERE", None, None, None),
        ("OVERRIDDEN", Some(Origin::Overridden), inside.clone(), outside.clone()),
        ("OWN", Some(Origin::Own), inside, None),
    ];
    let listed: Vec<_> = rows.iter().filter_map(|(name, origin, ..)| Some((name.to_string(), (*origin)?))).collect();
    assert_eq!(origins(&engine, &acme).await, listed);
    let outer: Vec<_> = rows.iter().filter(|row| row.3.is_some()).map(|row| (row.0.to_owned(), Origin::Own)).collect();
    assert_eq!(origins(&engine, &scope()).await, outer);
    for (secret, origin, in_acme, elsewhere) in rows {
        let described = engine.vault().describe(&system_caller(), &acme, &name(secret)).await;
        assert_eq!(described.as_ref().ok().map(|found| found.origin), origin, "{secret}: {described:?}");
        assert_eq!(meaning(&engine, &store, &acme, secret).await, in_acme, "{secret}");
        for other in [scope(), space("other")] {
            assert_eq!(meaning(&engine, &store, &other, secret).await, elsewhere, "{secret} in {other:?}");
        }
    }
}

#[tokio::test]
async fn an_override_that_is_deleted_shows_the_environments_value_at_once() {
    let (store, engine) = with_spaces().await;
    let acme = space("acme");
    set_in(&engine, &scope(), "A", "of the environment").await;
    for round in 1..=20 {
        let text = format!("override {round}");
        assert_eq!(set_in(&engine, &acme, "A", &text).await.secret.latest, round);
        assert_eq!(meaning(&engine, &store, &acme, "A").await, Some(text));
        delete_in(&engine, &acme, "A").await;
        assert_eq!(meaning(&engine, &store, &acme, "A").await.as_deref(), Some("of the environment"));
        assert_eq!(origins(&engine, &acme).await, [("A".to_owned(), Origin::Inherited)]);
    }
}

#[tokio::test]
async fn the_empty_value_overrides() {
    let (store, engine) = with_spaces().await;
    set_in(&engine, &scope(), "A", "of the environment").await;
    let empty = set_in(&engine, &space("acme"), "A", "").await;
    assert!(empty.secret.unmaskable);
    assert_eq!(meaning(&engine, &store, &space("acme"), "A").await.as_deref(), Some(""));
    assert_eq!(meaning(&engine, &store, &space("other"), "A").await.as_deref(), Some("of the environment"));
}

#[tokio::test]
async fn a_block_goes_over_an_override_whose_versions_stay() {
    let (store, engine) = with_spaces().await;
    let (vault, acme) = (engine.vault(), space("acme"));
    set_in(&engine, &scope(), "A", "of the environment").await;
    let set = SetSecret { description: Some("theirs".to_owned()), ..value("first override") };
    vault.set(&system_caller(), &acme, &name("A"), set).await.expect("set");
    let blocked = block(&engine, &acme, "A").await;
    assert_eq!((blocked.secret.blocked, blocked.secret.active, blocked.secret.latest), (true, None, 1));
    assert_eq!(blocked.secret.description.as_deref(), Some("theirs"));
    assert_eq!(meaning(&engine, &store, &acme, "A").await, None);
    // Again: nothing changes.
    assert_eq!(block(&engine, &acme, "A").await, blocked);
    let described = vault.describe(&system_caller(), &acme, &name("A")).await.expect("described");
    assert_eq!((described.secret, described.origin), (blocked.clone(), Origin::Blocked));
    // A new value of the environment is blocked too, and a delete lifts nothing.
    set_in(&engine, &scope(), "A", "of the environment again").await;
    assert_eq!(meaning(&engine, &store, &acme, "A").await, None);
    let deleted = vault.delete(&system_caller(), &acme, &name("A"), None).await;
    assert!(matches!(deleted, Err(Error::SecretNotFound)), "{deleted:?}");

    let unblocked = unblock(&engine, &acme, "A").await;
    assert_eq!((unblocked.secret.blocked, unblocked.secret.active, unblocked.secret.latest), (false, None, 1));
    assert_eq!(meaning(&engine, &store, &acme, "A").await.as_deref(), Some("of the environment again"));
    block(&engine, &acme, "A").await;
    let set = vault.set(&system_caller(), &acme, &name("A"), value("second override")).await.expect("set");
    assert_eq!((set.action, set.secret.secret.active), (Action::Created, Some(2)));
    assert_eq!(meaning(&engine, &store, &acme, "A").await.as_deref(), Some("second override"));
    let first = SecretVersion { name: name("A"), version: 1, space: acme.space.clone() };
    let masks = vault.reopen(&environment(), &[first]).await;
    assert_eq!(masks.redact("first override"), "«A@1»");
}

#[tokio::test]
async fn what_cannot_be_blocked_or_unblocked_is_refused() {
    let (_store, engine) = with_spaces().await;
    let (vault, acme) = (engine.vault(), space("acme"));
    set_in(&engine, &acme, "OWN", "of the space").await;
    let blocked = block(&engine, &acme, "BLOCKED").await;
    let refused = [
        vault.block(&system_caller(), &scope(), &name("OWN"), None).await,
        vault.unblock(&system_caller(), &scope(), &name("OWN"), None).await,
        vault.unblock(&system_caller(), &acme, &name("OWN"), None).await,
        vault.unblock(&system_caller(), &acme, &name("NOWHERE"), None).await,
    ];
    for outcome in refused {
        assert_eq!(outcome.expect_err("refused").code(), "invalid_request");
    }
    let stale = [
        vault.block(&system_caller(), &acme, &name("OWN"), Some(Revision::ZERO)).await.expect_err("stale"),
        vault.block(&system_caller(), &acme, &name("NOWHERE"), Some(blocked.revision)).await.expect_err("stale"),
        vault.unblock(&system_caller(), &acme, &name("BLOCKED"), Some(Revision::ZERO)).await.expect_err("stale"),
    ];
    assert!(stale.iter().all(|error| error.code() == "revision_conflict"), "{stale:?}");
    let create = SetSecret { expected: Some(Revision::ZERO), ..value("some-value") };
    let conflict = vault.set(&system_caller(), &acme, &name("BLOCKED"), create).await.expect_err("it is blocked");
    assert_eq!(conflict.current_revision(), Some(blocked.revision));
    vault.unblock(&system_caller(), &acme, &name("BLOCKED"), Some(blocked.revision)).await.expect("unblocked");
}

#[tokio::test]
async fn only_who_may_change_secrets_blocks_and_only_who_may_list_asks_why() {
    let (_store, engine) = with_spaces().await;
    let (vault, acme) = (engine.vault(), space("acme"));
    for role in Role::ALL {
        let caller = caller(role);
        let outcomes = [
            (Permission::SecretWrite, vault.block(&caller, &acme, &name(role.as_str()), None).await.err()),
            (Permission::SecretList, vault.explain(&caller, &acme, &name("A")).await.err()),
            (Permission::SecretList, vault.list(&caller, &acme, None, 10).await.err()),
        ];
        for (permission, error) in outcomes {
            let is_denied = matches!(error, Some(Error::Denied { .. }));
            assert_eq!(is_denied, !role.may(permission), "{role}: {error:?}");
        }
    }
}

#[tokio::test]
async fn in_a_space_that_is_not_there_nothing_is_set_seen_or_delivered() {
    let (store, engine) = with_spaces().await;
    set_in(&engine, &scope(), "A", "of the environment").await;
    let (vault, system, nowhere) = (engine.vault(), system_caller(), space("nowhere"));
    let errors = [
        vault.set(&system, &nowhere, &name("A"), value("some-value")).await.err(),
        vault.delete(&system, &nowhere, &name("A"), None).await.err(),
        vault.block(&system, &nowhere, &name("A"), None).await.err(),
        vault.unblock(&system, &nowhere, &name("A"), None).await.err(),
        vault.describe(&system, &nowhere, &name("A")).await.err(),
        vault.list(&system, &nowhere, None, 10).await.err(),
        vault.explain(&system, &nowhere, &name("A")).await.err(),
    ];
    for error in errors {
        assert!(matches!(error, Some(Error::SpaceNotFound)), "{error:?}");
    }
    assert_eq!(meaning(&engine, &store, &nowhere, "A").await, None);
}

#[tokio::test]
async fn explanations_say_who_decided_and_since_when() {
    let (store, engine) = with_spaces().await;
    let (vault, acme) = (engine.vault(), space("acme"));
    let explain = async |scope: &Scope| vault.explain(&system_caller(), scope, &name("A")).await.expect("explained");
    let nothing = explain(&acme).await;
    assert_eq!((nothing.found, nothing.trail.len()), (None, 2));
    assert!(nothing.trail.iter().all(|entry| entry.verdict == Verdict::Missing && entry.since.is_none()));

    let outside = set_in(&engine, &scope(), "A", "of the environment").await;
    store.clock.advance(std::time::Duration::from_secs(1));
    let inside = set_in(&engine, &acme, "A", "of the space").await;
    let overridden = explain(&acme).await;
    assert_eq!((overridden.found, overridden.trail.len()), (Some((acme.clone(), 1)), 1));
    let decided = &overridden.trail[0];
    assert_eq!((decided.verdict, decided.revision), (Verdict::Value(1), Some(inside.revision)));
    assert_eq!((decided.since, decided.by.as_deref()), (Some(inside.secret.updated_at), Some("system")));

    delete_in(&engine, &acme, "A").await;
    let inherited = explain(&acme).await;
    let verdicts: Vec<_> = inherited.trail.iter().map(|entry| (entry.scope.clone(), entry.verdict)).collect();
    assert_eq!(verdicts, [(acme.clone(), Verdict::Missing), (scope(), Verdict::Value(1))]);
    assert_eq!(inherited.found, Some((scope(), 1)));
    assert!(inherited.trail[0].since > inherited.trail[1].since, "since it was deleted");
    assert_eq!(inherited.trail[1].revision, Some(outside.revision));

    let blocked_at = block(&engine, &acme, "A").await;
    let blocked = explain(&acme).await;
    assert_eq!((blocked.found, blocked.trail.len(), blocked.trail[0].verdict), (None, 1, Verdict::Blocked));
    assert_eq!(blocked.trail[0].revision, Some(blocked_at.revision));
    assert_eq!(explain(&scope()).await.found, Some((scope(), 1)));
}

#[tokio::test]
async fn changes_are_told_with_their_scope() {
    let (_store, engine) = with_spaces().await;
    let (acme, mut changed) = (space("acme"), engine.vault().changed());
    set_in(&engine, &acme, "A", "of the space").await;
    block(&engine, &acme, "A").await;
    unblock(&engine, &acme, "A").await;
    set_in(&engine, &scope(), "A", "of the environment").await;
    for scope in [acme.clone(), acme.clone(), acme, scope()] {
        assert_eq!(changed.recv().await.expect("heard"), ChangedSecret { scope, name: name("A") });
    }
}

#[tokio::test]
async fn a_delivery_says_which_scopes_version_it_was() {
    let (store, engine) = with_spaces().await;
    let acme = space("acme");
    for round in 1..=3 {
        set_in(&engine, &scope(), "A", &format!("of the environment {round}")).await;
    }
    set_in(&engine, &scope(), "B", "inherited-value").await;
    set_in(&engine, &acme, "A", "of the space").await;
    let prepared = prepare_in(&engine, &acme, &["A", "B"]).await.expect("prepared");
    let expected = [
        SecretVersion { name: name("A"), version: 1, space: acme.space.clone() },
        SecretVersion { name: name("B"), version: 1, space: None },
    ];
    assert_eq!(prepared.delivered(), expected);
    let delivered = deliver_in(&engine, &store, &acme, &["A", "B"]).await;
    assert_eq!(delivered.redactor.redact("of the space, inherited-value"), "«A@1», «B@1»");
    let masks = engine.vault().reopen(&environment(), &expected).await;
    assert_eq!(
        masks.redact("of the space, inherited-value, of the environment 1"),
        "«A@1», «B@1», of the environment 1"
    );
    let entries = engine.audit().list(&system_caller(), &environment(), Revision::ZERO, 100).await.expect("listed");
    let Fact::Delivered { secrets, .. } = &entries.items[0].fact else { panic!("{entries:?}") };
    assert_eq!(*secrets, expected);
}

#[tokio::test]
async fn a_damaged_record_of_a_space_is_never_inheritance() {
    let long = "ä".repeat(200);
    for place in ["acme", long.as_str()] {
        let (store, engine) = memory_engine().await;
        let acme = space(place);
        create_space(&engine, &acme).await;
        set_in(&engine, &scope(), "A", "of the environment").await;
        block(&engine, &acme, "A").await;
        let stored = records(&store, Stream::Secrets).await;
        let [outside, inside] = &stored[..] else { panic!("two records") };
        // As if the environment's record stood in the space: what it holds must not be served there.
        let planted = Append::new(Stream::Secrets, inside.subject.clone(), outside.bytes.to_vec(), Expected::Any);
        store.ledger.append(vec![planted]).await.remove(0).expect("appended");
        let fresh = store.another_engine().await;
        for engine in [&fresh, &engine] {
            let prepared = async || prepare_in(engine, &acme, &["A"]).await;
            eventually(async || matches!(prepared().await, Err(Error::Corrupt { .. }))).await;
            let listed = engine.vault().list(&system_caller(), &acme, None, 10).await;
            assert!(matches!(listed, Err(Error::Corrupt { .. })), "{listed:?}");
            let explained = engine.vault().explain(&system_caller(), &acme, &name("A")).await;
            assert!(matches!(explained, Err(Error::Corrupt { .. })), "{explained:?}");
            assert_eq!(origins(engine, &scope()).await, [("A".to_owned(), Origin::Own)], "the environment is whole");
        }
    }
}

#[tokio::test]
async fn a_block_does_not_end_by_putting_back_what_was_before_it() {
    // The override, its delete, a block and its end.
    for replayed in 0..4 {
        let (store, engine) = with_spaces().await;
        let acme = space("acme");
        set_in(&engine, &acme, "A", "of the space").await;
        delete_in(&engine, &acme, "A").await;
        block(&engine, &acme, "A").await;
        unblock(&engine, &acme, "A").await;
        block(&engine, &acme, "A").await;
        set_in(&engine, &scope(), "A", "of the environment").await;
        let old = records(&store, Stream::Secrets).await.remove(replayed);
        let again = Append::new(Stream::Secrets, old.subject.clone(), old.bytes.to_vec(), Expected::Any);
        store.ledger.append(vec![again]).await.remove(0).expect("appended");
        let fresh = store.another_engine().await;
        for engine in [&fresh, &engine] {
            let listed = engine.vault().list(&system_caller(), &acme, None, 10).await;
            assert!(matches!(listed, Err(Error::Corrupt { .. })), "{replayed}: {listed:?}");
            let prepared = prepare_in(engine, &acme, &["A"]).await;
            assert!(matches!(prepared, Err(Error::Corrupt { .. })), "{replayed}: {prepared:?}");
        }
    }
}

#[tokio::test]
async fn what_one_server_blocks_another_does_not_serve() {
    let (store, here) = with_spaces().await;
    let (there, acme) = (store.another_engine().await, space("acme"));
    set_in(&here, &scope(), "A", "of the environment").await;
    for round in 0..10 {
        let (writer, reader) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        block(writer, &acme, "A").await;
        assert_eq!(origins(reader, &acme).await, [("A".to_owned(), Origin::Blocked)]);
        assert_eq!(meaning(reader, &store, &acme, "A").await, None);
        unblock(reader, &acme, "A").await;
        assert_eq!(origins(writer, &acme).await, [("A".to_owned(), Origin::Inherited)]);
        assert_eq!(meaning(writer, &store, &acme, "A").await.as_deref(), Some("of the environment"));
    }
}

#[tokio::test]
async fn pages_of_every_size_are_parts_of_one_list() {
    let (_store, engine) = with_spaces().await;
    let acme = space("acme");
    let mut expected = Vec::new();
    for at in 0..61_u32 {
        let secret = format!("NAME_{at:02}");
        let (outside, inside, is_blocked) = (at % 2 == 0 || at > 50, at % 3 == 0, at % 7 == 0);
        if outside {
            set_in(&engine, &scope(), &secret, "of the environment").await;
        }
        if inside {
            set_in(&engine, &acme, &secret, "of the space").await;
        }
        if is_blocked {
            block(&engine, &acme, &secret).await;
        }
        let origin = match (is_blocked, inside, outside) {
            (true, ..) => Some(Origin::Blocked),
            (false, true, true) => Some(Origin::Overridden),
            (false, true, false) => Some(Origin::Own),
            (false, false, true) => Some(Origin::Inherited),
            (false, false, false) => None,
        };
        expected.extend(origin.map(|origin| (secret, origin)));
    }
    for limit in [1, 2, 3, 7, expected.len() - 1, expected.len(), expected.len() + 1, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = engine.vault().list(&system_caller(), &acme, after.as_deref(), limit).await.expect("listed");
            assert!(page.items.len() == limit || page.next.is_none(), "every page but the last is full");
            listed.extend(page.items.into_iter().map(|item| (item.secret.secret.name.to_string(), item.origin)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, expected, "in pages of {limit}");
    }
    // A page goes on after any name, there or not.
    let page = engine.vault().list(&system_caller(), &acme, Some("NAME_10x"), 2).await.expect("listed");
    let names: Vec<_> = page.items.iter().map(|item| item.secret.secret.name.as_str()).collect();
    assert_eq!(names, ["NAME_12", "NAME_14"]);
}

#[tokio::test]
async fn overrides_and_blocks_survive_a_restart_with_and_without_the_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = || {
        let options = claviger_store::SqliteOptions::new(directory.path().join("claviger.db"));
        std::sync::Arc::new(claviger_store::SqliteLedger::open(options).expect("opened"))
    };
    let index = |file: &str, ledger: &dyn Ledger| {
        let index = claviger_store::SqliteIndex::open(directory.path().join(file), ledger.incarnation());
        std::sync::Arc::new(index.expect("opened"))
    };
    let store_with = |file: &str| {
        let ledger = ledger();
        let index = index(file, &*ledger);
        Store::over(ledger, index)
    };
    let (acme, store) = (space("acme"), store_with("index.db"));
    let engine = store.engine().await;
    create_space(&engine, &acme).await;
    for secret in ["BLOCKED", "INHERITED", "OVERRIDDEN", "UNBLOCKED"] {
        set_in(&engine, &scope(), secret, "of the environment").await;
    }
    set_in(&engine, &acme, "OVERRIDDEN", "of the space").await;
    for secret in ["BLOCKED", "UNBLOCKED", "DELETED"] {
        set_in(&engine, &acme, secret, "of the space").await;
    }
    block(&engine, &acme, "BLOCKED").await;
    block(&engine, &acme, "UNBLOCKED").await;
    unblock(&engine, &acme, "UNBLOCKED").await;
    delete_in(&engine, &acme, "DELETED").await;
    let expected = [
        ("BLOCKED", Origin::Blocked),
        ("INHERITED", Origin::Inherited),
        ("OVERRIDDEN", Origin::Overridden),
        ("UNBLOCKED", Origin::Inherited),
    ];
    let expected = expected.map(|(name, origin)| (name.to_owned(), origin));
    assert_eq!(origins(&engine, &acme).await, expected);
    engine.close().await;
    drop(store);
    for file in ["index.db", "another.db"] {
        let store = store_with(file);
        let engine = store.engine().await;
        assert_eq!(origins(&engine, &acme).await, expected);
        assert_eq!(meaning(&engine, &store, &acme, "BLOCKED").await, None);
        assert_eq!(meaning(&engine, &store, &acme, "OVERRIDDEN").await.as_deref(), Some("of the space"));
        assert_eq!(meaning(&engine, &store, &acme, "UNBLOCKED").await.as_deref(), Some("of the environment"));
        engine.close().await;
    }
    let store = store_with("index.db");
    let engine = store.engine().await;
    for (secret, version) in [("BLOCKED", 2), ("UNBLOCKED", 2), ("DELETED", 2), ("NEW", 1)] {
        assert_eq!(set_in(&engine, &acme, secret, "set again").await.secret.active, Some(version), "{secret}");
    }
    engine.close().await;
}

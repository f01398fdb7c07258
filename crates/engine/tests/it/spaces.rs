//! Spaces: their life, who reaches them, and what becomes of what they have.

use std::{sync::Arc, time::Duration};

use claviger_core::{Bounds, Caller, EnvironmentName, Permission, Reach, Revision, Role, Scope, SpaceName};
use claviger_engine::{
    Engine, Error, Names,
    access::{NewApiKey, system_caller},
    audit::Fact,
    spaces::{DeletedSpace, MAX_METADATA_BYTES, NewSpace, Space, UpdateSpace},
};
use claviger_store::{Append, Expected, Filter, Ledger, MemoryIndex, MemoryLedger, Record, Stream};
use serde_json::value::RawValue;

use crate::support::{Store, caller, environment, eventually, memory_engine, name, records, set, value};

pub(crate) fn space(text: &str) -> SpaceName {
    text.parse().expect("a space name")
}

pub(crate) fn in_space(text: &str) -> Scope {
    Scope { environment: environment(), space: Some(space(text)) }
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

pub(crate) fn new(text: &str) -> NewSpace {
    NewSpace { name: space(text), metadata: json("{}") }
}

pub(crate) async fn create(engine: &Engine, text: &str) -> Space {
    engine.spaces().create(&system_caller(), &environment(), new(text)).await.expect("created")
}

pub(crate) async fn delete(engine: &Engine, text: &str) -> Result<DeletedSpace, Error> {
    delete_at(engine, text, None).await
}

async fn delete_at(engine: &Engine, text: &str, expected: Option<Revision>) -> Result<DeletedSpace, Error> {
    engine.spaces().delete(&system_caller(), &environment(), &space(text), expected).await
}

pub(crate) async fn get(engine: &Engine, text: &str) -> Result<Space, Error> {
    engine.spaces().get(&system_caller(), &environment(), &space(text)).await
}

pub(crate) async fn update(engine: &Engine, text: &str, metadata: &str) -> Result<Space, Error> {
    let update = UpdateSpace { metadata: json(metadata), expected: None };
    engine.spaces().update(&system_caller(), &environment(), &space(text), update).await
}

async fn list_as(engine: &Engine, caller: &Caller) -> Result<Vec<String>, Error> {
    let page = engine.spaces().list(caller, &environment(), None, 1_000).await?;
    assert_eq!(page.next, None);
    Ok(page.items.iter().map(|space| space.name.to_string()).collect())
}

async fn list(engine: &Engine) -> Vec<String> {
    list_as(engine, &system_caller()).await.expect("listed")
}

/// Sets a secret in a space.
pub(crate) async fn set_in(engine: &Engine, at: &str, secret: &str) -> Result<Revision, Error> {
    let set = engine.vault().set(&system_caller(), &in_space(at), &name(secret), value("some-value")).await?;
    Ok(set.secret.revision)
}

/// The names of all that is to be seen from a space.
async fn secrets_of(engine: &Engine, at: &str) -> Vec<String> {
    let page = engine.vault().list(&system_caller(), &in_space(at), None, 1_000).await.expect("listed");
    page.items.iter().map(|item| item.secret.secret.name.to_string()).collect()
}

/// What an API key of the role `runtime` makes of its bearer, narrowed to spaces or not.
async fn runtime_caller(engine: &Engine, spaces: Option<&[&str]>) -> Caller {
    let (_, key) = runtime_key(engine, spaces).await.expect("created");
    engine.access().authenticate(&key).expect("authenticated")
}

async fn runtime_key(engine: &Engine, spaces: Option<&[&str]>) -> Result<(String, String), Error> {
    let spaces = spaces.map(|spaces| spaces.iter().map(|text| space(text)).collect());
    let bounds = Bounds { secrets: vec!["*".to_owned()], spaces, ..Bounds::default() };
    let new = NewApiKey { role: Role::Runtime, environment: Some(environment()), description: None, bounds, ttl: None };
    let (info, key) = engine.access().create_api_key(&system_caller(), new).await?;
    Ok((info.id.to_string(), key.to_string()))
}

fn is_unknown<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::SpaceNotFound))
}

#[tokio::test]
async fn a_space_is_created_changed_and_deleted() {
    let (store, engine) = memory_engine().await;
    let (operator, id) = (caller(Role::Operator), space("acme"));
    let metadata = json(" { \"plan\" : \"gold\",\n \"seats\": 1.50 } ");
    let new = NewSpace { name: id.clone(), metadata };
    let created = engine.spaces().create(&operator, &environment(), new).await.expect("created");
    assert_eq!((created.name.clone(), created.environment.clone()), (id.clone(), environment()));
    assert_eq!(created.metadata.get(), r#"{"plan":"gold","seats":1.50}"#);
    assert_eq!((created.created_at, &*created.created_by), (created.updated_at, "operator"));
    assert!(engine.access().has_space(&environment(), &id));

    store.clock.advance(Duration::from_secs(5));
    let updated = update(&engine, "acme", "{\"plan\":\"none\"}").await.expect("updated");
    assert_eq!(updated.metadata.get(), r#"{"plan":"none"}"#);
    assert_eq!((updated.created_at, &*updated.created_by), (created.created_at, "operator"));
    assert_eq!(
        (updated.updated_at.since(created.updated_at), &*updated.updated_by),
        (Duration::from_secs(5), "system")
    );
    assert!(updated.revision > created.revision);
    let read = get(&engine, "acme").await.expect("there");
    assert_eq!((read.revision, read.metadata.get()), (updated.revision, updated.metadata.get()));

    let deleted = delete(&engine, "acme").await.expect("deleted");
    assert_eq!((deleted.space.name, deleted.secrets), (id.clone(), 0));
    assert!(!engine.access().has_space(&environment(), &id));
    assert!(list(&engine).await.is_empty());
    assert!(is_unknown(get(&engine, "acme").await) && is_unknown(update(&engine, "acme", "{}").await));
    assert!(is_unknown(delete(&engine, "acme").await));

    store.clock.advance(Duration::from_secs(5));
    let again = create(&engine, "acme").await;
    assert_eq!((again.metadata.get(), again.created_at), ("{}", again.updated_at));
    assert!(again.created_at > updated.updated_at && again.revision > deleted.space.revision);
}

#[tokio::test]
async fn a_change_can_be_made_at_one_revision_only() {
    let (_store, engine) = memory_engine().await;
    let created = create(&engine, "acme").await;
    let at = async |revision: Revision, metadata: &str| {
        let update = UpdateSpace { metadata: json(metadata), expected: Some(revision) };
        engine.spaces().update(&system_caller(), &environment(), &space("acme"), update).await
    };
    let first = at(created.revision, "{\"plan\":\"gold\"}").await.expect("updated");
    let late = at(created.revision, "{\"plan\":\"none\"}").await;
    assert!(matches!(late, Err(Error::RevisionConflict { current }) if current == first.revision), "{late:?}");
    assert_eq!(get(&engine, "acme").await.expect("there").metadata.get(), "{\"plan\":\"gold\"}");
    let both = tokio::join!(at(first.revision, "{\"a\":1}"), at(first.revision, "{\"b\":1}"));
    let kept = get(&engine, "acme").await.expect("there");
    match both {
        (Ok(made), Err(Error::RevisionConflict { current })) | (Err(Error::RevisionConflict { current }), Ok(made)) => {
            assert_eq!(
                (made.revision, current, made.metadata.get()),
                (kept.revision, kept.revision, kept.metadata.get())
            );
        }
        other => panic!("{other:?}"),
    }
    delete(&engine, "acme").await.expect("deleted");
    assert!(is_unknown(at(kept.revision, "{}").await), "gone is gone, whatever its revision was");
}

#[tokio::test]
async fn a_space_is_deleted_at_the_expected_revision_only() {
    let (_store, engine) = memory_engine().await;
    let created = create(&engine, "acme").await.revision;
    let updated = update(&engine, "acme", "{\"plan\":\"gold\"}").await.expect("updated").revision;
    for stale in [created, Revision(updated.0 + 1), Revision::ZERO] {
        let refused = delete_at(&engine, "acme", Some(stale)).await;
        assert!(matches!(refused, Err(Error::RevisionConflict { current }) if current == updated), "{refused:?}");
    }
    assert_eq!(get(&engine, "acme").await.expect("there").revision, updated);
    delete_at(&engine, "acme", Some(updated)).await.expect("deleted");
    assert!(is_unknown(delete_at(&engine, "acme", Some(updated)).await), "gone is gone, whatever is expected");
    let again = create(&engine, "acme").await.revision;
    let refused = delete_at(&engine, "acme", Some(updated)).await;
    assert!(matches!(refused, Err(Error::RevisionConflict { current }) if current == again), "{refused:?}");
}

#[tokio::test]
async fn a_deleted_space_is_remembered_without_its_metadata_and_each_is_heard_of_once() {
    let (store, engine) = memory_engine().await;
    for text in ["acme", "beta"] {
        create(&engine, text).await;
        update(&engine, text, "{\"plan\":\"gold\"}").await.expect("updated");
    }
    let deleted = delete(&engine, "acme").await.expect("deleted");
    assert_eq!(deleted.space.metadata.get(), "{}");
    let expected = [in_space("acme"), in_space("beta")];
    for engine in [&engine, &store.another_engine().await] {
        assert_eq!(engine.spaces().heard_of(0), expected);
        assert_eq!((engine.spaces().heard_of(1), engine.spaces().heard_of(2)), (vec![in_space("beta")], vec![]));
        assert_eq!(list(engine).await, ["beta"]);
        assert!(is_unknown(get(engine, "acme").await));
    }
    create(&engine, "acme").await;
    create(&engine, "gamma").await;
    assert_eq!(engine.spaces().heard_of(2), [in_space("gamma")]);
}

#[tokio::test]
async fn names_are_told_apart_and_stand_in_their_own_environment() {
    let (_store, engine) = memory_engine().await;
    engine.access().create_environment(&system_caller(), "prod").await.expect("created");
    let (long, longer) = ("長".repeat(199), "長".repeat(200));
    let mut names = vec!["acme", "Acme", "acme.eu", "*", ">", "a/b", "a b", "environment", "system", &long, &longer];
    for text in &names {
        create(&engine, text).await;
        let again = engine.spaces().create(&system_caller(), &environment(), new(text)).await;
        assert!(matches!(again, Err(Error::SpaceExists)), "{text}: {again:?}");
        assert_eq!(get(&engine, text).await.expect("there").name.as_str(), *text);
    }
    names.sort_unstable();
    assert_eq!(list(&engine).await, names);
    let prod: EnvironmentName = "prod".parse().expect("a name");
    assert!(!engine.access().has_space(&prod, &space("acme")));
    assert!(is_unknown(engine.spaces().get(&system_caller(), &prod, &space("acme")).await));
    engine.spaces().create(&system_caller(), &prod, new("acme")).await.expect("another one");
    engine.spaces().delete(&system_caller(), &prod, &space("acme"), None).await.expect("deleted");
    assert_eq!(list(&engine).await.len(), names.len());
    let nowhere = engine.spaces().create(&system_caller(), &"nowhere".parse().expect("a name"), new("acme")).await;
    assert!(matches!(nowhere, Err(Error::EnvironmentNotFound)), "{nowhere:?}");
}

#[tokio::test]
async fn a_list_has_pages() {
    let (_store, engine) = memory_engine().await;
    for text in ["c", "a", "e", "b", "d"] {
        create(&engine, text).await;
    }
    let page = async |after: Option<&str>, limit| {
        let page = engine.spaces().list(&system_caller(), &environment(), after, limit).await?;
        let names: Vec<String> = page.items.iter().map(|space| space.name.to_string()).collect();
        Ok::<_, Error>((names.concat(), page.next))
    };
    assert_eq!(page(None, 2).await.expect("listed"), ("ab".into(), Some("b".into())));
    assert_eq!(page(Some("b"), 2).await.expect("listed"), ("cd".into(), Some("d".into())));
    assert_eq!(page(Some("d"), 2).await.expect("listed"), ("e".into(), None));
    assert_eq!(page(Some("bb"), 3).await.expect("listed"), ("cde".into(), None));
    assert_eq!(page(None, 0).await.expect_err("refused").code(), "invalid_request");
    assert_eq!(page(Some(""), 1).await.expect_err("refused").code(), "invalid_name");
}

#[tokio::test]
async fn metadata_that_is_no_small_object_is_refused_and_changes_nothing() {
    let (_store, engine) = memory_engine().await;
    create(&engine, "acme").await;
    let before = get(&engine, "acme").await.expect("there").revision;
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_METADATA_BYTES));
    for (metadata, code) in [("[]", "invalid_request"), ("null", "invalid_request"), (&large, "body_too_large")] {
        let changed = update(&engine, "acme", metadata).await.expect_err("refused");
        let other = NewSpace { name: space("other"), metadata: json(metadata) };
        let made = engine.spaces().create(&system_caller(), &environment(), other).await.expect_err("refused");
        assert_eq!((changed.code(), made.code()), (code, code));
    }
    assert_eq!(
        (list(&engine).await, get(&engine, "acme").await.expect("there").revision),
        (vec!["acme".into()], before)
    );
}

#[tokio::test]
async fn roles_may_what_they_may() {
    let (_store, engine) = memory_engine().await;
    create(&engine, "acme").await;
    let spaces = engine.spaces();
    for (role, sees, changes) in [
        (Role::Operator, true, true),
        (Role::Runtime, true, false),
        (Role::Viewer, true, false),
        (Role::Subscriber, false, false),
    ] {
        let caller = caller(role);
        let denied = |error: Option<Error>| matches!(error, Some(Error::Denied { .. }));
        assert_eq!(denied(list_as(&engine, &caller).await.err()), !sees, "{role}");
        assert_eq!(denied(spaces.get(&caller, &environment(), &space("acme")).await.err()), !sees, "{role}");
        let other = format!("of-{role}");
        assert_eq!(denied(spaces.create(&caller, &environment(), new(&other)).await.err()), !changes, "{role}");
        let nothing = UpdateSpace { metadata: json("{}"), expected: None };
        let updated = spaces.update(&caller, &environment(), &space("acme"), nothing).await;
        assert_eq!(denied(updated.err()), !changes, "{role}");
        assert_eq!(
            denied(spaces.delete(&caller, &environment(), &space(&other), None).await.err()),
            !changes,
            "{role}"
        );
        let foreign: EnvironmentName = "prod".parse().expect("a name");
        let outside = spaces.list(&caller, &foreign, None, 1).await;
        assert!(matches!(outside, Err(Error::EnvironmentNotFound)), "{role}: {outside:?}");
    }
    assert_eq!(list(&engine).await, ["acme"]);
}

#[tokio::test]
async fn a_key_narrowed_to_spaces_sees_those_and_nothing_else() {
    let (store, engine) = memory_engine().await;
    for text in ["acme", "beta", "other"] {
        create(&engine, text).await;
    }
    let wide = runtime_caller(&engine, None).await;
    let (_, key) = runtime_key(&engine, Some(&["beta", "acme", "not-yet"])).await.expect("created");
    let narrow = engine.access().authenticate(&key).expect("authenticated");
    let restarted = store.another_engine().await;
    for engine in [&engine, &restarted] {
        let again = engine.access().authenticate(&key).expect("authenticated");
        assert_eq!(again.bounds, narrow.bounds, "kept as it was made");
        assert_eq!(list_as(engine, &wide).await.expect("listed"), ["acme", "beta", "other"]);
        assert_eq!(list_as(engine, &again).await.expect("listed"), ["acme", "beta"]);
        for (text, is_reached) in [("acme", true), ("other", false), ("not-yet", false), ("Acme", false)] {
            let seen = engine.spaces().get(&again, &environment(), &space(text)).await;
            assert_eq!(is_unknown(seen), !is_reached, "{text}");
            let checked = engine.access().check_space(&again, &in_space(text)).await;
            assert_eq!(is_unknown(checked), !is_reached, "{text}");
        }
        let environments = engine.access().list_environments(&again).await.expect("listed");
        assert_eq!(environments.len(), 1);
    }
    create(&engine, "not-yet").await;
    assert!(engine.access().check_space(&narrow, &in_space("not-yet")).await.is_ok());
}

#[tokio::test]
async fn the_environment_itself_is_denied_to_a_narrowed_key_and_that_is_audited() {
    let (_store, engine) = memory_engine().await;
    create(&engine, "acme").await;
    let wide = runtime_caller(&engine, None).await;
    let narrow = runtime_caller(&engine, Some(&["acme"])).await;
    let (access, outer, inner) = (engine.access(), Scope::environment(environment()), in_space("acme"));
    for (caller, scope) in [(&wide, &outer), (&wide, &inner), (&narrow, &inner)] {
        access.check_space(caller, scope).await.expect("reached");
        access.authorize_in(caller, Permission::EventEmit, scope).await.expect("allowed");
    }
    assert!(matches!(access.check_space(&narrow, &outer).await, Err(Error::Denied { bound: Some(_), .. })));
    let refused = access.authorize_in(&narrow, Permission::EventEmit, &outer).await;
    assert!(matches!(refused, Err(Error::Denied { bound: Some(_), .. })), "{refused:?}");
    let entries = engine.audit().list(&system_caller(), &environment(), Revision::ZERO, 10).await.expect("listed");
    let [entry] = &entries.items[..] else { panic!("{entries:?}") };
    let Fact::Refused { permission, what: Some(_), .. } = &entry.fact else { panic!("{entry:?}") };
    assert_eq!((permission.as_str(), &entry.caller), ("event.emit", &narrow.id));
    // What the role may not, it may not in its spaces either.
    let refused = access.authorize_in(&narrow, Permission::SecretWrite, &inner).await;
    assert!(matches!(refused, Err(Error::Denied { bound: None, .. })), "{refused:?}");
}

#[tokio::test]
async fn only_runtime_keys_of_one_environment_are_narrowed_to_spaces() {
    let (_store, engine) = memory_engine().await;
    let of = |role, place: Option<EnvironmentName>, spaces: Vec<SpaceName>| {
        let secrets = if role == Role::Runtime { vec!["*".to_owned()] } else { Vec::new() };
        let events = if role == Role::Subscriber { vec![">".parse().expect("a pattern")] } else { Vec::new() };
        let bounds = Bounds { secrets, events, spaces: Some(spaces), ..Bounds::default() };
        NewApiKey { role, environment: place, description: None, bounds, ttl: None }
    };
    let many = |count: usize| (0..count).map(|number| space(&number.to_string())).collect::<Vec<_>>();
    for bad in [
        of(Role::Admin, None, many(1)),
        of(Role::Operator, Some(environment()), many(1)),
        of(Role::Viewer, Some(environment()), many(1)),
        of(Role::Subscriber, Some(environment()), many(1)),
        of(Role::Runtime, None, many(1)),
        of(Role::Runtime, Some(environment()), Vec::new()),
        of(Role::Runtime, Some(environment()), many(101)),
    ] {
        let error = engine.access().create_api_key(&system_caller(), bad.clone()).await.expect_err("refused");
        assert!(matches!(error, Error::Invalid { .. }), "{bad:?}: {error:?}");
    }
    let most = of(Role::Runtime, Some(environment()), many(100));
    let (made, _) = engine.access().create_api_key(&system_caller(), most).await.expect("created");
    assert_eq!((made.reach.clone(), &made.bounds.spaces), (Reach::One(environment()), &Some(many(100))));
}

#[tokio::test]
async fn a_restarted_server_knows_what_there_was() {
    let (store, engine) = memory_engine().await;
    for text in ["acme", "beta", "gone"] {
        create(&engine, text).await;
    }
    let updated = update(&engine, "beta", "{\"a\":1}").await.expect("updated");
    delete(&engine, "gone").await.expect("deleted");
    drop(engine);
    let engine = store.engine().await;
    assert_eq!(list(&engine).await, ["acme", "beta"]);
    let read = get(&engine, "beta").await.expect("there");
    assert_eq!((read.revision, read.metadata.get()), (updated.revision, "{\"a\":1}"));
    assert!(is_unknown(get(&engine, "gone").await));
    create(&engine, "gone").await;
}

#[tokio::test]
async fn a_deleted_space_takes_its_secrets_and_blocks_with_it() {
    let (_store, engine) = memory_engine().await;
    set(&engine, "SHARED", "of-the-environment").await;
    set(&engine, "BLOCKED", "of-the-environment").await;
    for text in ["acme", "beta"] {
        create(&engine, text).await;
        for secret in ["OWN", "SHARED"] {
            set_in(&engine, text, secret).await.expect("set");
        }
    }
    engine.vault().block(&system_caller(), &in_space("acme"), &name("BLOCKED"), None).await.expect("blocked");
    assert_eq!(delete(&engine, "acme").await.expect("deleted").secrets, 3);
    assert!(is_unknown(set_in(&engine, "acme", "OWN").await));
    let described = engine.vault().describe(&system_caller(), &in_space("acme"), &name("SHARED")).await;
    assert!(is_unknown(described));
    create(&engine, "acme").await;
    assert_eq!(secrets_of(&engine, "acme").await, ["BLOCKED", "SHARED"], "what it inherits");
    assert_eq!(secrets_of(&engine, "beta").await, ["BLOCKED", "OWN", "SHARED"]);
    let again = set_in(&engine, "acme", "OWN").await;
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test]
async fn what_a_failure_leaves_of_a_deleted_space_is_removed_before_there_is_one_again() {
    for finishes in [true, false] {
        let (store, engine) = memory_engine().await;
        create(&engine, "acme").await;
        for secret in ["A", "B", "C"] {
            set_in(&engine, "acme", secret).await.expect("set");
        }
        store.ledger.fill(Stream::Secrets);
        let failed = delete(&engine, "acme").await;
        assert!(matches!(&failed, Err(Error::Store(claviger_store::Error::Full))), "{failed:?}");
        assert!(is_unknown(get(&engine, "acme").await), "it is gone with one record");
        let created = engine.spaces().create(&system_caller(), &environment(), new("acme")).await;
        assert!(created.is_err(), "not before its leftovers are");
        store.ledger.make_room();
        let restarted = store.another_engine().await;
        if finishes {
            let finished = delete(&restarted, "acme").await.expect("goes on");
            assert_eq!((finished.space.name.as_str(), finished.secrets), ("acme", 3));
            assert!(is_unknown(delete(&restarted, "acme").await));
        }
        create(&restarted, "acme").await;
        assert!(secrets_of(&restarted, "acme").await.is_empty());
    }
}

/// The store's records as somebody sees them who has it and no key.
async fn raw(ledger: &dyn Ledger) -> Vec<Record> {
    let mut records = Vec::new();
    for stream in Stream::ALL {
        records.extend(ledger.read(stream, &Filter::All, Revision::ZERO, 100_000).await.expect("read"));
    }
    records
}

#[tokio::test]
async fn where_names_are_sealed_nothing_shows_a_space() {
    let stored = Arc::new(MemoryLedger::new());
    let store = Store { names: Names::Sealed, ..Store::over(stored.clone(), Arc::new(MemoryIndex::new())) };
    let engine = store.engine().await;
    let canary = "canary-7f3a";
    let metadata = json(&format!("{{\"{canary}\":1}}"));
    let new = NewSpace { name: space(canary), metadata };
    engine.spaces().create(&system_caller(), &environment(), new).await.expect("created");
    set_in(&engine, canary, "A").await.expect("set");
    runtime_key(&engine, Some(&[canary])).await.expect("created");
    update(&engine, canary, "{}").await.expect("updated");
    delete(&engine, canary).await.expect("deleted");
    create(&engine, canary).await;
    let shows = |bytes: &[u8]| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
    let records = raw(&*stored).await;
    assert!(records.len() > 6);
    for record in &records {
        assert!(!shows(record.subject.as_str().as_bytes()) && !shows(&record.bytes), "{}", record.subject);
    }
    let restarted = store.another_engine().await;
    assert_eq!(list(&restarted).await, [canary]);
}

/// Appends bytes as if somebody wrote to the store behind the engine's back.
async fn plant(ledger: &dyn Ledger, at: &Record, bytes: &[u8]) {
    let append = Append::new(Stream::Access, at.subject.clone(), bytes.to_vec(), Expected::Any);
    ledger.append(vec![append]).await.remove(0).expect("appended");
}

async fn last_access_record(ledger: &dyn Ledger) -> Record {
    let records = ledger.read(Stream::Access, &Filter::All, Revision::ZERO, 100_000).await.expect("read");
    records.into_iter().last().expect("there is one")
}

fn is_corrupt<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    outcome.is_err_and(|error| error.code() == "store_corrupt")
}

async fn assert_damaged(engine: &Engine) {
    assert!(!engine.access().has_space(&environment(), &space("acme")));
    assert!(is_corrupt(get(engine, "acme").await));
    assert!(is_corrupt(engine.access().check_space(&system_caller(), &in_space("acme")).await));
    assert!(is_corrupt(update(engine, "acme", "{}").await));
    assert!(is_corrupt(engine.spaces().create(&system_caller(), &environment(), new("acme")).await));
    assert!(is_corrupt(delete(engine, "acme").await));
    assert!(is_corrupt(set_in(engine, "acme", "A").await));
    assert!(is_corrupt(list_as(engine, &system_caller()).await), "no gap in the list");
    assert_eq!(get(engine, "beta").await.expect("another one").name.as_str(), "beta");
}

#[tokio::test]
async fn a_space_with_a_damaged_record_is_damaged_and_not_unknown() {
    for names in [Names::Plain, Names::Sealed] {
        let stored = Arc::new(MemoryLedger::new());
        let store = Store { names, ..Store::over(stored.clone(), Arc::new(MemoryIndex::new())) };
        let engine = store.engine().await;
        create(&engine, "beta").await;
        create(&engine, "acme").await;
        let mut record = last_access_record(&*stored).await;
        let mut bytes = record.bytes.to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        plant(&*stored, &record, &bytes).await;
        eventually(async || !engine.access().has_space(&environment(), &space("acme"))).await;
        assert_damaged(&engine).await;
        assert_damaged(&store.another_engine().await).await;
        // Nothing else of it is left.
        record = last_access_record(&*stored).await;
        stored.purge(Stream::Access, &record.subject).await.expect("purged");
        plant(&*stored, &record, &bytes).await;
        assert_damaged(&store.another_engine().await).await;
    }
}

#[tokio::test]
async fn a_record_from_before_the_deletion_does_not_bring_a_space_back() {
    let (store, engine) = memory_engine().await;
    create(&engine, "beta").await;
    create(&engine, "acme").await;
    let created = records(&store, Stream::Access).await.pop().expect("stored");
    delete(&engine, "acme").await.expect("deleted");
    plant(&*store.ledger, &created, &created.bytes).await;
    eventually(async || is_corrupt(list_as(&engine, &system_caller()).await)).await;
    assert_damaged(&engine).await;
    assert_damaged(&store.another_engine().await).await;
}

#[tokio::test]
async fn a_record_in_the_place_of_another_makes_no_space() {
    let (store, engine) = memory_engine().await;
    create(&engine, "beta").await;
    let beta = records(&store, Stream::Access).await.pop().expect("stored");
    create(&engine, "acme").await;
    let acme = records(&store, Stream::Access).await.pop().expect("stored");
    plant(&*store.ledger, &acme, &beta.bytes).await;
    eventually(async || !engine.access().has_space(&environment(), &space("acme"))).await;
    assert_damaged(&engine).await;
    assert_damaged(&store.another_engine().await).await;
}

//! Setting, reading, deleting and delivering secrets.

use std::collections::{BTreeMap, BTreeSet};

use claviger_core::{Permission, Revision, Role, Scope, SecretValue, secret::Action};
use claviger_engine::{
    Error,
    access::system_caller,
    runtime::DeclaredSecret,
    vault::{ChangedSecret, SetSecret, Short},
};
use claviger_store::{Ledger, Op, Stream, Subject};
use tokio::task::JoinSet;

use crate::support::{
    Store, caller, declared, deliver, delivered, environment, eventually, list, memory_engine, name, prepare, scope,
    set, value, version,
};

#[tokio::test]
async fn a_secret_lives_through_versions_and_a_delete() {
    let (store, engine) = memory_engine().await;
    let vault = engine.vault();
    let first = set(&engine, "STRIPE_KEY", "sk_live_1").await;
    assert_eq!((first.action, first.secret.secret.active), (Action::Created, Some(1)));
    let described = SetSecret { description: Some("payments".to_owned()), ..value("sk_live_2") };
    let second = vault.set(&system_caller(), &scope(), &name("STRIPE_KEY"), described).await.expect("set");
    assert_eq!((second.action, second.secret.secret.active), (Action::Updated, Some(2)));
    assert!(second.secret.revision > first.secret.revision);
    let seen = vault.describe(&system_caller(), &scope(), &name("STRIPE_KEY")).await.expect("described").secret;
    assert_eq!(seen, second.secret);
    assert_eq!(seen.secret.description.as_deref(), Some("payments"));
    assert_eq!(list(&engine).await.expect("listed"), [seen]);
    assert_eq!(delivered(&engine, &store, &["STRIPE_KEY"]).await, [("STRIPE_KEY".into(), 2, "sk_live_2".into())]);

    let deleted = vault.delete(&system_caller(), &scope(), &name("STRIPE_KEY"), None).await.expect("deleted");
    assert_eq!(deleted.secret.active, None);
    let gone = vault.describe(&system_caller(), &scope(), &name("STRIPE_KEY")).await;
    assert!(matches!(gone, Err(Error::SecretNotFound)), "{gone:?}");
    let again = vault.delete(&system_caller(), &scope(), &name("STRIPE_KEY"), None).await;
    assert!(matches!(again, Err(Error::SecretNotFound)), "{again:?}");
    assert_eq!(list(&engine).await.expect("listed"), []);
    assert_eq!(delivered(&engine, &store, &["STRIPE_KEY"]).await, []);

    let third = set(&engine, "STRIPE_KEY", "sk_live_3").await;
    assert_eq!((third.action, third.secret.secret.active), (Action::Created, Some(3)));
    assert_eq!(third.secret.secret.description, None);
}

#[tokio::test]
async fn the_empty_value_is_a_value() {
    let (store, engine) = memory_engine().await;
    let empty = SetSecret { short: Short::Accept, ..value("") };
    let outcome = engine.vault().set(&system_caller(), &scope(), &name("EMPTY"), empty).await.expect("set");
    assert!(outcome.secret.secret.unmaskable);
    assert_eq!(delivered(&engine, &store, &["EMPTY", "MISSING"]).await, [("EMPTY".into(), 1, String::new())]);
}

#[tokio::test]
async fn values_outside_the_rules_are_refused_and_not_repeated() {
    let (_store, engine) = memory_engine().await;
    let try_set = async |set: SetSecret| {
        engine.vault().set(&system_caller(), &scope(), &name("A"), set).await.expect_err("it is refused")
    };
    let large = SetSecret { value: SecretValue::new(vec![b'x'; SecretValue::MAX_BYTES + 1]), ..value("") };
    let errors = [
        (try_set(large).await, "value_too_large"),
        (try_set(value("short")).await, "value_too_short"),
        (try_set(value("")).await, "value_too_short"),
        (try_set(value("before «STRIPE_KEY@7» after")).await, "value_is_mask"),
        (try_set(SetSecret { description: Some("d".repeat(1_001)), ..value("fits-well") }).await, "invalid_request"),
    ];
    for (error, code) in errors {
        assert_eq!(error.code(), code);
        assert!(!error.to_string().contains("short") || code == "value_too_short", "{error}");
    }
    let largest = SetSecret { value: SecretValue::new(vec![b'x'; SecretValue::MAX_BYTES]), ..value("") };
    engine.vault().set(&system_caller(), &scope(), &name("A"), largest).await.expect("64 KiB are allowed");
}

#[tokio::test]
async fn compare_and_set_names_the_current_revision() {
    let (_store, engine) = memory_engine().await;
    let vault = engine.vault();
    let expecting = |revision: Revision| SetSecret { expected: Some(revision), ..value("a-value") };
    let created = vault.set(&system_caller(), &scope(), &name("A"), expecting(Revision::ZERO)).await.expect("absent");
    let conflict = vault.set(&system_caller(), &scope(), &name("A"), expecting(Revision::ZERO)).await;
    assert_eq!(conflict.expect_err("it is there").current_revision(), Some(created.secret.revision));
    let current = created.secret.revision;
    let updated = vault.set(&system_caller(), &scope(), &name("A"), expecting(current)).await.expect("current");
    let stale = vault.delete(&system_caller(), &scope(), &name("A"), Some(current)).await;
    assert_eq!(stale.expect_err("it is stale").current_revision(), Some(updated.secret.revision));
    vault.delete(&system_caller(), &scope(), &name("A"), Some(updated.secret.revision)).await.expect("current");
    vault.set(&system_caller(), &scope(), &name("A"), expecting(Revision::ZERO)).await.expect("deleted is not set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_compare_and_sets_one_wins() {
    let (_store, engine) = memory_engine().await;
    let current = set(&engine, "A", "the-first").await.secret.revision;
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let vault = engine.vault().clone();
        racers.spawn(async move {
            let set = SetSecret { expected: Some(current), ..value(&format!("from-racer-{racer}")) };
            vault.set(&system_caller(), &scope(), &name("A"), set).await
        });
    }
    let (won, lost): (Vec<_>, Vec<_>) = racers.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    let winner = won.into_iter().next().and_then(Result::ok).expect("one won").secret.revision;
    assert!(lost.into_iter().all(|lost| lost.err().and_then(|e| e.current_revision()) == Some(winner)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_sets_all_get_a_version_of_their_own() {
    let (store, engine) = memory_engine().await;
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let vault = engine.vault().clone();
        racers.spawn(async move {
            let mut versions = Vec::new();
            for round in 0..20 {
                let set = value(&format!("value-{racer}-{round}"));
                let outcome = vault.set(&system_caller(), &scope(), &name("A"), set).await.expect("set");
                versions.push((outcome.secret.revision, outcome.secret.secret.latest));
            }
            versions
        });
    }
    let mut seen: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    seen.sort();
    let versions: Vec<u64> = seen.iter().map(|(_, version)| *version).collect();
    assert_eq!(versions, (1..=160).collect::<Vec<_>>(), "in the order of their revisions");
    assert_eq!(delivered(&engine, &store, &["A"]).await[0].1, 160);
}

#[tokio::test]
async fn versions_beyond_ten_are_erased() {
    let (store, engine) = memory_engine().await;
    for version in 1..=13 {
        set(&engine, "A", &format!("value-number-{version}")).await;
    }
    let listed = list(&engine).await.expect("listed").remove(0);
    let kept: Vec<u64> = listed.secret.versions.iter().map(|version| version.number).collect();
    assert_eq!(kept, (4..=13).collect::<Vec<_>>());
    let subject = Subject::parse("secret.default.env.A").expect("a subject");
    eventually(async || store.ledger.history(Stream::Secrets, &subject).await.expect("read").len() == 10).await;

    let received = [3, 4, 13].map(|number| version("A", number));
    let redactor = engine.vault().reopen(&environment(), &received).await;
    assert_eq!(redactor.redact("value-number-4, value-number-13"), "«A@4», «A@13»");
    assert!(!redactor.contains(b"value-number-3,"));
}

#[tokio::test]
async fn what_was_to_be_erased_at_a_crash_is_erased_at_the_next_start() {
    let (store, engine) = memory_engine().await;
    let (first, last) = (set(&engine, "A", "value-one").await, set(&engine, "A", "value-two").await);
    list(&engine).await.expect("folded");
    drop(engine);
    let key = format!("\0erase\0{:020}", first.secret.revision.0);
    let note = Op::Put { key, value: Vec::new() };
    store.index.write("secrets", vec![note], BTreeMap::new()).await.expect("noted");
    let engine = store.engine().await;
    let subject = Subject::parse("secret.default.env.A").expect("a subject");
    eventually(async || {
        let history = store.ledger.history(Stream::Secrets, &subject).await.expect("read");
        history.iter().map(|record| record.revision).eq([last.secret.revision])
    })
    .await;
    eventually(async || store.index.scan("secrets", "\0erase\0", "", 1).await.expect("scanned").is_empty()).await;
    drop(engine);
}

#[tokio::test]
async fn lists_are_paged_in_order_and_per_environment() {
    let (_store, engine) = memory_engine().await;
    engine.access().create_environment(&system_caller(), "default2").await.expect("created");
    let other = Scope::environment("default2".parse().expect("a name"));
    for secret in ["B", "A", "a b", "ü", "Ω/*.>"] {
        set(&engine, secret, "some-value").await;
        let foreign = name(&format!("{secret}2"));
        engine.vault().set(&system_caller(), &other, &foreign, value("some-value")).await.expect("set");
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = engine.vault().list(&system_caller(), &scope(), after.as_deref(), 2).await.expect("listed");
        seen.extend(page.items.iter().map(|item| item.secret.secret.name.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["A", "B", "a b", "ü", "Ω/*.>"]);
}

#[tokio::test]
async fn names_that_mean_something_elsewhere_are_just_names() {
    let (store, engine) = memory_engine().await;
    let names =
        ["root", "default", "system", "_", "*", ">", "a.b", "a/b", "%2e%2e", "=h", "env", "A", "a", "constructor"];
    for secret in names {
        set(&engine, secret, &format!("value of {secret}")).await;
    }
    let long = "n".repeat(1_024);
    set(&engine, &long, "value of the long one").await;
    for secret in names {
        let expected = (secret.to_owned(), 1, format!("value of {secret}"));
        assert_eq!(delivered(&engine, &store, &[secret]).await, [expected]);
    }
    assert_eq!(delivered(&engine, &store, &[&long]).await[0].2, "value of the long one");
    let listed: BTreeSet<String> =
        list(&engine).await.expect("listed").iter().map(|info| info.secret.name.to_string()).collect();
    assert_eq!(listed.len(), names.len() + 1);
}

#[tokio::test]
async fn every_role_may_do_what_it_may_and_nothing_else() {
    let (_store, engine) = memory_engine().await;
    set(&engine, "A", "some-value").await;
    let vault = engine.vault();
    for role in Role::ALL {
        let caller = caller(role);
        let refused = |may: bool, error: Option<Error>| match (may, error) {
            (true, error) => assert!(error.is_none(), "{role}: {error:?}"),
            (false, error) => assert!(matches!(error, Some(Error::Denied { .. })), "{role}: {error:?}"),
        };
        let may_list = role.may(Permission::SecretList);
        refused(may_list, vault.describe(&caller, &scope(), &name("A")).await.err());
        refused(may_list, vault.list(&caller, &scope(), None, 10).await.err());
        let may_write = role.may(Permission::SecretWrite);
        refused(may_write, vault.set(&caller, &scope(), &name("B"), value("some-value")).await.err());
        refused(may_write, vault.delete(&caller, &scope(), &name("B"), None).await.err());
    }
}

#[tokio::test]
async fn a_foreign_environment_answers_as_one_that_is_not_there() {
    let (_store, engine) = memory_engine().await;
    engine.access().create_environment(&system_caller(), "prod").await.expect("created");
    for environment in ["prod", "nowhere"] {
        let scope = Scope::environment(environment.parse().expect("a name"));
        let vault = engine.vault();
        let operator = caller(Role::Operator);
        let errors = [
            vault.set(&operator, &scope, &name("A"), value("some-value")).await.err(),
            vault.describe(&operator, &scope, &name("A")).await.err(),
            vault.list(&operator, &scope, None, 10).await.err(),
            vault.delete(&operator, &scope, &name("A"), None).await.err(),
            engine.access().environment(&operator, environment).await.err(),
        ];
        for error in errors {
            assert!(matches!(error, Some(Error::EnvironmentNotFound)), "{environment}: {error:?}");
        }
    }
    for text in ["", "..", "default/../prod", "DEFAULT", "all", "default\0"] {
        assert!(engine.access().environment(&caller(Role::Operator), text).await.is_err(), "{text:?}");
    }
    assert!(engine.access().environment(&caller(Role::Operator), "default").await.is_ok());
}

#[tokio::test]
async fn a_delivery_has_the_value_of_the_last_acknowledged_set() {
    let (store, engine) = memory_engine().await;
    assert_eq!(delivered(&engine, &store, &["A"]).await, []);
    for round in 1..=50 {
        let text = format!("value-{round}");
        set(&engine, "A", &text).await;
        assert_eq!(delivered(&engine, &store, &["A"]).await, [("A".into(), round, text)]);
    }
}

#[tokio::test]
async fn what_is_missing_or_out_of_bounds_is_told_apart_from_what_is_there() {
    let (_store, engine) = memory_engine().await;
    set(&engine, "SLACK_TOKEN", "some-value").await;
    set(&engine, "STRIPE_KEY", "other-value").await;
    let require = |secret: &str| DeclaredSecret { name: name(secret), required: true };
    let declared = [require("SLACK_TOKEN"), require("STRIPE_KEY"), require("NOT_SET")];
    let everything = prepare(&engine, &declared).await.expect("prepared");
    assert_eq!(everything.missing_required(), [name("NOT_SET")]);
    assert_eq!(everything.delivered(), [version("SLACK_TOKEN", 1), version("STRIPE_KEY", 1)]);

    let mut bounded = caller(Role::Runtime);
    let bounds = std::sync::Arc::make_mut(&mut bounded.bounds);
    bounds.secrets = vec!["SLACK_*".to_owned()];
    bounds.functions = Some(vec!["payout".parse().expect("an id")]);
    let (scope, payout, other) = (scope(), "payout".parse().expect("id"), "other".parse().expect("id"));
    let request = |function| claviger_engine::vault::Request {
        scope: &scope,
        function,
        run: claviger_core::run::RunId([2; 16]),
        declared: &declared,
    };
    let prepared = engine.vault().prepare(&bounded, request(&payout)).await.expect("prepared");
    assert_eq!(prepared.missing_required(), [name("STRIPE_KEY"), name("NOT_SET")]);
    let refused = engine.vault().prepare(&bounded, request(&other)).await;
    assert!(matches!(refused, Err(Error::Denied { bound: Some(_), .. })), "{refused:?}");
    for role in [Role::Admin, Role::Operator, Role::Viewer, Role::Subscriber] {
        let refused = engine.vault().prepare(&caller(role), request(&payout)).await;
        assert!(matches!(refused, Err(Error::Denied { .. })), "{role}: {refused:?}");
    }
}

#[tokio::test]
async fn without_its_audit_record_nothing_is_delivered() {
    let (store, engine) = memory_engine().await;
    set(&engine, "A", "some-value").await;
    assert!(deliver(&engine, &store, &["A"]).await.is_ok());
    assert_eq!(engine.audit().deliveries_total(), 1);
    store.ledger.fill(claviger_store::Stream::Audit);
    let failed = deliver(&engine, &store, &["A"]).await;
    assert_eq!(failed.expect_err("the audit is full").code(), "store_full");
    assert_eq!(engine.audit().deliveries_total(), 1);
    let refused = engine.vault().set(&caller(Role::Viewer), &scope(), &name("A"), value("some-value")).await;
    assert!(matches!(refused, Err(Error::Denied { .. })), "a refusal stays one: {refused:?}");
}

#[tokio::test]
async fn what_is_delivered_is_masked_for_the_run_and_in_logs() {
    let (store, engine) = memory_engine().await;
    set(&engine, "A", "some-value").await;
    let line = "logged some-value by mistake";
    assert_eq!(engine.live().redact(line), line);
    let delivered = deliver(&engine, &store, &["A"]).await.expect("delivered");
    assert_eq!(engine.live().redact(line), "logged «A@1» by mistake");
    assert_eq!(delivered.redactor.redact(line), "logged «A@1» by mistake");
    let again = deliver(&engine, &store, &["A"]).await.expect("delivered");
    assert_eq!(again.redactor.redact(line), "logged «A@1» by mistake");
}

#[tokio::test]
async fn listeners_hear_of_changes() {
    let (_store, engine) = memory_engine().await;
    let mut changed = engine.vault().changed();
    set(&engine, "A", "some-value").await;
    engine.vault().delete(&system_caller(), &scope(), &name("A"), None).await.expect("deleted");
    for _ in 0..2 {
        assert_eq!(changed.recv().await.expect("heard"), ChangedSecret { scope: scope(), name: name("A") });
    }
}

#[tokio::test]
async fn what_is_stored_survives_a_restart_and_a_lost_index() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || {
        let options = claviger_store::SqliteOptions::new(directory.path().join("claviger.db"));
        let ledger = claviger_store::SqliteLedger::open(options).expect("opened");
        Store::over(std::sync::Arc::new(ledger), std::sync::Arc::new(claviger_store::MemoryIndex::new()))
    };
    let store = open();
    let engine = store.engine().await;
    set(&engine, "A", "some-value").await;
    set(&engine, "B", "other-value").await;
    engine.vault().delete(&system_caller(), &scope(), &name("B"), None).await.expect("deleted");
    let before = list(&engine).await.expect("listed");
    engine.close().await;

    let store = open();
    let engine = store.engine().await;
    assert_eq!(list(&engine).await.expect("listed"), before);
    assert_eq!(delivered(&engine, &store, &["A", "B"]).await, [("A".into(), 1, "some-value".into())]);
    assert_eq!(set(&engine, "B", "other-value").await.secret.secret.latest, 2);
    engine.close().await;
}

#[tokio::test]
async fn debug_output_holds_no_value() {
    let (store, engine) = memory_engine().await;
    let canary = "canary-7f3a9c";
    let set_secret = value(canary);
    let mut shown = vec![format!("{set_secret:?}")];
    shown.push(format!("{:?}", engine.vault().set(&system_caller(), &scope(), &name("A"), set_secret).await));
    shown.push(format!("{:?}", prepare(&engine, &declared(&["A"])).await));
    let delivered = deliver(&engine, &store, &["A"]).await.expect("delivered");
    shown.push(format!("{delivered:?} {:?} {:?} {:?}", delivered.values, delivered.redactor, delivered.hold));
    shown.push(format!("{:?} {engine:?}", engine.live()));
    for text in shown {
        assert!(!text.contains(canary) && !text.contains("99, 97, 110, 97, 114, 121"), "{text}");
    }
}

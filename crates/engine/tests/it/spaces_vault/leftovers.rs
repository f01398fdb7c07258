//! What is left of a space that was deleted.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::*;

async fn delete_space(engine: &Engine, scope: &Scope) -> usize {
    let name = scope.space.clone().expect("a space");
    let deleted = engine.spaces().delete(&system_caller(), &scope.environment, &name, None).await;
    deleted.expect("the space is deleted").secrets
}

#[tokio::test]
async fn overrides_and_blocks_go_with_their_space_and_nothing_else_does() {
    let (store, engine) = with_spaces().await;
    let (acme, other) = (space("acme"), space("other"));
    for scope in [scope(), acme.clone(), other.clone()] {
        set_in(&engine, &scope, "A", "some-value").await;
    }
    set_in(&engine, &scope(), "B", "blocked-value").await;
    block(&engine, &acme, "B").await;
    delete_in(&engine, &acme, "A").await;
    for at in 0..300 {
        set_in(&engine, &acme, &format!("NAME_{at}"), "some-value").await;
    }
    assert_eq!(delete_space(&engine, &acme).await, 301);
    // A run that is still in it must not see what it blocked.
    assert_eq!(meaning(&engine, &store, &acme, "B").await, None);
    let listed = engine.vault().list(&system_caller(), &acme, None, 10).await;
    assert!(matches!(listed, Err(Error::SpaceNotFound)), "{listed:?}");

    create_space(&engine, &acme).await;
    let inherited = [("A".to_owned(), Origin::Inherited), ("B".to_owned(), Origin::Inherited)];
    assert_eq!(origins(&engine, &acme).await, inherited);
    assert_eq!(meaning(&engine, &store, &acme, "B").await.as_deref(), Some("blocked-value"));
    assert_eq!(origins(&engine, &other).await[0], ("A".to_owned(), Origin::Overridden));
    assert_eq!(set_in(&engine, &acme, "A", "some-value").await.secret.latest, 2, "the count goes on");
}

#[tokio::test]
async fn every_removal_is_a_change_that_people_hear_of() {
    let (_store, engine) = with_spaces().await;
    let acme = space("acme");
    set_in(&engine, &acme, "A", "some-value").await;
    block(&engine, &acme, "B").await;
    let mut changed = engine.vault().changed();
    assert_eq!(delete_space(&engine, &acme).await, 2);
    let mut names = vec![changed.recv().await.expect("heard"), changed.recv().await.expect("heard")];
    names.sort_by(|one, next| one.name.cmp(&next.name));
    let expected = ["A", "B"].map(|secret| ChangedSecret { scope: acme.clone(), name: name(secret) });
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_space_blocked_does_not_show_while_the_space_is_deleted() {
    let (_store, engine) = with_spaces().await;
    let (engine, acme) = (Arc::new(engine), space("acme"));
    set_in(&engine, &scope(), "A", "of the environment").await;
    for round in 0..30 {
        block(&engine, &acme, "A").await;
        let is_over = Arc::new(AtomicBool::new(false));
        let jobs: Vec<_> = (0..2)
            .map(|_| {
                let (engine, acme, is_over) = (engine.clone(), acme.clone(), is_over.clone());
                tokio::spawn(async move {
                    while !is_over.load(Ordering::SeqCst) {
                        let prepared = prepare_in(&engine, &acme, &["A"]).await.expect("prepared");
                        assert_eq!(prepared.delivered(), [], "round {round}");
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(delete_space(&engine, &acme).await, 1);
        is_over.store(true, Ordering::SeqCst);
        for job in jobs {
            job.await.expect("nothing was shown");
        }
        create_space(&engine, &acme).await;
        assert_eq!(prepare_in(&engine, &acme, &["A"]).await.expect("prepared").delivered().len(), 1);
    }
}

#[tokio::test]
async fn a_damaged_secret_goes_with_its_space() {
    let (store, engine) = with_spaces().await;
    let (acme, other) = (space("acme"), space("other"));
    for scope in [scope(), acme.clone(), other.clone()] {
        set_in(&engine, &scope, "A", "some-value").await;
    }
    block(&engine, &acme, "A").await;
    for secret in ["B", "with: a space"] {
        set_in(&engine, &acme, secret, "some-value").await;
    }
    // All in the space: one is unreadable, one an older record that was put back, one is whole.
    let stored = records(&store, Stream::Secrets).await;
    let of = |secret: &Scope| {
        let inside = secret.space.as_ref().expect("a space").as_str().to_owned();
        stored.iter().filter(move |record| record.subject.tokens().nth(3) == Some(&inside)).collect::<Vec<_>>()
    };
    let [set, _blocked, unreadable, _whole] = of(&acme)[..] else { panic!("four records") };
    for (at, bytes) in [(set, set.bytes.to_vec()), (unreadable, b"damaged".to_vec())] {
        let planted = Append::new(Stream::Secrets, at.subject.clone(), bytes, Expected::Any);
        store.ledger.append(vec![planted]).await.remove(0).expect("appended");
    }
    let last = records(&store, Stream::Secrets).await.pop().expect("planted").revision;
    let listed = async |engine: &Engine| engine.vault().list(&system_caller(), &acme, None, 10).await;
    assert!(matches!(listed(&engine).await, Err(Error::Corrupt { .. })));

    assert_eq!(delete_space(&engine, &acme).await, 3);
    create_space(&engine, &acme).await;
    let fresh = store.another_engine().await;
    for engine in [&engine, &fresh] {
        assert_eq!(origins(engine, &acme).await, [("A".to_owned(), Origin::Inherited)]);
        assert_eq!(origins(engine, &other).await, [("A".to_owned(), Origin::Overridden)]);
        assert_eq!(meaning(engine, &store, &acme, "A").await.as_deref(), Some("some-value"));
        assert_eq!(meaning(engine, &store, &acme, "B").await, None);
    }
    let again = set_in(&fresh, &acme, "B", "another-value").await;
    assert!(again.secret.latest > last.0, "no version is used twice: {again:?}");
    assert_eq!(meaning(&fresh, &store, &acme, "B").await.as_deref(), Some("another-value"));
    assert_eq!(set_in(&fresh, &acme, "with: a space", "another-value").await.secret.latest, 2);
    eventually(async || {
        let kept = records(&store, Stream::Secrets).await;
        !kept.iter().any(|record| record.revision == set.revision || record.revision == unreadable.revision)
    })
    .await;
}

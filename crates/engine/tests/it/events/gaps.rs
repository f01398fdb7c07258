use std::time::Duration;

use claviger_core::{Revision, Timestamp};
use claviger_engine::events::{Cursor, Frame, GapReason};
use claviger_store::{Append, Expected, Ledger, Stream, Subject};

use super::rig::{Rig, default, delete, emit, event, events, frame, gap, moved, set, subscribe};

/// Later than anything is kept by age.
fn much_later() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from((now + Duration::from_secs(31 * 24 * 60 * 60)).as_millis()).unwrap())
}

#[tokio::test]
async fn a_cursor_older_than_what_is_kept_gets_a_gap_and_then_the_rest() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, "order.created", "1").await;
    let (_, cursor) = event(&mut subscription).await;
    for data in ["2", "3"] {
        emit(&engine, "order.created", data).await;
    }
    engine.close().await;
    rig.ledger.trim(much_later()).await.unwrap();
    let engine = rig.engine().await;
    emit(&engine, "order.created", "4").await;
    let (mut resumed, ready) = subscribe(&engine, &["order.*"], Some(&cursor)).await;
    assert_eq!(ready, cursor);
    let (reason, stream, asked, first, after) = gap(&mut resumed).await;
    assert_eq!((reason, stream, asked, first), (GapReason::Retention, "events", 1, 4));
    assert_eq!(events(&mut resumed, 1).await[0].1, "4");
    // Whoever goes on from the gap's cursor is not told again.
    let (mut again, _) = subscribe(&engine, &["order.*"], Some(&after)).await;
    assert_eq!(events(&mut again, 1).await[0].1, "4");
}

#[tokio::test]
async fn a_gap_is_told_also_when_nothing_at_all_is_left() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (_, cursor) = subscribe(&engine, &["order.*"], None).await;
    for data in ["1", "2"] {
        emit(&engine, "order.created", data).await;
    }
    engine.close().await;
    rig.ledger.trim(much_later()).await.unwrap();
    let engine = rig.engine().await;
    let (mut resumed, _) = subscribe(&engine, &["order.*"], Some(&cursor)).await;
    let (reason, _, asked, first, _) = gap(&mut resumed).await;
    assert_eq!((reason, asked, first), (GapReason::Retention, 0, 3));
    emit(&engine, "order.created", "3").await;
    assert_eq!(events(&mut resumed, 1).await[0].1, "3");
}

#[tokio::test]
async fn a_cursor_at_the_edge_of_what_is_kept_misses_nothing() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.*"], None).await;
    for data in ["1", "2"] {
        emit(&engine, "order.created", data).await;
    }
    event(&mut subscription).await;
    let (_, cursor) = event(&mut subscription).await;
    engine.close().await;
    rig.ledger.trim(much_later()).await.unwrap();
    let engine = rig.engine().await;
    emit(&engine, "order.created", "3").await;
    let (mut resumed, _) = subscribe(&engine, &["order.*"], Some(&cursor)).await;
    assert_eq!(events(&mut resumed, 1).await[0].1, "3");
}

#[tokio::test]
async fn erased_versions_of_a_secret_leave_one_gap_for_all_that_was_erased_by_then() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (_, cursor) = subscribe(&engine, &["system.secret.>"], None).await;
    for name in ["A", "B", "C", "D", "E"] {
        set(&engine, &default(), name, "canary-value").await;
    }
    engine.close().await;
    for revision in [2, 4] {
        rig.ledger.erase(Stream::Secrets, Revision(revision)).await.unwrap();
    }
    let engine = rig.engine().await;
    let (mut resumed, _) = subscribe(&engine, &["system.secret.>"], Some(&cursor)).await;
    assert_eq!(event(&mut resumed).await.0.name.as_str(), "system.secret.A.created");
    let (reason, stream, asked, first, _) = gap(&mut resumed).await;
    assert_eq!((reason, stream, asked, first), (GapReason::Retention, "secrets", 1, 3));
    for name in ["system.secret.C.created", "system.secret.E.created"] {
        assert_eq!(event(&mut resumed).await.0.name.as_str(), name);
    }
}

#[tokio::test]
async fn many_rotations_are_never_skipped_in_silence() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, cursor) = subscribe(&engine, &["system.secret.KEY.*"], None).await;
    for _ in 0..40 {
        set(&engine, &default(), "KEY", "canary-value").await;
    }
    delete(&engine, &default(), "KEY").await;
    // Live: what the ring had is delivered, whatever was erased meanwhile.
    let mut last = (Revision::ZERO, false);
    while last.0 < Revision(41) {
        last = follow(&mut subscription, last).await;
    }
    let (mut late, _) = subscribe(&engine, &["system.secret.KEY.*"], Some(&cursor)).await;
    let mut last = (Revision::ZERO, false);
    while last.0 < Revision(41) {
        last = follow(&mut late, last).await;
    }
}

/// Takes one frame; a revision may be missing only after a gap was told.
async fn follow(
    subscription: &mut claviger_engine::events::Subscription,
    (last, told): (Revision, bool),
) -> (Revision, bool) {
    match frame(subscription).await {
        Frame::Gap { asked, .. } => (asked, true),
        Frame::Event { event, .. } => {
            assert!(event.revision == last.next() || (told && event.revision > last), "{last} {}", event.revision);
            (event.revision, told)
        }
        Frame::Ready { .. } => panic!("ready comes once"),
    }
}

#[tokio::test]
async fn a_cursor_of_another_store_gets_a_gap_for_each_stream_and_goes_on_from_now() {
    let other = Rig::new().engine().await;
    let (mut subscription, _) = subscribe(&other, &[">"], None).await;
    emit(&other, "order.created", "1").await;
    let (_, foreign) = event(&mut subscription).await;
    let rig = Rig::new();
    let engine = rig.engine().await;
    emit(&engine, "order.created", "2").await;
    let (mut resumed, ready) = subscribe(&engine, &[">"], Some(&foreign)).await;
    assert_eq!(ready, foreign);
    let mut cursors = Vec::new();
    for stream in ["events", "secrets", "access"] {
        let (reason, of, asked, first, cursor) = gap(&mut resumed).await;
        assert_eq!((reason, of), (GapReason::Incarnation, stream));
        assert_eq!(
            (asked, first),
            match stream {
                "events" => (1, 2),
                "secrets" => (0, 1),
                _ => (1, 2),
            }
        );
        cursors.push(cursor);
    }
    assert_eq!(cursors[..2], [foreign.clone(), foreign]);
    emit(&engine, "order.created", "3").await;
    assert_eq!(events(&mut resumed, 1).await[0].1, "3");
    let (mut again, _) = subscribe(&engine, &[">"], Some(&cursors[2])).await;
    assert_eq!(events(&mut again, 1).await[0].1, "3");
}

#[tokio::test]
async fn a_cursor_ahead_of_its_stream_gets_a_gap() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut subscription, _) = subscribe(&engine, &["order.*", "system.secret.>"], None).await;
    emit(&engine, "order.created", "1").await;
    let (_, cursor) = event(&mut subscription).await;
    let ahead: Cursor = moved(&cursor, 100);
    let (mut resumed, ready) = subscribe(&engine, &["order.*", "system.secret.>"], Some(&ahead)).await;
    assert_eq!(ready, ahead);
    let (reason, stream, asked, first, _) = gap(&mut resumed).await;
    assert_eq!((reason, stream, asked, first), (GapReason::Ahead, "events", 101, 2));
    let (reason, stream, asked, first, _) = gap(&mut resumed).await;
    assert_eq!((reason, stream, asked, first), (GapReason::Ahead, "secrets", 100, 1));
    emit(&engine, "order.created", "2").await;
    assert_eq!(events(&mut resumed, 1).await[0].1, "2");
}

#[tokio::test]
async fn a_damaged_record_is_counted_and_stops_nobody() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let (mut live, cursor) = subscribe(&engine, &["order.*"], None).await;
    emit(&engine, "order.created", "1").await;
    let subject = Subject::new(&["event", "default", "order", "created"]);
    let damaged = Append::new(Stream::Events, subject, b"not a record".to_vec(), Expected::Any);
    rig.ledger.append(vec![damaged]).await.remove(0).unwrap();
    emit(&engine, "order.created", "2").await;
    let data: Vec<String> = events(&mut live, 2).await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, ["1", "2"]);
    assert!(engine.events().unreadable_total() >= 1);
    let (mut resumed, _) = subscribe(&engine, &["order.*"], Some(&cursor)).await;
    let data: Vec<String> = events(&mut resumed, 2).await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, ["1", "2"]);
}

#[tokio::test]
async fn a_record_moved_to_another_subject_or_environment_is_no_event() {
    let rig = Rig::new();
    let engine = rig.engine().await;
    let system = claviger_engine::access::system_caller();
    engine.access().create_environment(&system, "staging").await.unwrap();
    let (mut live, _) = subscribe(&engine, &[">"], None).await;
    let revision = emit(&engine, "order.created", "1").await.revision;
    let before = Revision(revision.0 - 1);
    let stored = rig.ledger.read(Stream::Events, &claviger_store::Filter::All, before, 1).await.unwrap().remove(0);
    for tokens in [&["event", "staging", "order", "created"], &["event", "default", "order", "paid"]] {
        let moved = Append::new(Stream::Events, Subject::new(tokens), stored.bytes.to_vec(), Expected::Any);
        rig.ledger.append(vec![moved]).await.remove(0).unwrap();
    }
    emit(&engine, "order.created", "2").await;
    let data: Vec<String> = events(&mut live, 2).await.into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, ["1", "2"]);
    assert!(engine.events().unreadable_total() >= 2);
}

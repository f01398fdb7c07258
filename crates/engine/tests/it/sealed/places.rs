//! Where things stand in a sealed ledger.

use std::collections::HashSet;

use claviger_core::Revision;
use claviger_store::{Filter, Ledger, MAX_RECORD_BYTES, Stream};
use futures_util::StreamExt;

use super::{all, append, sealed, subject};

#[tokio::test]
async fn tokens_stay_the_same_in_number_and_only_the_kind_can_be_read() {
    let (ledger, stored) = sealed();
    append(&ledger, Stream::Secrets, "secret.default.env.STRIPE_KEY", b"record").await;
    let record = all(&*stored, Stream::Secrets).await.remove(0);
    let tokens: Vec<&str> = record.subject.tokens().collect();
    assert_eq!((tokens.len(), tokens[0]), (4, "secret"));
    assert!(tokens[1..].iter().all(|token| token.len() == 22), "{}", record.subject);
    assert!(!record.bytes.windows(6).any(|window| window == b"record" || window == b"STRIPE"));
}

#[tokio::test]
async fn equal_tokens_are_told_apart_by_all_that_stands_before_them_and_by_the_stream() {
    let (ledger, stored) = sealed();
    let places = ["x.a.b", "x.b.b", "x.a.a", "x.a", "y.a.b"];
    for stream in [Stream::Secrets, Stream::Runs] {
        for place in places {
            append(&ledger, stream, place, b"").await;
        }
    }
    let mut last_tokens = HashSet::new();
    for stream in [Stream::Secrets, Stream::Runs] {
        let records = all(&*stored, stream).await;
        last_tokens.extend(records.iter().map(|record| record.subject.tokens().last().map(str::to_owned)));
        // Under the same tokens the next ones begin alike, or no filter could find them.
        let under: Vec<&str> = records[0].subject.tokens().take(2).collect();
        assert!(records[2].subject.as_str().starts_with(&under.join(".")));
    }
    assert_eq!(last_tokens.len(), 2 * places.len());
}

#[tokio::test]
async fn what_is_needed_before_there_is_a_key_stands_in_the_clear() {
    let (ledger, stored) = sealed();
    append(&ledger, Stream::Keyring, "keyring", b"wrapped").await;
    append(&ledger, Stream::Keyring, "datakey.prod.0123456789abcdef", b"wrapped too").await;
    let records = all(&*stored, Stream::Keyring).await;
    assert_eq!((records[0].subject.as_str(), &*records[0].bytes), ("keyring", &b"wrapped"[..]));
    assert!(records[1].subject.as_str().starts_with("datakey.") && !records[1].subject.as_str().contains("prod"));
    assert_eq!(all(&ledger, Stream::Keyring).await[1].subject.as_str(), "datakey.prod.0123456789abcdef");
    let keys = ledger.read(Stream::Keyring, &Filter::Under(subject("datakey")), Revision::ZERO, 9).await.expect("read");
    assert_eq!(keys.len(), 1);
}

#[tokio::test]
async fn filters_work_however_many_tokens_there_are() {
    let (ledger, _) = sealed();
    for count in [2, 38, 39, 40, 41, 42, 60] {
        append(&ledger, Stream::Runs, &vec!["t"; count].join("."), &[count.to_le_bytes()[0]]).await;
        append(&ledger, Stream::Runs, &format!("{}.u", vec!["t"; count - 1].join(".")), b"").await;
    }
    let everything = all(&ledger, Stream::Runs).await;
    for prefix in [1, 2, 37, 38, 39, 40, 41, 42, 59, 60] {
        let filter = Filter::Under(subject(&vec!["t"; prefix].join(".")));
        let wanted: Vec<Revision> =
            everything.iter().filter(|record| filter.matches(&record.subject)).map(|record| record.revision).collect();
        for limit in [1, 2, 100] {
            let read = ledger.read(Stream::Runs, &filter, Revision::ZERO, limit).await.expect("read");
            let read: Vec<Revision> = read.iter().map(|record| record.revision).collect();
            assert_eq!(read, wanted[..limit.min(wanted.len())], "{prefix} tokens, {limit} records");
        }
        let tail = ledger.tail(Stream::Runs, filter.clone(), Revision::ZERO).take(wanted.len());
        let tailed: Vec<Revision> = tail.map(|record| record.expect("goes on").revision).collect().await;
        assert_eq!(tailed, wanted, "{prefix} tokens");
        assert_eq!(ledger.subjects(Stream::Runs, &filter).await.expect("read").len(), wanted.len());
    }
}

#[tokio::test]
async fn the_longest_record_at_the_longest_subject_fits_what_is_underneath() {
    let (ledger, stored) = sealed();
    let most = ledger.max_record_bytes();
    assert!((MAX_RECORD_BYTES - 2_048..MAX_RECORD_BYTES).contains(&most), "{most}");
    append(&ledger, Stream::Runs, &"x".repeat(1_024), &vec![7; most]).await;
    assert_eq!(all(&*stored, Stream::Runs).await[0].bytes.len(), MAX_RECORD_BYTES);
}

#[tokio::test]
async fn another_keyring_reads_nothing() {
    let (ledger, stored) = sealed();
    append(&ledger, Stream::Runs, "run.a", b"1").await;
    let other = claviger_engine::SealedLedger::new(stored, &super::keyring());
    assert!(other.last(Stream::Runs, &subject("run.a")).await.expect("read").is_none());
    assert!(other.subjects(Stream::Runs, &Filter::All).await.is_err());
}

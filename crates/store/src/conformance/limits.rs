//! Sizes, bytes and subjects at the edge of what is allowed.

use std::sync::Arc;

use claviger_core::Revision;

use super::{any, append, stored};
use crate::{Error, Filter, Ledger, Stream, Subject};

/// A record of exactly the limit is kept.
pub async fn the_largest_fits(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let bytes: Vec<u8> = (0..ledger.max_record_bytes()).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    stored(&*ledger, any(&subject, &bytes)).await;
    assert!(*ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().bytes == bytes);
}

/// One byte more is refused, alone.
pub async fn more_does_not(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let most = ledger.max_record_bytes();
    let large = vec![0; most + 1];
    let answer = append(&*ledger, any(&subject, &large)).await;
    assert!(matches!(answer, Err(Error::TooLarge { length, limit }) if (length, limit) == (large.len(), most)));
    let batch = vec![any(&subject, b"1"), any(&subject, &large), any(&subject, b"2").following(), any(&subject, b"3")];
    let results = ledger.append(batch).await;
    assert!(matches!(
        results[..],
        [Ok(Revision(1)), Err(Error::TooLarge { .. }), Err(Error::Skipped), Ok(Revision(2))]
    ));
}

/// Empty records, zeros, text that looks like code.
pub async fn any_bytes_are_kept(ledger: Arc<dyn Ledger>) {
    let subject = Subject::new(&["a"]);
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [&b""[..], b"\0", b"'; DROP TABLE runs; --", &[0xFF; 3], &all] {
        stored(&*ledger, any(&subject, bytes)).await;
        assert_eq!(&*ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().bytes, bytes);
    }
}

/// Legal subjects that look alike, or like patterns, numbers and words of a query language.
pub async fn hostile_subjects_stay_apart(ledger: Arc<dyn Ledger>) {
    let names = [
        "a", "A", "a_", "a-", "a=", "a.b", "a-b", "a_b", "a=2E", "_", "-", "=", "--", "0", "00", "1e3", "null", "NULL",
        "select", "a.b.c", "a.b-c", "a.bb", "a.B", "=25", "=2A", "_.-.=",
    ];
    for name in names {
        stored(&*ledger, any(&Subject::parse(name).unwrap(), name.as_bytes())).await;
    }
    for name in names {
        let subject = Subject::parse(name).unwrap();
        let history = ledger.history(Stream::Runs, &subject).await.unwrap();
        assert_eq!(super::contents(&history), [name.as_bytes()]);
        assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().subject, subject);
        let under = ledger.subjects(Stream::Runs, &Filter::Under(subject)).await.unwrap();
        let wanted = names.iter().filter(|other| other.starts_with(&format!("{name}."))).count();
        assert_eq!(under.len(), wanted, "{name}");
    }
    assert_eq!(ledger.subjects(Stream::Runs, &Filter::All).await.unwrap().len(), names.len());
}

/// A subject of the greatest length, in many tokens or in one.
pub async fn the_longest_subject_works(ledger: Arc<dyn Ledger>) {
    let one = "x".repeat(Subject::MAX_BYTES);
    let many = format!("{}xx", "a.".repeat(Subject::MAX_BYTES / 2 - 1));
    for text in [one, many] {
        let subject = Subject::parse(&text).unwrap();
        let revision = stored(&*ledger, any(&subject, b"")).await;
        assert_eq!(ledger.last(Stream::Runs, &subject).await.unwrap().unwrap().revision, revision);
        let read = ledger.read(Stream::Runs, &Filter::Exact(subject), Revision::ZERO, 2).await.unwrap();
        assert_eq!(read[0].subject.as_str(), text);
    }
}

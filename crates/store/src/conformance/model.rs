//! Random histories, compared with the ledger in memory step by step.

use std::sync::Arc;

use claviger_core::{Revision, Timestamp};

use super::{contents, revisions};
use crate::{Append, Error, Expected, Filter, Ledger, MemoryLedger, Record, Result, Stream, Subject};

const STEPS: u64 = 600;
const STREAMS: [Stream; 3] = [Stream::Runs, Stream::Secrets, Stream::Access];

/// Small pseudo-random numbers (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn stream(&mut self) -> Stream {
        STREAMS[usize::from(self.roll(3).to_le_bytes()[0])]
    }

    fn subject(&mut self) -> Subject {
        Subject::new(&["s", ["a", "b", "c", "d"][usize::from(self.roll(4).to_le_bytes()[0])]])
    }

    fn revision(&mut self) -> Revision {
        Revision(self.roll(STEPS))
    }
}

/// Appends with guards, ids and followers, erasures, purges and trims, drawn at random, have the same
/// answers on both, and every read gives the same.
pub async fn random_histories_agree(ledger: Arc<dyn Ledger>) {
    let model = MemoryLedger::new();
    let mut dice = Dice(0x00C1_A416_0000_0001);
    for _ in 0..STEPS {
        match dice.roll(20) {
            0..15 => compare_append(&*ledger, &model, &mut dice).await,
            15..17 => {
                let (stream, revision) = (dice.stream(), dice.revision());
                ledger.erase(stream, revision).await.unwrap();
                model.erase(stream, revision).await.unwrap();
            }
            17 => {
                let (stream, subject) = (dice.stream(), dice.subject());
                ledger.purge(stream, &subject).await.unwrap();
                model.purge(stream, &subject).await.unwrap();
            }
            18 => {
                ledger.trim(Timestamp(0)).await.unwrap();
                model.trim(Timestamp(0)).await.unwrap();
            }
            _ => compare_reads(&*ledger, &model, &mut dice).await,
        }
    }
    compare_reads(&*ledger, &model, &mut dice).await;
}

async fn compare_append(ledger: &dyn Ledger, model: &MemoryLedger, dice: &mut Dice) {
    let mut batch = Vec::new();
    for _ in 0..=dice.roll(4) {
        let (stream, subject) = (dice.stream(), dice.subject());
        let last = model.last(stream, &subject).await.unwrap().map_or(Revision::ZERO, |record| record.revision);
        let expected = match dice.roll(8) {
            0 => Expected::Absent,
            1 => Expected::At(dice.revision()),
            2..5 => Expected::At(last),
            _ => Expected::Any,
        };
        let mut entry = Append::new(stream, subject, dice.roll(u64::MAX).to_le_bytes().to_vec(), expected);
        entry.follows = dice.roll(3) == 0;
        // Where several servers share the store, how long an id is known is up to the backend.
        if dice.roll(4) == 0 && !ledger.is_shared() {
            entry.message_id = Some(dice.roll(60).to_string());
        }
        batch.push(entry);
    }
    let (found, wanted) = (ledger.append(batch.clone()).await, model.append(batch.clone()).await);
    let answers = |results: &[Result<Revision>]| results.iter().map(answer).collect::<Vec<_>>();
    assert_eq!(answers(&found), answers(&wanted), "{batch:?}");
}

/// An answer in a form that can be compared.
fn answer(result: &Result<Revision>) -> (u8, u64) {
    match result {
        Ok(revision) => (0, revision.0),
        Err(Error::Conflict { last }) => (1, last.0),
        Err(Error::Skipped) => (2, 0),
        Err(other) => panic!("{other}"),
    }
}

async fn compare_reads(ledger: &dyn Ledger, model: &MemoryLedger, dice: &mut Dice) {
    for stream in STREAMS {
        let subject = dice.subject();
        let (found, wanted) =
            (ledger.last(stream, &subject).await.unwrap(), model.last(stream, &subject).await.unwrap());
        assert_same(found.as_slice(), wanted.as_slice());
        assert_same(&ledger.history(stream, &subject).await.unwrap(), &model.history(stream, &subject).await.unwrap());
        for filter in [Filter::All, Filter::Under(Subject::new(&["s"])), Filter::Exact(subject)] {
            let (after, limit) = (dice.revision(), usize::from(dice.roll(200).to_le_bytes()[0]));
            assert_same(
                &ledger.read(stream, &filter, after, limit).await.unwrap(),
                &model.read(stream, &filter, after, limit).await.unwrap(),
            );
            assert_eq!(ledger.subjects(stream, &filter).await.unwrap(), model.subjects(stream, &filter).await.unwrap());
        }
        let (found, wanted) = (ledger.bounds(stream).await.unwrap(), model.bounds(stream).await.unwrap());
        assert_eq!(found, wanted);
    }
}

fn assert_same(found: &[Record], wanted: &[Record]) {
    assert_eq!(revisions(found), revisions(wanted));
    assert_eq!(contents(found), contents(wanted));
    assert!(found.iter().zip(wanted).all(|(found, wanted)| found.subject == wanted.subject));
}

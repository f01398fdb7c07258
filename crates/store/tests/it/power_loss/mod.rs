//! Losing power at any moment loses nothing that was acknowledged.

mod disk;
mod vfs;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use claviger_core::Revision;
use claviger_store::{
    Append, Durability, Error, Expected, Filter, Ledger, Record, SqliteLedger, SqliteOptions, Stream, Subject,
};
use futures_util::future::join_all;

use self::{
    disk::{Dice, Disk},
    vfs::Power,
};

const SEEDS: u64 = 150;
const CALLERS: usize = 4;
const ROUNDS: usize = 12;

/// What callers know when the power goes.
#[derive(Default)]
struct Known {
    /// Everything that was ever handed to the ledger, by its content, which is unique.
    tried: BTreeMap<Vec<u8>, (Stream, Subject)>,
    /// What was acknowledged.
    stored: BTreeMap<(Stream, Revision), Vec<u8>>,
    /// Erasures that were begun, and whether they were acknowledged.
    erased: BTreeMap<(Stream, Revision), bool>,
}

impl Known {
    fn merge(mut self, other: Known) -> Known {
        self.tried.extend(other.tried);
        self.stored.extend(other.stored);
        self.erased.extend(other.erased);
        self
    }
}

/// One caller: appends batches to two streams, erases some of what it stored in the second.
async fn work(ledger: Arc<SqliteLedger>, caller: usize, seed: u64) -> Known {
    let mut dice = Dice::new(seed * 31 + caller as u64 + 1);
    let mut known = Known::default();
    for round in 0..ROUNDS {
        let mut batch = Vec::new();
        for number in 0..=dice.roll(3) {
            let stream = [Stream::Runs, Stream::Secrets][dice.roll(2)];
            let subject = Subject::new(&["s", &dice.roll(6).to_string()]);
            let mut bytes = format!("{caller}/{round}/{number}/").into_bytes();
            bytes.resize(bytes.len() + [10, 300, 3000, 9000][dice.roll(4)], caller.to_le_bytes()[0]);
            known.tried.insert(bytes.clone(), (stream, subject.clone()));
            batch.push(Append::new(stream, subject, bytes, Expected::Any));
        }
        for (entry, answer) in batch.clone().into_iter().zip(ledger.append(batch).await) {
            match answer {
                Ok(revision) => drop(known.stored.insert((entry.stream, revision), entry.bytes)),
                Err(_) => return known,
            }
        }
        if dice.roll(3) == 0 {
            erase_one(&ledger, &mut known, &mut dice).await;
        }
    }
    known
}

async fn erase_one(ledger: &SqliteLedger, known: &mut Known, dice: &mut Dice) {
    let candidates: Vec<_> = known.stored.keys().filter(|(stream, _)| *stream == Stream::Secrets).copied().collect();
    if candidates.is_empty() {
        return;
    }
    let (stream, revision) = candidates[dice.roll(candidates.len())];
    known.erased.entry((stream, revision)).or_default();
    if ledger.erase(stream, revision).await.is_ok() {
        known.erased.insert((stream, revision), true);
    }
}

fn options(power: &Power, directory: &Path) -> SqliteOptions {
    let vfs = Some(power.name.clone());
    SqliteOptions { vfs, checkpoint_pages: 12, ..SqliteOptions::new(directory.join("ledger.db")) }
}

/// Runs the callers on a disk that loses power after so many operations; gives what they know, what is
/// left on the disk, and how many operations there were.
async fn run(power: &Power, durability: Durability, seed: u64, operations: u64) -> (Known, Remains, u64) {
    let directory = tempfile::tempdir().unwrap();
    *power.disk() = Disk::new(seed, operations);
    let options = SqliteOptions { durability, ..options(power, directory.path()) };
    let mut known = Known::default();
    // Opening may already meet the power loss.
    if let Ok(ledger) = SqliteLedger::open(options) {
        let ledger = Arc::new(ledger);
        let callers = (0..CALLERS).map(|caller| tokio::spawn(work(ledger.clone(), caller, seed)));
        for caller in join_all(callers).await {
            known = known.merge(caller.unwrap());
        }
        power.disk().cut();
    }
    let mut disk = power.disk();
    disk.cut();
    (known, disk.remains.clone().unwrap(), disk.operations)
}

/// The files that are left, by path.
type Remains = std::collections::HashMap<String, Vec<u8>>;

/// Opens what is left, with the usual file layer, and compares it with what the callers know.
async fn check(known: &Known, remains: &Remains) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    for (path, content) in remains {
        let name = Path::new(path).file_name().unwrap();
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    // What the shared memory held is anybody's guess.
    std::fs::write(directory.path().join("ledger.db-shm"), [0xA5; 32768]).unwrap();
    let path = directory.path().join("ledger.db");
    let ledger = SqliteLedger::open(SqliteOptions::new(&path)).map_err(|error| format!("not opened: {error}"))?;
    for stream in [Stream::Runs, Stream::Secrets] {
        check_stream(&ledger, stream, known).await?;
    }
    drop(ledger);
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    if verdict == "ok" { Ok(()) } else { Err(verdict) }
}

async fn check_stream(ledger: &SqliteLedger, stream: Stream, known: &Known) -> Result<(), String> {
    let describe = |error: Error| error.to_string();
    let records = ledger.read(stream, &Filter::All, Revision::ZERO, usize::MAX).await.map_err(describe)?;
    let found: BTreeMap<Revision, &Record> = records.iter().map(|record| (record.revision, record)).collect();
    for ((_, revision), bytes) in known.stored.iter().filter(|((of, _), _)| *of == stream) {
        match (found.get(revision), known.erased.get(&(stream, *revision))) {
            (Some(_), Some(true)) => return Err(format!("{stream} {revision} was erased and is back")),
            (None, None) => return Err(format!("{stream} {revision} was acknowledged and is missing")),
            (Some(record), _) if *record.bytes != **bytes => return Err(format!("{stream} {revision} is another")),
            _ => {}
        }
    }
    for record in &records {
        let wanted = Some((stream, record.subject.clone()));
        if known.tried.get(&*record.bytes).cloned() != wanted {
            return Err(format!("{stream} {} was never appended like this", record.revision));
        }
    }
    check_revisions(ledger, stream, known, &records).await
}

/// Revisions have no gap but for what was erased, and go on behind every one that was acknowledged.
async fn check_revisions(
    ledger: &SqliteLedger,
    stream: Stream,
    known: &Known,
    records: &[Record],
) -> Result<(), String> {
    let last = ledger.bounds(stream).await.map_err(|error| error.to_string())?.last;
    let mut revisions = records.iter().map(|record| record.revision).peekable();
    for revision in (1..=last.0).map(Revision) {
        let is_there = revisions.next_if_eq(&revision).is_some();
        if !is_there && !known.erased.contains_key(&(stream, revision)) {
            return Err(format!("{stream} {revision} is a gap before {last}"));
        }
    }
    let acknowledged = known.stored.keys().filter(|(of, _)| *of == stream).map(|(_, revision)| *revision).max();
    let entry = Append::new(stream, Subject::new(&["after"]), vec![], Expected::Absent);
    let next = ledger.append(vec![entry]).await.remove(0).map_err(|error| error.to_string())?;
    if next != last.next() || Some(next) <= acknowledged {
        return Err(format!("{stream} goes on with {next} after {last}"));
    }
    Ok(())
}

/// Runs and checks one seed; the moment of the power loss is drawn from all of a whole run.
async fn try_seed(power: &Power, durability: Durability, seed: u64, whole: u64) -> Result<usize, String> {
    let operations = 1 + Dice::new(seed + 7777).roll(usize::try_from(whole).unwrap()) as u64;
    let (known, remains, _) = run(power, durability, seed, operations).await;
    check(&known, &remains).await.map(|()| known.stored.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let power = Power::register("power-full");
    let (known, remains, whole) = run(power, Durability::Full, 0, u64::MAX).await;
    check(&known, &remains).await.unwrap();
    let mut stored = 0;
    for seed in 0..SEEDS {
        stored +=
            try_seed(power, Durability::Full, seed, whole).await.unwrap_or_else(|loss| panic!("seed {seed}: {loss}"));
    }
    assert!(stored > 1000, "the power went before much was stored: {stored}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_syncing_losses_are_found() {
    let power = Power::register("power-off");
    let (_, _, whole) = run(power, Durability::Off, 0, u64::MAX).await;
    let mut losses = 0;
    for seed in 0..20 {
        losses += u32::from(try_seed(power, Durability::Off, seed, whole).await.is_err());
    }
    assert!(losses >= 10, "the harness does not notice what is lost: {losses} of 20");
}

/// Appends records of one size until there is no room; remembers what was stored and what was not.
async fn fill(ledger: &SqliteLedger, known: &mut Known, round: u32) -> u32 {
    for number in 0_u32.. {
        let mut bytes = format!("{round}/{number}/").into_bytes();
        bytes.resize(5000, b'x');
        let subject = Subject::new(&["s"]);
        let entry = Append::new(Stream::Runs, subject.clone(), bytes.clone(), Expected::Any);
        match ledger.append(vec![entry]).await.remove(0) {
            Ok(revision) => {
                known.stored.insert((Stream::Runs, revision), bytes.clone());
                known.tried.insert(bytes, (Stream::Runs, subject));
            }
            // Not noted as tried: the check below fails if it is found.
            Err(Error::Full) => return number,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("the disk has a limit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stores_nothing_of_what_it_refuses_and_goes_on_later() {
    let power = Power::register("power-small");
    for seed in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        *power.disk() = Disk::new(seed, u64::MAX);
        let ledger = SqliteLedger::open(options(power, directory.path())).unwrap();
        let mut known = Known::default();
        for round in 1..4 {
            power.disk().capacity = 400_000 * usize::try_from(round).unwrap() + 1000 * usize::try_from(seed).unwrap();
            assert!(fill(&ledger, &mut known, round).await > 10, "there was room again");
            for _ in 0..3 {
                assert_eq!(fill(&ledger, &mut known, round + 100).await, 0, "there is none");
            }
        }
        power.disk().cut();
        let remains = power.disk().remains.clone().unwrap();
        check(&known, &remains).await.unwrap();
    }
}

//! A model of a disk which loses power.
//!
//! What was synced is on it. Of what was not, any sector may be there in any version that was written
//! since the last sync, and a file may have any size that it had since then.

use std::collections::{BTreeMap, HashMap};

const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

/// Small pseudo-random numbers (xorshift); a seed says everything about a run of the disk.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `sides`.
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap()
    }
}

/// Why an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    NoPower,
    NoRoom,
}

/// The files by path, and what is left of them once the power is gone.
pub(super) struct Disk {
    files: HashMap<String, File>,
    dice: Dice,
    /// Operations until the power goes.
    left: u64,
    /// Bytes that fit, all files together.
    pub(super) capacity: usize,
    /// Operations so far.
    pub(super) operations: u64,
    /// What was on the disk when the power went.
    pub(super) remains: Option<HashMap<String, Vec<u8>>>,
}

impl Disk {
    pub(super) fn new(seed: u64, operations: u64) -> Disk {
        Disk {
            files: HashMap::new(),
            dice: Dice::new(seed),
            left: operations,
            capacity: usize::MAX,
            operations: 0,
            remains: None,
        }
    }

    /// A file was opened. One that was there before is on the disk.
    pub(super) fn open(&mut self, path: &str, content: Vec<u8>, is_new: bool) {
        let durable = (!is_new).then(|| content.clone());
        if is_new || !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), File::new(content, durable));
        }
    }

    /// When there is no room, nothing is written.
    pub(super) fn write(&mut self, path: &str, offset: usize, bytes: &[u8]) -> Result<(), Trouble> {
        let end = offset + bytes.len();
        let others = self.files.iter().filter(|(name, _)| *name != path).map(|(_, file)| file.current.len());
        let others: usize = others.sum();
        if self.remains.is_none()
            && let Some(file) = self.files.get_mut(path)
        {
            if end > file.current.len() && others + end > self.capacity {
                return Err(Trouble::NoRoom);
            }
            file.write(offset, bytes);
        }
        // The power may go in the midst of a write: some of its sectors arrive.
        self.count()
    }

    pub(super) fn truncate(&mut self, path: &str, size: usize) -> Result<(), Trouble> {
        if self.remains.is_none()
            && let Some(file) = self.files.get_mut(path)
        {
            file.truncate(size);
        }
        self.count()
    }

    pub(super) fn sync(&mut self, path: &str) -> Result<(), Trouble> {
        self.count()?;
        if let Some(file) = self.files.get_mut(path) {
            let is_new = file.durable.is_none();
            file.sync();
            if is_new {
                self.sync_directory();
            }
        }
        Ok(())
    }

    /// SQLite syncs the directory with the first sync of a log or journal that it made.
    fn sync_directory(&mut self) {
        self.files.retain(|_, file| !file.is_entry_lost);
        for file in self.files.values_mut() {
            file.durable.get_or_insert_default();
        }
    }

    /// A deletion that is not synced may come undone.
    pub(super) fn delete(&mut self, path: &str, is_synced: bool) -> Result<(), Trouble> {
        self.count()?;
        if is_synced {
            self.files.remove(path);
        } else if let Some(file) = self.files.get_mut(path) {
            file.is_entry_lost = true;
        }
        Ok(())
    }

    /// Cuts the power now, if it is still on.
    pub(super) fn cut(&mut self) {
        if self.remains.is_none() {
            let dice = &mut self.dice;
            let remains = self.files.iter().filter_map(|(path, file)| Some((path.clone(), file.remains(dice)?)));
            self.remains = Some(remains.collect());
        }
    }

    fn count(&mut self) -> Result<(), Trouble> {
        self.operations += 1;
        if self.operations >= self.left {
            self.cut();
        }
        if self.remains.is_none() { Ok(()) } else { Err(Trouble::NoPower) }
    }
}

struct File {
    current: Vec<u8>,
    /// What the last sync left; `None` while not even the directory entry is certain.
    durable: Option<Vec<u8>>,
    /// Per sector, what was written there since.
    versions: BTreeMap<usize, Vec<Sector>>,
    /// Sizes since.
    sizes: Vec<usize>,
    /// Deleted, without a sync.
    is_entry_lost: bool,
}

impl File {
    fn new(current: Vec<u8>, durable: Option<Vec<u8>>) -> File {
        File { current, durable, versions: BTreeMap::new(), sizes: Vec::new(), is_entry_lost: false }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
            self.sizes.push(end);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.note(offset, end);
    }

    fn truncate(&mut self, size: usize) {
        let before = self.current.len();
        self.current.resize(size, 0);
        self.sizes.push(size);
        self.note(size.min(before), before.max(size));
    }

    /// Notes the present content of the sectors of a range as one they may have later.
    fn note(&mut self, from: usize, to: usize) {
        for at in from / SECTOR..to.div_ceil(SECTOR) {
            self.versions.entry(at).or_default().push(sector(&self.current, at));
        }
    }

    fn sync(&mut self) {
        *self = File::new(std::mem::take(&mut self.current), None);
        self.durable = Some(self.current.clone());
    }

    fn remains(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let is_uncertain = self.durable.is_none() || self.is_entry_lost;
        if is_uncertain && dice.roll(2) == 0 {
            return None;
        }
        let durable = self.durable.as_deref().unwrap_or_default();
        let size = match dice.roll(self.sizes.len() + 1) {
            0 => durable.len(),
            at => self.sizes[at - 1],
        };
        let mut content = Vec::with_capacity(size.next_multiple_of(SECTOR));
        // Some runs lose nearly everything, some nearly nothing, some half.
        let luck = dice.roll(4);
        for at in 0..size.div_ceil(SECTOR) {
            let versions = self.versions.get(&at).map_or(&[][..], Vec::as_slice);
            let is_lost = dice.roll(3) >= luck;
            content.extend(match versions {
                [] => sector(durable, at),
                _ if is_lost => sector(durable, at),
                versions => versions[dice.roll(versions.len())],
            });
        }
        content.truncate(size);
        Some(content)
    }
}

/// A sector of a file; zeros behind its end.
fn sector(content: &[u8], at: usize) -> Sector {
    let mut sector = [0; SECTOR];
    if let Some(rest) = content.get(at * SECTOR..) {
        let length = rest.len().min(SECTOR);
        sector[..length].copy_from_slice(&rest[..length]);
    }
    sector
}

/// The model itself: synced content stays, the rest is lost or torn but never anything else.
#[test]
fn the_model_keeps_what_is_synced_and_may_lose_the_rest() {
    let (mut kept, mut lost, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let mut disk = Disk::new(seed, u64::MAX);
        disk.open("f", vec![], true);
        disk.write("f", 0, &[1; 4 * SECTOR]).unwrap();
        disk.sync("f").unwrap();
        disk.write("f", 2 * SECTOR, &[2; 2 * SECTOR]).unwrap();
        disk.cut();
        assert_eq!(disk.write("f", 0, &[3]), Err(Trouble::NoPower));
        let remains = disk.remains.unwrap().remove("f").unwrap();
        assert_eq!(remains[..2 * SECTOR], [1; 2 * SECTOR]);
        match (remains[2 * SECTOR], remains[3 * SECTOR]) {
            (1, 1) => lost += 1,
            (2, 2) => kept += 1,
            (1, 2) | (2, 1) => torn += 1,
            other => panic!("never written: {other:?}"),
        }
    }
    assert!(kept > 10 && lost > 10 && torn > 10, "{kept} kept, {lost} lost, {torn} torn");
}

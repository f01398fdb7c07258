//! Memory for keys. The only module of this crate with `unsafe` code.

use std::{
    alloc::{Layout, handle_alloc_error},
    fmt,
    ptr::{NonNull, null_mut},
};

use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

use crate::primitives::fill_random;

const LENGTH: usize = 32;

/// A 32-byte key in a page of its own: kept out of swap (`mlock`) and out of core dumps
/// (`MADV_DONTDUMP`), wiped when dropped, with no content in `Debug`.
///
/// When the system refuses to lock the page (`RLIMIT_MEMLOCK`), the key is kept unlocked and
/// [`LockedKey::is_locked`] says so.
pub struct LockedKey {
    page: NonNull<[u8; LENGTH]>,
    locked: bool,
}

// SAFETY: the page belongs to this value alone, and after construction it is only read until it is dropped.
#[allow(unsafe_code)]
unsafe impl Send for LockedKey {}
// SAFETY: as above; shared references only read.
#[allow(unsafe_code)]
unsafe impl Sync for LockedKey {}

impl LockedKey {
    /// Draws a new key.
    #[must_use]
    pub fn generate() -> LockedKey {
        let mut key = LockedKey::zeroed();
        fill_random(key.bytes_mut());
        key
    }

    /// Copies the bytes and wipes the source.
    #[must_use]
    pub fn take_from(source: &mut [u8; LENGTH]) -> LockedKey {
        let mut key = LockedKey::zeroed();
        key.bytes_mut().copy_from_slice(source);
        source.zeroize();
        key
    }

    /// True when the page cannot be swapped out.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// The key.
    #[must_use]
    #[allow(unsafe_code)]
    pub fn bytes(&self) -> &[u8; LENGTH] {
        // SAFETY: `page` points to at least LENGTH readable, initialized bytes (the kernel zeroes new
        // pages) until `drop`, and any alignment is right for bytes.
        unsafe { self.page.as_ref() }
    }

    #[allow(unsafe_code)]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; LENGTH] {
        // SAFETY: as in `bytes`; the page is writable and `&mut self` makes the access exclusive.
        unsafe { self.page.as_mut() }
    }

    /// Lengths are given as `LENGTH` throughout: the kernel rounds them up to the whole page.
    #[allow(unsafe_code)]
    pub(crate) fn zeroed() -> LockedKey {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let page = unsafe { mmap_anonymous(null_mut(), LENGTH, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let Some(page) = page.ok().and_then(|address| NonNull::new(address.cast())) else {
            handle_alloc_error(Layout::new::<[u8; LENGTH]>());
        };
        exclude_from_dumps(page);
        // SAFETY: the page was mapped above; locking changes neither its content nor its protection.
        let locked = unsafe { mlock(page.as_ptr().cast(), LENGTH) }.is_ok();
        LockedKey { page, locked }
    }
}

/// Best effort: without it, `harden_process` still keeps the process from dumping core.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn exclude_from_dumps(page: NonNull<[u8; LENGTH]>) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: the page is mapped and owned by the caller; this advice changes no content.
    let _ = unsafe { madvise(page.as_ptr().cast(), LENGTH, Advice::LinuxDontDump) };
}

#[cfg(not(target_os = "linux"))]
fn exclude_from_dumps(_page: NonNull<[u8; LENGTH]>) {}

impl Drop for LockedKey {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        // SAFETY: mapped in `zeroed`, never handed out beyond borrows of `self`, unmapped only here;
        // unmapping also unlocks.
        let _ = unsafe { munmap(self.page.as_ptr().cast(), LENGTH) };
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_bytes_and_wipes_the_source() {
        let mut source = [7; LENGTH];
        let key = LockedKey::take_from(&mut source);
        assert_eq!(key.bytes(), &[7; LENGTH]);
        assert_eq!(source, [0; LENGTH]);
    }

    #[test]
    fn generated_keys_differ() {
        assert_ne!(LockedKey::generate().bytes(), LockedKey::generate().bytes());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_page_is_locked_and_left_out_of_dumps() {
        let key = LockedKey::generate();
        let address = key.bytes().as_ptr() as usize;
        let flags = flags_of_mapping_at(address);
        assert!(flags.contains("dd"), "{flags}");
        assert_eq!(flags.contains("lo"), key.is_locked(), "{flags}");
    }

    /// The `VmFlags` line that the kernel shows for the mapping that holds the address.
    #[cfg(target_os = "linux")]
    fn flags_of_mapping_at(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("the kernel shows the mappings");
        let mut inside = false;
        for line in maps.lines() {
            let bounds = line.split_whitespace().next().and_then(|word| word.split_once('-'));
            let hex = |text| usize::from_str_radix(text, 16).ok();
            if let Some((Some(from), Some(to))) = bounds.map(|(from, to)| (hex(from), hex(to))) {
                inside = (from..to).contains(&address);
            } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
                return flags.to_owned();
            }
        }
        panic!("no mapping holds the address");
    }
}

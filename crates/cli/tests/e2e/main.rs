//! The real binary, real workers, a real browser.

mod crash;
mod full_disk;
mod session;
mod support;

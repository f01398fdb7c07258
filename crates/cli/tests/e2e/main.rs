//! The real binary, real workers, a real browser.

mod browser;
mod canary;
mod cluster;
mod crash;
mod full_disk;
mod session;
mod support;

//! The real binary, real workers, a real browser.

mod browser;
mod canary;
mod cluster;
mod crash;
mod flatfile;
mod full_disk;
#[path = "../guide/mod.rs"]
mod guide;
mod session;
mod support;

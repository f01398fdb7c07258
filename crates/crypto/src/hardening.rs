//! Settings of the whole process that keep keys out of core dumps and debuggers.

use rustix::process::{Resource, Rlimit, setrlimit};

/// What [`harden_process`] achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// `RLIMIT_CORE` is 0: no core file is written. Children inherit it.
    pub no_core_files: bool,
    /// `PR_SET_DUMPABLE` is 0: other processes of the same user cannot trace this one or read its
    /// memory. Always false where the system has no such setting.
    pub not_dumpable: bool,
}

impl Hardening {
    /// True when every measure is in force.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.no_core_files && self.not_dumpable
    }
}

/// Forbids core dumps and tracing of this process, as far as the system permits. Call it before the
/// first key is read. Cannot be undone.
pub fn harden_process() -> Hardening {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    Hardening { no_core_files: setrlimit(Resource::Core, none).is_ok(), not_dumpable: forbid_dumps() }
}

#[cfg(target_os = "linux")]
fn forbid_dumps() -> bool {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn forbid_dumps() -> bool {
    false
}

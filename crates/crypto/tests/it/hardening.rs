#![cfg(target_os = "linux")]

use claviger_crypto::harden_process;
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

#[test]
fn a_hardened_process_writes_no_core_and_cannot_be_traced() {
    let hardening = harden_process();
    assert!(hardening.is_complete(), "{hardening:?}");
    let limit = getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    assert_eq!(harden_process(), hardening);
}

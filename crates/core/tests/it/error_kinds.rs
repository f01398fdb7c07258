use std::iter::successors;

use claviger_core::ErrorKind;

/// The kind in the next line. A new kind does not compile before it has its place here.
fn next(kind: ErrorKind) -> Option<ErrorKind> {
    Some(match kind {
        ErrorKind::Invalid => ErrorKind::Unauthenticated,
        ErrorKind::Unauthenticated => ErrorKind::Denied,
        ErrorKind::Denied => ErrorKind::NotFound,
        ErrorKind::NotFound => ErrorKind::Conflict,
        ErrorKind::Conflict => ErrorKind::TooLarge,
        ErrorKind::TooLarge => ErrorKind::Limited,
        ErrorKind::Limited => ErrorKind::TimedOut,
        ErrorKind::TimedOut => ErrorKind::NoKey,
        ErrorKind::NoKey => ErrorKind::Corrupt,
        ErrorKind::Corrupt => ErrorKind::Full,
        ErrorKind::Full => ErrorKind::Unavailable,
        ErrorKind::Unavailable => ErrorKind::Internal,
        ErrorKind::Internal => return None,
    })
}

#[test]
fn every_kind_is_an_error_on_http_too() {
    for kind in successors(Some(ErrorKind::Invalid), |kind| next(*kind)) {
        assert!((400..=599).contains(&kind.http_status()), "{kind:?}");
    }
}

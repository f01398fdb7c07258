//! The closed list of what can go wrong, as callers see it.

/// What kind of failure an error is. HTTP status ([`ErrorKind::http_status`]) and CLI exit code are each decided from
/// it, in one place. Components keep richer enums and name the kind of each variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or breaks a published rule.
    Invalid,
    /// No credential, or one that does not verify.
    Unauthenticated,
    /// A known resource, but this caller may not do that.
    Denied,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// The expected revision is not the current one, or the thing exists already.
    Conflict,
    /// Larger than the published limit.
    TooLarge,
    /// Too many requests of this kind.
    Limited,
    /// The time for it is over.
    TimedOut,
    /// No master key, or not the right one.
    NoKey,
    /// A record that does not verify or does not open.
    Corrupt,
    /// The disk, quota or stream is full; nothing was stored.
    Full,
    /// Try again later: starting, stopping, or a dependency is away.
    Unavailable,
    /// A bug.
    Internal,
}

impl ErrorKind {
    /// The HTTP status of the answer, whatever the protocol on top of HTTP.
    #[must_use]
    pub fn http_status(self) -> u16 {
        match self {
            ErrorKind::Invalid => 400,
            ErrorKind::Unauthenticated => 401,
            ErrorKind::Denied => 403,
            ErrorKind::NotFound => 404,
            ErrorKind::TimedOut => 408,
            ErrorKind::Conflict => 409,
            ErrorKind::TooLarge => 413,
            ErrorKind::Limited => 429,
            ErrorKind::Corrupt | ErrorKind::Internal => 500,
            ErrorKind::NoKey | ErrorKind::Unavailable => 503,
            ErrorKind::Full => 507,
        }
    }
}

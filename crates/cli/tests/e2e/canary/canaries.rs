//! The values of the hunt. Each has a token that occurs nowhere else.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The tokens by what they stand for.
#[derive(Debug)]
pub(super) struct Canaries {
    tokens: Vec<(&'static str, String)>,
}

const NAMES: [&str; 19] = [
    "plain",
    "special",
    "first line",
    "second line",
    "binary",
    "rotated",
    "rotated again",
    "deleted",
    "argument",
    "unused",
    "refused",
    "mistyped",
    "too long",
    "short-lived",
    "inherited",
    "override",
    "blocked",
    "protocol",
    "actor",
];

impl Canaries {
    pub(super) fn new() -> Canaries {
        Canaries { tokens: NAMES.map(|name| (name, token(name))).into() }
    }

    /// What every place shows and may show: the control.
    pub(super) fn control() -> String {
        token("control")
    }

    pub(super) fn tokens(&self) -> &[(&'static str, String)] {
        &self.tokens
    }

    fn token(&self, name: &str) -> &str {
        let found = self.tokens.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no canary `{name}`")).1
    }

    /// Letters and digits alone.
    pub(super) fn plain(&self) -> &str {
        self.token("plain")
    }

    /// Between characters that every notation writes in another way.
    pub(super) fn special(&self) -> String {
        format!("p\"q\\r/é&<x>' %+\t{}\u{1f511}=", self.token("special"))
    }

    /// Several lines, as a private key has them.
    pub(super) fn lines(&self) -> String {
        format!("-----BEGIN KEY-----\n{}\n{}\n-----END KEY-----\n", self.token("first line"), self.token("second line"))
    }

    /// Not text.
    pub(super) fn binary(&self) -> Vec<u8> {
        [&[0xff, 0x00, 0xc3][..], self.token("binary").as_bytes(), &[0xfe, 0x0a, 0x80]].concat()
    }

    pub(super) fn rotated(&self) -> [&str; 2] {
        [self.token("rotated"), self.token("rotated again")]
    }

    pub(super) fn deleted(&self) -> [&str; 2] {
        [self.token("deleted"), self.token("short-lived")]
    }

    /// Of the environment, and looked up in a space.
    pub(super) fn inherited(&self) -> &str {
        self.token("inherited")
    }

    /// Of a space, and looked up there.
    pub(super) fn of_space(&self) -> &str {
        self.token("override")
    }

    /// Of the environment, and blocked in the space.
    pub(super) fn blocked(&self) -> &str {
        self.token("blocked")
    }

    /// Set by the protocol of the Flatfile clients.
    pub(super) fn of_protocol(&self) -> &str {
        self.token("protocol")
    }

    /// In the same way, for an actor.
    pub(super) fn of_actor(&self) -> &str {
        self.token("actor")
    }

    /// The space's name.
    pub(super) fn space() -> String {
        format!("acme {}", Canaries::control())
    }

    /// Given on the command line.
    pub(super) fn argument(&self) -> &str {
        self.token("argument")
    }

    /// Never handed out.
    pub(super) fn unused(&self) -> &str {
        self.token("unused")
    }

    /// In requests that are refused for what surrounds it.
    pub(super) fn refused(&self) -> &str {
        self.token("refused")
    }

    /// Where something else belongs: a key, a cursor, a number.
    pub(super) fn mistyped(&self) -> &str {
        self.token("mistyped")
    }

    /// So often that nothing takes it.
    pub(super) fn too_long(&self) -> String {
        self.token("too long").repeat(16 * 1024)
    }
}

/// 32 letters and digits that follow from the name.
fn token(name: &str) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let digit = |place: usize| {
        let mut hasher = DefaultHasher::new();
        (name, place).hash(&mut hasher);
        char::from(DIGITS[usize::try_from(hasher.finish() % DIGITS.len() as u64).unwrap_or(0)])
    };
    (0..32).map(digit).collect()
}

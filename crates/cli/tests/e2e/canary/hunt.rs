//! The search for canaries in every encoding.

use std::collections::HashSet;

use aho_corasick::AhoCorasick;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

use super::canaries::Canaries;

/// Something that was stored or shown.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    bytes: Vec<u8>,
    /// Shows the control.
    has_control: bool,
    /// API keys and master keys do not belong here either.
    is_free_of_keys: bool,
}

/// Every encoding of every canary.
pub(super) struct Hunt {
    needles: Vec<Needle>,
    search: AhoCorasick,
}

struct Needle {
    what: String,
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    Key,
    Control,
}

/// A part of this length is found, too, so that values that were cut are.
const PIECE: usize = 16;

impl Place {
    /// A place where values do not belong.
    pub(super) fn new(name: impl Into<String>, bytes: Vec<u8>) -> Place {
        Place { name: name.into(), bytes, has_control: false, is_free_of_keys: false }
    }

    /// What happened has left the control here.
    pub(super) fn with_control(self) -> Place {
        Place { has_control: true, ..self }
    }

    /// Whether the control has to be here.
    pub(super) fn has_control(&self) -> bool {
        self.has_control
    }

    /// Keys do not belong here either.
    pub(super) fn without_keys(self) -> Place {
        Place { is_free_of_keys: true, ..self }
    }
}

impl Hunt {
    /// For the canaries, and for the secret parts of these keys.
    pub(super) fn new(canaries: &Canaries, keys: &[(String, Vec<u8>)]) -> Hunt {
        let values = canaries.tokens().iter().flat_map(|(name, token)| needles(name, token.as_bytes(), Kind::Value));
        let keys = keys.iter().flat_map(|(name, secret)| needles(name, secret, Kind::Key));
        let control =
            Needle { what: "control".to_owned(), bytes: Canaries::control().into_bytes(), kind: Kind::Control };
        let needles: Vec<Needle> = values.chain(keys).chain([control]).collect();
        let search = AhoCorasick::new(needles.iter().map(|needle| &needle.bytes)).expect("a search");
        Hunt { needles, search }
    }

    /// What is in the place and does not belong there, and whether the control is missing.
    pub(super) fn search(&self, place: &Place) -> Vec<String> {
        let found = self.find(&place.bytes);
        let belongs = |needle: &Needle| match needle.kind {
            Kind::Value => false,
            Kind::Key => !place.is_free_of_keys,
            Kind::Control => true,
        };
        // Of each kind the first one: a value that is in the clear tends to be so many times.
        let mut told = HashSet::new();
        let alien = found.iter().filter(|(needle, _)| !belongs(needle) && told.insert(&needle.what));
        let mut hits: Vec<String> = alien.map(|(needle, at)| place.hit(needle, *at)).collect();
        if place.has_control && !found.iter().any(|(needle, _)| needle.kind == Kind::Control) {
            let shown = String::from_utf8_lossy(&place.bytes[..place.bytes.len().min(400)]).into_owned();
            hits.push(format!("{}: the control is not here: {shown:?}", place.name));
        }
        hits
    }

    /// Plants everything that does not belong in the place, each alone, and searches again.
    pub(super) fn assert_that_it_would_be_found(&self, place: &Place) {
        let around = &place.bytes[..place.bytes.len().min(1024)];
        let (before, after) = around.split_at(around.len() / 2);
        for needle in self.needles.iter().filter(|needle| needle.kind != Kind::Key || place.is_free_of_keys) {
            let planted = [before, &needle.bytes, after].concat();
            let found = self.find(&planted).iter().any(|(found, _)| found.what == needle.what);
            assert!(found, "{} was planted in {} and not found", needle.what, place.name);
        }
    }

    fn find(&self, bytes: &[u8]) -> Vec<(&Needle, usize)> {
        let hits = self.search.find_overlapping_iter(bytes);
        hits.map(|hit| (&self.needles[hit.pattern().as_usize()], hit.start())).collect()
    }
}

impl Place {
    fn hit(&self, needle: &Needle, at: usize) -> String {
        let context = &self.bytes[at.saturating_sub(120)..self.bytes.len().min(at + 160)];
        format!("{}: {} at {at}: {}", self.name, needle.what, context.escape_ascii())
    }
}

/// Every encoding of each half, since either may be all that is left.
fn needles(name: &str, secret: &[u8], kind: Kind) -> Vec<Needle> {
    let halves = [("beginning", &secret[..PIECE]), ("end", &secret[secret.len() - PIECE..])];
    let needle = |half: &str, (form, bytes): (String, Vec<u8>)| Needle {
        what: format!("{half} of `{name}` as {form}"),
        bytes,
        kind,
    };
    halves.into_iter().flat_map(|(half, piece)| forms(piece).into_iter().map(move |form| needle(half, form))).collect()
}

fn forms(piece: &[u8]) -> Vec<(String, Vec<u8>)> {
    let each = |write: &dyn Fn(&u8) -> String| piece.iter().map(write).collect::<Vec<_>>();
    let mut forms = vec![
        ("it is", piece.to_vec()),
        ("hex", each(&|byte| format!("{byte:02x}")).concat().into_bytes()),
        ("upper case hex", each(&|byte| format!("{byte:02X}")).concat().into_bytes()),
        ("percent encoding", each(&|byte| format!("%{byte:02x}")).concat().into_bytes()),
        ("upper case percent encoding", each(&|byte| format!("%{byte:02X}")).concat().into_bytes()),
        ("JSON escapes", each(&|byte| format!("\\u{byte:04x}")).concat().into_bytes()),
        ("numbers", each(&u8::to_string).join(",").into_bytes()),
        ("spaced numbers", each(&u8::to_string).join(", ").into_bytes()),
        ("UTF-16 LE", piece.iter().flat_map(|byte| [*byte, 0]).collect()),
        ("UTF-16 BE", piece.iter().flat_map(|byte| [0, *byte]).collect()),
    ]
    .into_iter()
    .map(|(form, bytes)| (form.to_owned(), bytes))
    .collect::<Vec<_>>();
    for alignment in 0..3 {
        forms.push((format!("base64, {alignment}"), base64(&STANDARD_NO_PAD, piece, alignment)));
        forms.push((format!("base64url, {alignment}"), base64(&URL_SAFE_NO_PAD, piece, alignment)));
    }
    forms
}

/// The characters that the piece determines when so many bytes stand before it.
fn base64(engine: &impl Engine, piece: &[u8], before: usize) -> Vec<u8> {
    let text = engine.encode([vec![0; before], piece.to_vec()].concat());
    let determined = (before * 8).div_ceil(6)..(before + piece.len()) * 8 / 6;
    text.as_bytes()[determined].to_vec()
}

//! Words that say nothing do not name types or files.

use super::Finding;
use crate::{
    rust_source::{line_of, shipped, words},
    tree::Tree,
};

/// Nowhere in the name of a type.
const EMPTY: [&str; 7] = ["Manager", "Helper", "Helpers", "Util", "Utils", "Impl", "Info"];

/// Not at its end: `DataKey` is a key, `EventData` says no more than `Event`.
const EMPTY_AT_THE_END: [&str; 1] = ["Data"];

const EMPTY_FILES: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "misc", "common"];

const KEYWORDS: [&str; 4] = ["struct", "enum", "trait", "type"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let types = shipped(tree).flat_map(|source| {
        let names = KEYWORDS.iter().flat_map(|keyword| declared(&source.code, keyword));
        let bad = names.filter(|(_, name)| says_nothing(name));
        let path = &source.file.path;
        bad.map(|(line, name)| Finding::line(path, line, format!("`{name}` has a word that says nothing")))
            .collect::<Vec<_>>()
    });
    types.chain(files(tree)).collect()
}

fn declared<'a>(code: &'a str, keyword: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    words(code, keyword).map(move |at| {
        let after = code[at + keyword.len()..].trim_start();
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        (line_of(code, at), &after[..end])
    })
}

fn says_nothing(name: &str) -> bool {
    let parts = camel_words(name);
    parts.iter().any(|part| EMPTY.contains(part)) || parts.last().is_some_and(|part| EMPTY_AT_THE_END.contains(part))
}

fn camel_words(name: &str) -> Vec<&str> {
    let starts = name.char_indices().filter(|(_, c)| c.is_uppercase()).map(|(at, _)| at);
    let mut starts: Vec<usize> = starts.collect();
    starts.push(name.len());
    starts.windows(2).map(|pair| &name[pair[0]..pair[1]]).collect()
}

fn files(tree: &Tree) -> impl Iterator<Item = Finding> {
    let code = tree.files().filter(|file| [".rs", ".ts", ".mjs"].iter().any(|end| file.path.ends_with(end)));
    code.filter_map(|file| {
        let name = file.path.rsplit('/').next()?.split('.').next()?;
        EMPTY_FILES.contains(&name).then(|| Finding::file(&file.path, "has a name that says nothing"))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn empty_words_are_found_in_types_and_files() {
        let code = "pub struct KeyManager;\nenum DataKey {}\ntrait StepData {}\nstruct Implied;\n";
        let found = said(check, &[("crates/a/src/key.rs", code), ("crates/a/src/utils.rs", "")]);
        let expected = [
            "crates/a/src/key.rs:1: `KeyManager` has a word that says nothing",
            "crates/a/src/key.rs:3: `StepData` has a word that says nothing",
            "crates/a/src/utils.rs: has a name that says nothing",
        ];
        assert_eq!(found, expected);
    }
}

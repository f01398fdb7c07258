//! A `lib.rs` holds documentation, modules and what they make public, nothing else.

use super::Finding;
use crate::{
    rust_source::{Source, line_of},
    tree::Tree,
};

const STARTS: [&str; 4] = ["mod ", "pub mod ", "pub use ", "use "];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending("/src/lib.rs").filter_map(|file| check_source(&Source::read(file))).collect()
}

fn check_source(source: &Source<'_>) -> Option<Finding> {
    let mut at = 0;
    for part in source.code.split_inclusive(';') {
        let item = without_attributes(part);
        let is_known = STARTS.iter().any(|start| item.starts_with(start)) && item.ends_with(';');
        if !item.is_empty() && !is_known {
            let line = line_of(&source.code, at + (part.len() - part.trim_start().len()));
            return Some(Finding::line(
                &source.file.path,
                line,
                "only documentation, `mod`, `use` and `pub use` belong here",
            ));
        }
        at += part.len();
    }
    None
}

fn without_attributes(item: &str) -> &str {
    let mut item = item.trim();
    while item.starts_with('#') {
        let Some(end) = item.find(']') else { return item };
        item = item[end + 1..].trim_start();
    }
    item
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_table_of_contents_passes() {
        let text =
            "//! Docs.\n#![forbid(unsafe_code)]\n\nmod a;\n#[cfg(feature = \"b\")]\npub mod b;\npub use a::{C, D};\n";
        assert_eq!(said(check, &[("crates/x/src/lib.rs", text)]), [""; 0]);
    }

    #[test]
    fn anything_else_is_found() {
        let text = "mod a;\n\npub fn b() {}\n";
        let expected = ["crates/x/src/lib.rs:3: only documentation, `mod`, `use` and `pub use` belong here"];
        assert_eq!(said(check, &[("crates/x/src/lib.rs", text)]), expected);
    }
}

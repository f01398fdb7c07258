//! Files of at most 500 lines and functions of at most 60, tests not counted.

use super::Finding;
use crate::{
    rust_source::{Source, shipped},
    tree::Tree,
};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;

/// A file says this in its first lines to be longer, with the reason after it.
const EXCEPTION: &str = "// tidy: long because ";
const EXCEPTION_WITHIN: usize = 5;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    shipped(tree).flat_map(|source| check_source(&source)).collect()
}

fn check_source(source: &Source<'_>) -> Vec<Finding> {
    let path = &source.file.path;
    let mut findings = Vec::new();
    if source.lines > FILE_LINES && !has_reason(&source.file.text) {
        findings.push(Finding::file(path, format!("{} lines without tests; the limit is {FILE_LINES}", source.lines)));
    }
    for function in source.functions().iter().filter(|function| function.length > FUNCTION_LINES) {
        let message = format!("`{}` has {} lines; the limit is {FUNCTION_LINES}", function.name, function.length);
        findings.push(Finding::line(path, function.line, message));
    }
    findings
}

fn has_reason(text: &str) -> bool {
    text.lines()
        .take(EXCEPTION_WITHIN)
        .any(|line| line.strip_prefix(EXCEPTION).is_some_and(|why| !why.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_long_file_needs_a_reason() {
        let long = "\n".repeat(501);
        assert_eq!(said(check, &[("a.rs", &long)]), ["a.rs: 501 lines without tests; the limit is 500"]);
        assert_eq!(said(check, &[("a.rs", &format!("{EXCEPTION}it is a table\n{long}"))]), [""; 0]);
        assert_eq!(said(check, &[("a.rs", &format!("{EXCEPTION}\n{long}"))]).len(), 1);
        assert_eq!(said(check, &[("tests/a.rs", &long)]), [""; 0]);
    }

    #[test]
    fn a_long_function_is_found_and_comments_do_not_count() {
        let long = format!("\nfn a() {{\n{}}}\n", "    b();\n".repeat(59));
        assert_eq!(said(check, &[("a.rs", &long)]), ["a.rs:2: `a` has 61 lines; the limit is 60"]);
        let commented = format!("fn a() {{\n{}}}\n", "    b();\n    // why\n\n".repeat(58));
        assert_eq!(said(check, &[("a.rs", &commented)]), [""; 0]);
    }
}

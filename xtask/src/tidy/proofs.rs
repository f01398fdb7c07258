//! Documents name the tests that hold what they promise, as `path/to/file.rs::name_of_the_test`. Those tests exist.

use super::Finding;
use crate::{markdown, tree::Tree};

const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "SECURITY.md"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in DOCUMENTS {
        let lines = markdown::prose(tree.text(document).unwrap_or_default());
        for (number, line) in lines {
            for (path, test) in markdown::code_spans(line).filter_map(reference) {
                if !tree.text(path).is_some_and(|text| declares(text, path, test)) {
                    findings.push(Finding::line(document, number, format!("there is no test `{path}::{test}`")));
                }
            }
        }
    }
    findings
}

/// A code span with a slash before `::` is a reference to a test; `engine::Vault` is not.
fn reference(span: &str) -> Option<(&str, &str)> {
    let (path, test) = span.split_once("::")?;
    path.contains('/').then_some((path, test))
}

/// In Rust a test is a function; in TypeScript it is named by a string.
fn declares(text: &str, path: &str, test: &str) -> bool {
    if path.ends_with(".rs") { text.contains(&format!("fn {test}(")) } else { text.contains(&format!("\"{test}\"")) }
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_test_that_is_not_there_is_found() {
        let text = "Held by `crates/a/src/b.rs::holds`, `sdk/c.test.ts::resumes a run` and `engine::Vault`.\n\
                    Held by `crates/a/src/b.rs::gone`.\n";
        let files = [
            ("ARCHITECTURE.md", text),
            ("crates/a/src/b.rs", "fn holds() {}"),
            ("sdk/c.test.ts", "test(\"resumes a run\", () => {});"),
        ];
        assert_eq!(said(check, &files), ["ARCHITECTURE.md:2: there is no test `crates/a/src/b.rs::gone`"]);
    }
}

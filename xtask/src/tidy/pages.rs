//! Every public error code has a page of the same form, and every page a code.

use std::collections::BTreeSet;

use super::Finding;
use crate::{error_index, tree::Tree};

const CODES: &str = "crates/api/src/code.rs";
const SECTIONS: [&str; 2] = ["\n## What happened\n", "\n## What to do\n"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(code_list) = tree.text(CODES) else {
        return vec![Finding::file(CODES, "is missing; the public error codes belong there")];
    };
    let codes = codes(code_list);
    let pages: BTreeSet<&str> = error_index::pages(tree).map(|(code, _)| code).collect();
    let without_page = codes
        .difference(&pages)
        .map(|code| Finding::file(CODES, format!("`{code}` has no page docs/errors/{code}.md")));
    let without_code = pages
        .difference(&codes)
        .map(|code| Finding::file(&path(code), format!("there is no code `{code}` in {CODES}")));
    let mut findings: Vec<Finding> = without_page.chain(without_code).collect();
    findings.extend(error_index::pages(tree).filter_map(|(code, text)| malformed(code, text)));
    if tree.text(error_index::PATH) != Some(error_index::render(tree).as_str()) {
        findings.push(Finding::file(error_index::PATH, "is not what `cargo xtask gen` writes"));
    }
    findings
}

fn malformed(code: &str, text: &str) -> Option<Finding> {
    let has_form =
        text.lines().next() == Some(&format!("# {code}")) && SECTIONS.iter().all(|section| text.contains(section));
    let message = format!("a page begins with `# {code}` and has `What happened` and `What to do`");
    (!has_form).then(|| Finding::file(&path(code), message))
}

fn path(code: &str) -> String {
    format!("docs/errors/{code}.md")
}

/// Every string literal that looks like a code, outside comments and tests.
fn codes(text: &str) -> BTreeSet<&str> {
    let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|literal| is_code(literal)).collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.split('_').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    const PAGE: &str = "# timeout\n\n## What happened\n\nLate.\n\n## What to do\n\nWait.\n";

    fn said_with_index(files: &[(&str, &str)]) -> Vec<String> {
        let index = error_index::render(&Tree::of(files));
        said(check, &[files, &[(error_index::PATH, index.as_str())]].concat())
    }

    #[test]
    fn codes_and_pages_that_agree_pass() {
        let code = "// \"nothing\"\nTimeout => \"timeout\", \"The time is over\";\n#[cfg(test)]\nmod tests { \"x\" }";
        assert_eq!(said_with_index(&[(CODES, code), ("docs/errors/timeout.md", PAGE)]), [""; 0]);
    }

    #[test]
    fn each_lonely_side_and_a_page_out_of_form_are_found() {
        let found = said_with_index(&[(CODES, "\"store_full\""), ("docs/errors/timeout.md", "# late\n")]);
        let expected = [
            "crates/api/src/code.rs: `store_full` has no page docs/errors/store_full.md",
            "docs/errors/timeout.md: there is no code `timeout` in crates/api/src/code.rs",
            "docs/errors/timeout.md: a page begins with `# timeout` and has `What happened` and `What to do`",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_old_index_is_found() {
        let files = [(CODES, "\"timeout\""), ("docs/errors/timeout.md", PAGE), (error_index::PATH, "old")];
        assert_eq!(said(check, &files), ["docs/errors/README.md: is not what `cargo xtask gen` writes"]);
    }
}

//! Every generated file is there, and so is the test that compares it with the code.

use super::Finding;
use crate::{
    generated::{GOLDEN, Golden},
    tree::Tree,
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    GOLDEN.iter().flat_map(|golden| check_one(tree, golden)).collect()
}

fn check_one(tree: &Tree, golden: &Golden) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !tree.has(golden.path) {
        findings.push(Finding::file(golden.path, "is missing; `cargo xtask gen` writes it"));
    }
    let in_package = tree.ending(".rs").filter(|file| file.path.starts_with(golden.directory));
    let mut names =
        in_package.flat_map(|file| file.text.split("fn ").skip(1)).filter_map(|after| after.split('(').next());
    if !names.any(|name| name.contains(golden.test)) {
        findings.push(Finding::file(golden.directory, format!("no test has `{}` in its name", golden.test)));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_file_and_its_test_pass_and_their_absence_is_found() {
        let files = [
            ("spec/openapi.json", "{}"),
            ("crates/server/tests/it/spec.rs", "fn the_openapi_document_is_current() {}"),
            ("crates/cli/tests/it/main.rs", "fn other() {}"),
        ];
        let expected = [
            "docs/reference/cli.md: is missing; `cargo xtask gen` writes it",
            "crates/cli: no test has `cli_reference` in its name",
        ];
        assert_eq!(said(check, &files), expected);
    }
}

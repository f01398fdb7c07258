//! Every call of `SecretValue::expose` is written down in `xtask/expose.toml`, with the reason: where a value can leave
//! its wrapper is a list that fits on a page.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Finding;
use crate::{rust_source::shipped, tree::Tree};

const LIST: &str = "xtask/expose.toml";
const CALL: &str = ".expose()";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    site: Vec<Site>,
}

/// One file that may look at values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    file: String,
    calls: usize,
    why: String,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let list: List = match toml::from_str(tree.text(LIST).unwrap_or_default()) {
        Ok(list) => list,
        Err(error) => return vec![Finding::file(LIST, error.to_string())],
    };
    let mut found = calls(tree);
    let mut findings = Vec::new();
    for site in &list.site {
        let calls = found.remove(&site.file).unwrap_or(0);
        if calls != site.calls {
            findings.push(Finding::file(
                LIST,
                format!("`{}` has {calls} calls of expose(), listed are {}", site.file, site.calls),
            ));
        }
        if site.why.trim().is_empty() {
            findings.push(Finding::file(LIST, format!("`{}` has no reason", site.file)));
        }
    }
    let unlisted =
        found.iter().map(|(file, calls)| Finding::file(file, format!("{calls} calls of expose() are not in {LIST}")));
    findings.extend(unlisted);
    findings
}

fn calls(tree: &Tree) -> BTreeMap<String, usize> {
    let counted = shipped(tree).map(|source| (source.file.path.clone(), source.code.matches(CALL).count()));
    counted.filter(|(_, calls)| *calls > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    const CODE: &str = "fn a(v: &SecretValue) { b(v.expose()); c(v.expose()) }";

    #[test]
    fn listed_calls_pass() {
        let list = "[[site]]\nfile = \"crates/a.rs\"\ncalls = 2\nwhy = \"seals it\"\n";
        assert_eq!(said(check, &[(LIST, list), ("crates/a.rs", CODE)]), [""; 0]);
    }

    #[test]
    fn another_call_is_found() {
        let list = "[[site]]\nfile = \"crates/a.rs\"\ncalls = 1\nwhy = \" \"\n";
        let found = said(check, &[(LIST, list), ("crates/a.rs", CODE), ("crates/b.rs", CODE)]);
        let expected = [
            "xtask/expose.toml: `crates/a.rs` has 2 calls of expose(), listed are 1",
            "xtask/expose.toml: `crates/a.rs` has no reason",
            "crates/b.rs: 2 calls of expose() are not in xtask/expose.toml",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_listed_file_without_calls_is_found() {
        let list = "[[site]]\nfile = \"crates/gone.rs\"\ncalls = 1\nwhy = \"sealed it\"\n";
        assert_eq!(
            said(check, &[(LIST, list)]),
            ["xtask/expose.toml: `crates/gone.rs` has 0 calls of expose(), listed are 1"]
        );
    }
}

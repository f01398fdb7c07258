//! `cargo xtask tidy`: the house rules as code. A rule is a pure function from the tree to findings.

mod expose;
mod generated;
mod glossary;
mod graph;
mod imports;
mod links;
mod machine;
mod pages;
mod places;
mod proofs;
mod shape;
mod signatures;
mod sizes;
mod unfinished;

use std::path::Path;

use anyhow::{Result, bail};

use crate::tree::Tree;

/// A place where a rule does not hold.
pub(crate) struct Finding {
    path: String,
    line: Option<usize>,
    message: String,
}

impl Finding {
    /// About a file.
    fn file(path: &str, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line: None, message: message.into() }
    }

    /// About a line of a file, from 1.
    fn line(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line: Some(line), message: message.into() }
    }

    fn shown(&self) -> String {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{}{line}: {}", self.path, self.message)
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: [(&str, Rule); 13] = [
    ("crates use each other as ARCHITECTURE.md says", imports::check),
    ("names stay in their place", places::check),
    ("files and functions are short", sizes::check),
    ("functions take few parameters and no flags", signatures::check),
    ("`lib.rs` is a table of contents", shape::check),
    ("values are exposed only where it is written down", expose::check),
    ("every error code has a page", pages::check),
    ("generated files have their test", generated::check),
    ("words are those of the glossary", glossary::check),
    ("nothing is unfinished", unfinished::check),
    ("nothing names one machine or registry", machine::check),
    ("links lead somewhere", links::check),
    ("the tests that documents name exist", proofs::check),
];

/// Checks every rule; an error when one does not hold.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut count = 0;
    for (name, rule) in RULES {
        count += report(name, &rule(&tree));
    }
    count += report("the dependency graph is small, with one cryptography provider", &graph::check(root, &tree)?);
    if count > 0 {
        bail!("tidy found {count} {}", if count == 1 { "place" } else { "places" });
    }
    println!("tidy: {} rules hold over {} files", RULES.len() + 1, tree.files().count());
    Ok(())
}

fn report(name: &str, findings: &[Finding]) -> usize {
    if !findings.is_empty() {
        eprintln!("\n{name}:");
    }
    for finding in findings {
        eprintln!("  {}", finding.shown());
    }
    findings.len()
}

/// What a rule says, for its tests.
#[cfg(test)]
fn said(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    rule(&Tree::of(files)).iter().map(Finding::shown).collect()
}

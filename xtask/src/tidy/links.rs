//! Relative links in Markdown lead to a file or directory of the tree.

use super::Finding;
use crate::{markdown, tree::Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".md") {
        for (number, line) in markdown::prose(&file.text) {
            let targets = markdown::link_targets(line).into_iter().filter(|target| is_relative(target));
            let dead = targets.filter(|target| resolve(&file.path, target).is_none_or(|path| !tree.has(&path)));
            findings.extend(dead.map(|target| Finding::line(&file.path, number, format!("`{target}` leads nowhere"))));
        }
    }
    findings
}

fn is_relative(target: &str) -> bool {
    !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
}

/// The path from the root; `None` when it leaves the tree.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', ' ']).next().unwrap_or_default();
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_dead_link_is_found() {
        let text =
            "[a](../spec/a.md#part) [b](https://example.com) [c](#d)\n```\n[e](f.md)\n```\n[g](../h.md) [i](../../j)\n";
        let found = said(check, &[("docs/x.md", text), ("spec/a.md", "")]);
        assert_eq!(found, ["docs/x.md:5: `../h.md` leads nowhere", "docs/x.md:5: `../../j` leads nowhere"]);
    }
}

//! What is in the tree is finished: nothing left to do, no test switched off.

use super::Finding;
use crate::{rust_source::words, tree::Tree};

/// Marks of unfinished work, in any code. Written in two parts, so that this file is not found by itself.
const MARKS: [&str; 3] = [concat!("FIX", "ME"), concat!("HA", "CK"), concat!("XX", "X")];

/// What leaves work open or a test out, by the end of the file's name.
const CALLS: [(&str, &[&str]); 3] = [
    (".rs", &[concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")]),
    (".ts", &[concat!(".sk", "ip("), concat!(".on", "ly("), concat!(".to", "do(")]),
    (".mjs", &[concat!(".sk", "ip("), concat!(".on", "ly("), concat!(".to", "do(")]),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (end, calls) in CALLS {
        for file in tree.ending(end) {
            for (number, line) in (1..).zip(file.text.lines()) {
                let call = calls.iter().find(|call| line.contains(**call));
                let mark = MARKS.iter().find(|mark| words(line, mark).next().is_some());
                findings.extend(call.or(mark).map(|what| Finding::line(&file.path, number, format!("`{what}`"))));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn open_work_and_tests_switched_off_are_found() {
        let rust = format!("fn a() {{ {}) }}\n// {}: b\nfn c() {{}}\n", CALLS[0].1[0], MARKS[0]);
        let script = format!("it{}\"d\")\nconst e = f.slice(1);\n", CALLS[1].1[1]);
        let found = said(check, &[("a.rs", &rust), ("b.test.ts", &script)]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].starts_with("a.rs:1:") && found[1].starts_with("a.rs:2:") && found[2].starts_with("b.test.ts:1:")
        );
    }
}

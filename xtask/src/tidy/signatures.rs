//! A function has at most five parameters, and a public one takes no `bool`: at the call, `true` says nothing.

use super::Finding;
use crate::{
    rust_source::{Function, shipped, split_parameters},
    tree::Tree,
};

/// `self` is not counted.
const PARAMETERS: usize = 5;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in shipped(tree) {
        for function in source.functions() {
            let said = complaints(&function).into_iter();
            findings.extend(said.map(|message| Finding::line(&source.file.path, function.line, message)));
        }
    }
    findings
}

fn complaints(function: &Function<'_>) -> Vec<String> {
    let mut parameters = split_parameters(function.parameters);
    parameters.retain(|parameter| !is_self(parameter));
    let mut complaints = Vec::new();
    if parameters.len() > PARAMETERS {
        complaints.push(format!("`{}` has {} parameters; the limit is {PARAMETERS}", function.name, parameters.len()));
    }
    let flags = parameters.iter().filter_map(|parameter| flag(parameter)).filter(|_| function.is_public);
    complaints
        .extend(flags.map(|name| format!("`{}` takes the flag `{name}`; give its two meanings names", function.name)));
    complaints
}

fn is_self(parameter: &str) -> bool {
    parameter.split(':').next().is_some_and(|name| name.rsplit(['&', ' ']).next() == Some("self"))
}

fn flag(parameter: &str) -> Option<&str> {
    let (name, kind) = parameter.split_once(':')?;
    (kind.trim() == "bool").then_some(name.trim())
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_flag_of_a_public_function_is_found() {
        let code = "pub fn a(\n    x: u8,\n    is_b: bool,\n) {}\nfn c(d: bool) {}\npub fn e(f: fn(bool), g: Option<bool>) {}\n";
        assert_eq!(said(check, &[("a.rs", code)]), ["a.rs:1: `a` takes the flag `is_b`; give its two meanings names"]);
    }

    #[test]
    fn a_sixth_parameter_is_found_and_self_is_none() {
        let code =
            "fn a(&mut self, b: B<C, D>, c: C, d: D, e: E, f: F) {}\nfn b(a: A, b: B, c: C, d: D, e: E, f: F) {}\n";
        assert_eq!(said(check, &[("a.rs", code)]), ["a.rs:2: `b` has 6 parameters; the limit is 5"]);
    }
}

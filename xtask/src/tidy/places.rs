//! Names that belong to one part of the tree, and names that a part must not know. Tests are free.

use super::Finding;
use crate::{
    rust_source::{Source, line_of, shipped, words},
    tree::Tree,
};

/// `name` may stand only under one of `only`.
struct Home {
    name: &'static str,
    only: &'static [&'static str],
}

/// `name` may not stand under `never`.
struct Ban {
    name: &'static str,
    never: &'static str,
}

const HOMES: [Home; 14] = [
    Home { name: "rusqlite", only: &["crates/store/src/sqlite", "crates/bench/"] },
    // The benchmark compares with what NATS does by itself.
    Home { name: "async_nats", only: &["crates/store/src/nats/", "crates/bench/"] },
    Home { name: "nkeys", only: &["crates/store/src/nats/", "crates/testbed/"] },
    Home { name: "NatsLedger", only: &["crates/store/", "crates/cli/", "crates/bench/", "crates/torture/"] },
    Home { name: "SqliteLedger", only: &["crates/store/", "crates/cli/", "crates/bench/"] },
    Home { name: "MemoryLedger", only: &["crates/store/", "crates/cli/", "crates/bench/"] },
    Home { name: "axum", only: &["crates/server/", "crates/flatfile/", "crates/bench/"] },
    Home { name: "clap", only: &["crates/cli/"] },
    Home { name: "aws_lc_rs", only: &["crates/crypto/"] },
    Home { name: "aho_corasick", only: &["crates/core/"] },
    Home { name: "utoipa", only: &["crates/api/", "crates/server/"] },
    Home { name: "reqwest", only: &["crates/cli/", "crates/sdk/", "crates/bench/", "crates/torture/"] },
    Home { name: "tokio_tungstenite", only: &["crates/sdk/", "crates/bench/"] },
    Home { name: "anyhow", only: &["crates/cli/", "crates/bench/", "crates/testbed/", "crates/torture/", "xtask/"] },
];

/// What would make `core` something else than values and pure functions, and `store` something that knows a value.
const BANS: [Ban; 13] = [
    Ban { name: "serde", never: "crates/core/" },
    Ban { name: "Value::from_str", never: "crates/core/" },
    Ban { name: "parse::<Value>", never: "crates/core/" },
    Ban { name: "tokio", never: "crates/core/" },
    Ban { name: "SystemTime", never: "crates/core/" },
    Ban { name: "Instant", never: "crates/core/" },
    Ban { name: "std::fs", never: "crates/core/" },
    Ban { name: "std::net", never: "crates/core/" },
    Ban { name: "std::env", never: "crates/core/" },
    Ban { name: "SecretValue", never: "crates/store/" },
    Ban { name: "SecretValue", never: "crates/api/" },
    Ban { name: "claviger_store", never: "crates/server/" },
    Ban { name: "claviger_server", never: "crates/flatfile/" },
];

/// All that `core` knows of JSON: a value that was read, and is not written. `serde_json` does not stand otherwise.
const JSON: (&str, &str) = ("crates/core/", "serde_json::Value");

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    shipped(tree).flat_map(|source| check_source(&source)).collect()
}

fn check_source(source: &Source<'_>) -> Vec<Finding> {
    let path = source.file.path.as_str();
    let away = HOMES.iter().filter(|home| !home.only.iter().any(|start| path.starts_with(start)));
    let away = away.map(|home| (home.name, format!("belongs in {}", home.only.join(", "))));
    let banned = BANS.iter().filter(|ban| path.starts_with(ban.never));
    let banned = banned.map(|ban| (ban.name, format!("must not be known in {}", ban.never)));
    away.chain(banned).filter_map(|(name, why)| first(source, name, &why)).chain(json(source)).collect()
}

fn json(source: &Source<'_>) -> Option<Finding> {
    let ((never, known), code) = (JSON, &source.code);
    let is_known = |at: usize| words(&code[at..], known).next() == Some(0);
    let mut unknown = words(code, "serde_json").filter(|&at| !is_known(at));
    let at = unknown.next().filter(|_| source.file.path.starts_with(never))?;
    let why = format!("`serde_json` must not be known in {never} but as `{known}`");
    Some(Finding::line(&source.file.path, line_of(code, at), why))
}

fn first(source: &Source<'_>, name: &str, why: &str) -> Option<Finding> {
    let at = words(&source.code, name).next()?;
    Some(Finding::line(&source.file.path, line_of(&source.code, at), format!("`{name}` {why}")))
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    #[test]
    fn a_name_away_from_home_is_found() {
        let found = said(check, &[("crates/store/src/ledger.rs", "use std::fmt;\nuse rusqlite::Connection;\n")]);
        assert_eq!(
            found,
            ["crates/store/src/ledger.rs:2: `rusqlite` belongs in crates/store/src/sqlite, crates/bench/"]
        );
    }

    #[test]
    fn at_home_in_comments_and_in_tests_it_is_fine() {
        let files = [
            ("crates/store/src/sqlite/mod.rs", "use rusqlite::Connection;"),
            ("crates/engine/src/a.rs", "// axum\n#[cfg(test)]\nmod tests {\n    use axum::Router;\n}\n"),
            ("crates/engine/tests/it/main.rs", "use axum::Router;"),
        ];
        assert_eq!(said(check, &files), [""; 0]);
    }

    #[test]
    fn core_knows_no_clock() {
        let found = said(check, &[("crates/core/src/time.rs", "fn now() -> SystemTime { SystemTime::now() }")]);
        assert_eq!(found, ["crates/core/src/time.rs:1: `SystemTime` must not be known in crates/core/"]);
    }

    #[test]
    fn core_neither_reads_nor_writes_json() {
        let value = "use serde_json::Value;\n";
        for code in [
            "serde_json::from_str::<Value>(text)",
            "serde_json::to_vec(value)",
            "use serde_json::{Value, to_string};",
            "use serde_json::value::RawValue;",
            "use serde_json as json;",
        ] {
            let found = said(check, &[("crates/core/src/condition.rs", &format!("{value}{code}"))]);
            let why = "`serde_json` must not be known in crates/core/ but as `serde_json::Value`";
            assert_eq!(found, [format!("crates/core/src/condition.rs:2: {why}")], "{code}");
        }
        for (code, name) in [("Value::from_str(text)", "Value::from_str"), ("text.parse::<Value>()", "parse::<Value>")]
        {
            let found = said(check, &[("crates/core/src/condition.rs", &format!("{value}{code}"))]);
            assert_eq!(found, [format!("crates/core/src/condition.rs:2: `{name}` must not be known in crates/core/")]);
        }
        let elsewhere = ("crates/api/src/body.rs", "serde_json::from_slice(body)");
        assert_eq!(said(check, &[("crates/core/src/condition.rs", value), elsewhere]), [""; 0]);
    }

    #[test]
    fn a_value_is_unknown_to_the_wire_and_the_store() {
        let code = "use claviger_core::SecretValue;";
        let found = said(check, &[("crates/api/src/secret.rs", code), ("crates/store/src/ledger.rs", code)]);
        let expected = [
            "crates/api/src/secret.rs:1: `SecretValue` must not be known in crates/api/",
            "crates/store/src/ledger.rs:1: `SecretValue` must not be known in crates/store/",
        ];
        assert_eq!(found, expected);
    }
}

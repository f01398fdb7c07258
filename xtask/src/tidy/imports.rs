//! Which crate may use which: the table in `ARCHITECTURE.md` against every manifest.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::Finding;
use crate::{markdown, tree::Tree};

const DOCUMENT: &str = "ARCHITECTURE.md";
const HEAD: &str = "crate, may use";
const TESTS_COLUMN: &str = "its tests also";
const EVERYTHING: &str = "everything";

/// What one crate may use, by directory name.
#[derive(Default)]
struct Permit {
    ships: BTreeSet<String>,
    tests: BTreeSet<String>,
    everything: bool,
}

/// One crate of the workspace.
struct Member<'a> {
    directory: &'a str,
    path: &'a str,
    manifest: Table,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(permits) = tree.text(DOCUMENT).and_then(permits) else {
        return vec![Finding::file(DOCUMENT, format!("has no table that begins with `{HEAD}`"))];
    };
    let members = members(tree);
    let names: BTreeMap<String, &str> =
        members.iter().filter_map(|member| Some((package_name(&member.manifest)?, member.directory))).collect();
    let mut findings: Vec<Finding> = permits
        .keys()
        .filter(|row| !members.iter().any(|member| member.directory == row.as_str()))
        .map(|row| Finding::file(DOCUMENT, format!("the table has a row for `{row}`, but there is no crates/{row}")))
        .collect();
    for member in &members {
        match permits.get(member.directory) {
            None => findings.push(Finding::file(DOCUMENT, format!("the table has no row for `{}`", member.directory))),
            Some(permit) => findings.extend(check_member(member, permit, &names)),
        }
    }
    findings
}

fn check_member(member: &Member<'_>, permit: &Permit, names: &BTreeMap<String, &str>) -> Vec<Finding> {
    if permit.everything {
        return Vec::new();
    }
    let used = |sections: &[&str]| -> BTreeSet<&str> {
        let all = dependency_names(&member.manifest, sections);
        all.iter().filter_map(|name| names.get(name).copied()).filter(|name| *name != member.directory).collect()
    };
    let refused = |what: &str, name: &str| {
        Finding::file(member.path, format!("{what} `{name}`, which {DOCUMENT} does not permit"))
    };
    let mut findings = Vec::new();
    for name in used(&["dependencies", "build-dependencies"]) {
        if !permit.ships.contains(name) {
            findings.push(refused("uses", name));
        }
    }
    for name in used(&["dev-dependencies"]) {
        if !permit.ships.contains(name) && !permit.tests.contains(name) {
            findings.push(refused("its tests use", name));
        }
    }
    findings
}

fn members(tree: &Tree) -> Vec<Member<'_>> {
    let manifests = tree.ending("/Cargo.toml").filter_map(|file| {
        let directory = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        Some(Member { directory, path: &file.path, manifest: file.text.parse().ok()? })
    });
    manifests.filter(|member| !member.directory.contains('/')).collect()
}

fn package_name(manifest: &Table) -> Option<String> {
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

/// The names in these sections, also those for one platform only.
fn dependency_names(manifest: &Table, sections: &[&str]) -> Vec<String> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(|table| table.values().filter_map(Value::as_table));
    let tables = std::iter::once(manifest).chain(platforms);
    let found = tables.flat_map(|table| sections.iter().filter_map(|section| table.get(*section)?.as_table()));
    found.flat_map(|section| section.iter().map(|(key, value)| renamed(value).unwrap_or(key).to_owned())).collect()
}

fn renamed(dependency: &Value) -> Option<&str> {
    dependency.get("package")?.as_str()
}

fn permits(document: &str) -> Option<BTreeMap<String, Permit>> {
    let table = markdown::table(document, HEAD)?;
    let (head, rows) = table.split_first()?;
    let named = rows.iter().filter_map(|row| Some((row.first()?.clone(), permit(head, row))));
    Some(named.collect())
}

fn permit(head: &[String], row: &[String]) -> Permit {
    let mut permit = Permit::default();
    for (column, cell) in head.iter().zip(row).skip(1) {
        let cell = cell.trim_matches('*');
        if column == TESTS_COLUMN {
            permit.tests.extend(cell.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        } else if cell == EVERYTHING {
            permit.everything = true;
        } else if cell.starts_with("yes") {
            permit.ships.insert(column.clone());
        }
    }
    permit
}

#[cfg(test)]
mod tests {
    use super::{super::said, *};

    const TABLE: &str = "| crate, may use | core | store | its tests also |\n|---|---|---|---|\n\
                         | core | – | **no** | |\n| store | yes, all | – | cli |\n| cli | everything | | |\n";

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    fn check_with(core: &str, store: &str) -> Vec<String> {
        let (core, store) = (manifest("claviger-core", core), manifest("claviger-store", store));
        let cli =
            manifest("claviger-cli", "[dependencies]\nclaviger-core.workspace = true\nclaviger-store.workspace = true");
        said(
            check,
            &[
                (DOCUMENT, TABLE),
                ("crates/core/Cargo.toml", &core),
                ("crates/store/Cargo.toml", &store),
                ("crates/cli/Cargo.toml", &cli),
            ],
        )
    }

    #[test]
    fn what_the_table_permits_passes() {
        let store = "[dependencies]\nclaviger-core.workspace = true\n[dev-dependencies]\nclaviger-cli.workspace = true";
        assert_eq!(check_with("", store), [""; 0]);
    }

    #[test]
    fn what_it_does_not_permit_is_found_under_any_name_and_platform() {
        let core = "[target.'cfg(unix)'.dependencies]\ns = { package = \"claviger-store\", path = \"../store\" }";
        assert_eq!(
            check_with(core, ""),
            ["crates/core/Cargo.toml: uses `store`, which ARCHITECTURE.md does not permit"]
        );
    }

    #[test]
    fn tests_have_a_column_of_their_own() {
        let core = "[dev-dependencies]\nclaviger-cli.workspace = true";
        let store = "[dependencies]\nclaviger-cli.workspace = true";
        let expected = [
            "crates/core/Cargo.toml: its tests use `cli`, which ARCHITECTURE.md does not permit",
            "crates/store/Cargo.toml: uses `cli`, which ARCHITECTURE.md does not permit",
        ];
        assert_eq!(check_with(core, store), expected);
    }

    #[test]
    fn rows_and_crates_are_the_same() {
        let files = [(DOCUMENT, TABLE), ("crates/new/Cargo.toml", "[package]\nname = \"new\"")];
        let found = said(check, &files);
        assert_eq!(found.len(), 4);
        assert!(found[0].contains("`cli`, but there is no crates/cli"), "{found:?}");
        assert!(found[3].contains("no row for `new`"), "{found:?}");
    }
}

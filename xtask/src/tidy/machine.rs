//! Nothing in the tree names a directory of one machine or the address of a package registry.

use super::Finding;
use crate::tree::Tree;

/// Directories at the root of a machine that are not everybody's.
const DIRECTORIES: [&str; 3] = ["work", "farm", "root"];

/// First parts of the host names of package registries and mirrors.
const HOSTS: [&str; 4] = ["registry.", "static.", "index.", "files."];

/// Where a registry address would do harm: what tools read.
const READ_BY_TOOLS: [&str; 6] = ["package-lock.json", ".toml", ".npmrc", ".sh", ".yml", ".ci/run"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| !file.path.ends_with(".lock")) {
        let is_read_by_tools = READ_BY_TOOLS.iter().any(|end| file.path.ends_with(end));
        for (number, line) in (1..).zip(file.text.lines()) {
            if names_machine(line) {
                findings.push(Finding::line(&file.path, number, "names a directory of one machine"));
            }
            if is_read_by_tools && names_registry(line) {
                findings.push(Finding::line(&file.path, number, "names a package registry"));
            }
        }
    }
    findings
}

fn names_machine(line: &str) -> bool {
    DIRECTORIES.iter().any(|directory| {
        let path = format!("/{directory}/");
        let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        line.match_indices(&path).any(|(at, _)| !line[..at].ends_with(is_inside))
    })
}

fn names_registry(line: &str) -> bool {
    let resolved = line.contains("\"resolved\": \"http");
    resolved || line.split("://").skip(1).any(|host| HOSTS.iter().any(|start| host.starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_are_told_from_parts_of_others() {
        let path = |first: &str| format!("see {first}work/x");
        assert!(names_machine(&path("/")));
        assert!(!names_machine(&path("home/")));
        assert!(!names_machine(&path("./")));
    }

    #[test]
    fn registries_are_told_from_other_hosts() {
        assert!(names_registry(&format!("registry = \"https://{}.example\"", "registry")));
        assert!(!names_registry("url = \"https://github.com/x/registry\""));
        assert!(names_registry("  \"resolved\": \"https://x\""));
    }
}

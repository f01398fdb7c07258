//! The generated reference, and help that teaches.

use std::path::Path;

use crate::support::{claviger, run};

#[test]
fn the_cli_reference_is_what_the_binary_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    let said = run(claviger(&["cli-reference"])).expect(0).stdout;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &said).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), said, "`cargo xtask gen` writes it");
}

#[test]
fn every_command_that_does_something_has_an_example_and_a_status_for_nonsense() {
    let reference = run(claviger(&["cli-reference"])).expect(0).stdout;
    for section in reference.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let (_, examples) = section.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{name} has no example"));
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.len() <= 76, "{name}: an example is broken where it should not be: {line}");
        }
    }
    run(claviger(&["no-such-command"])).expect(2);
    run(claviger(&["secret", "list", "--no-such-flag"])).expect(2);
}

//! Guides whose commands run: every `sh` block, and the `text` block that shows what it prints.

use std::{fs, path::Path};

/// A block of commands, and what the guide shows of their output, if it does.
struct Passage {
    line: usize,
    commands: String,
    output: Option<String>,
}

/// A guide in the form in which it can be run.
pub(crate) struct Guide {
    path: &'static str,
    passages: Vec<Passage>,
}

impl Guide {
    /// Reads a guide by its path in the project.
    pub(crate) fn read(path: &'static str) -> Guide {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        let text = fs::read_to_string(file).expect("the guide");
        let passages = passages(&text);
        assert!(passages.len() > 8, "{}", passages.len());
        Guide { path, passages }
    }

    /// One script for all passages. It is to be run in an empty directory, where each writes its output into a file of its own.
    pub(crate) fn script(&self) -> String {
        let mut script = "set -e\nhome=$PWD\n".to_owned();
        for (number, passage) in self.passages.iter().enumerate() {
            script.push_str(&format!("exec > \"$home/out{number}\" 2>> \"$home/said\"\n{}\n", passage.commands));
        }
        script
    }

    /// Compares what was printed in this directory with what the guide shows.
    pub(crate) fn compare(&self, home: &Path) {
        for (number, passage) in self.passages.iter().enumerate() {
            let output = fs::read_to_string(home.join(format!("out{number}"))).expect("output");
            if let Some(shown) = &passage.output {
                let (is, should) = (essence(&output), essence(shown));
                let place = format!("{}:{}", self.path, passage.line);
                assert_eq!(is, should, "{place}\nit is\n{output}\nand the guide shows\n{shown}");
            }
        }
    }
}

/// Every `sh` block, each with the `text` block that follows it before the next.
fn passages(guide: &str) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut lines = (1..).zip(guide.lines());
    while let Some((line, text)) = lines.next() {
        let Some(kind) = text.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```").collect();
        match (kind, passages.last_mut()) {
            ("sh", _) => passages.push(Passage { line, commands: block.join("\n"), output: None }),
            ("text", Some(last)) if last.output.is_none() => last.output = Some(block.join("\n")),
            _ => {}
        }
    }
    passages
}

/// What does not differ from run to run: words without digits that say neither when nor who.
fn essence(output: &str) -> Vec<String> {
    output.lines().map(essence_of_line).filter(|line| !line.is_empty()).collect()
}

fn essence_of_line(line: &str) -> String {
    let mut words = Vec::new();
    let mut is_name = false;
    for word in line.split_whitespace().filter(|word| *word != "ago") {
        let differs = is_name || word.starts_with("now") || word.bytes().any(|byte| byte.is_ascii_digit());
        words.push(if differs { "#" } else { word });
        is_name = word == "by";
    }
    words.join(" ")
}

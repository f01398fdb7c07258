//! The cluster guide, as somebody follows it: its commands run, and what it shows of their output is true.

use std::{fs, net::TcpListener, path::Path, process::Stdio};

use aho_corasick::AhoCorasick;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::support::{process, root, server::BINARY, within};

const GUIDE: &str = "docs/guides/cluster.md";

/// The ports that the guide names. In the test they are others, which are free.
const PORTS: [&str; 11] = ["4222", "4223", "4224", "6222", "6223", "6224", "8222", "8223", "8224", "8081", "8082"];

/// A block of commands, and what the guide shows of their output, if it does.
struct Passage {
    line: usize,
    commands: String,
    output: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_guide_can_be_followed_as_it_stands() {
    let home = tempfile::tempdir().expect("a directory");
    let passages = passages(&fs::read_to_string(root().join(GUIDE)).expect("the guide"));
    assert!(passages.len() > 8, "{}", passages.len());
    let script = on_free_ports(&script(&passages));
    fs::write(home.path().join("guide.sh"), script).expect("a script");
    let ended = within("the end of the guide", run(home.path())).await;
    let said = fs::read_to_string(home.path().join("said")).expect("what was said");
    assert!(ended, "{said}");
    for (number, passage) in passages.iter().enumerate() {
        let output = fs::read_to_string(home.path().join(format!("out{number}"))).expect("output");
        if let Some(shown) = &passage.output {
            let (is, should) = (essence(&output), essence(shown));
            assert_eq!(is, should, "{GUIDE}:{}\nit is\n{output}\nand the guide shows\n{shown}", passage.line);
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

/// One script for all of them; each writes its output into a file of its own.
fn script(passages: &[Passage]) -> String {
    let mut script = "set -e\nhome=$PWD\n".to_owned();
    for (number, passage) in passages.iter().enumerate() {
        script.push_str(&format!("exec > \"$home/out{number}\" 2>> \"$home/said\"\n{}\n", passage.commands));
    }
    script
}

/// Runs the script in a process group of its own and ends all that it left behind. Answers whether it succeeded.
async fn run(home: &Path) -> bool {
    let paths = [Path::new(BINARY), &claviger_testbed::binary().expect("a nats-server")];
    let mut path: Vec<_> = paths.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = process::command("bash");
    command.arg("guide.sh").current_dir(home).process_group(0);
    command.env("PATH", std::env::join_paths(path).expect("a path")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("bash");
    let group = Group(Pid::from_raw(child.id().expect("a process").cast_signed()).expect("an id"));
    let status = child.wait().await.expect("a status");
    drop(group);
    status.success()
}

/// Ends every process of the group when dropped.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // The guide may have ended all of them itself.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

fn on_free_ports(script: &str) -> String {
    let listeners: Vec<TcpListener> =
        PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port().to_string();
    let free: Vec<String> = listeners.iter().map(port).collect();
    AhoCorasick::new(PORTS).expect("a search").replace_all(script, &free)
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

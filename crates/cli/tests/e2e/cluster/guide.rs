//! The cluster guide, as somebody follows it: its commands run, and what it shows of their output is true.

use std::{fs, path::Path, process::Stdio};

use aho_corasick::AhoCorasick;
use claviger_testbed::FreePorts;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    guide::Guide,
    support::{process, server::BINARY, within},
};

/// The ports that the guide names. In the test they are others, which are free.
const PORTS: [&str; 11] = ["4222", "4223", "4224", "6222", "6223", "6224", "8222", "8223", "8224", "8081", "8082"];

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_guide_can_be_followed_as_it_stands() {
    let home = tempfile::tempdir().expect("a directory");
    let guide = Guide::read("docs/guides/cluster.md");
    let ports = FreePorts::take(PORTS.len().try_into().expect("few")).expect("free ports");
    fs::write(home.path().join("guide.sh"), on_free_ports(&guide.script(), &ports)).expect("a script");
    let ended = within("the end of the guide", run(home.path())).await;
    let said = fs::read_to_string(home.path().join("said")).expect("what was said");
    assert!(ended, "{said}");
    guide.compare(home.path());
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

fn on_free_ports(script: &str, ports: &FreePorts) -> String {
    let free: Vec<String> = ports.iter().map(|port| port.to_string()).collect();
    AhoCorasick::new(PORTS).expect("a search").replace_all(script, &free)
}

//! Programs that use the TypeScript SDK as it is built.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command as Blocking,
    sync::Arc,
};

use tempfile::TempDir;

use super::{Process, process, root};

/// A directory with a program and the SDK's packages, as an application has them.
#[derive(Debug)]
pub(crate) struct NodeProgram {
    directory: Arc<TempDir>,
    entry: PathBuf,
}

/// A Node.js process with a worker.
#[derive(Debug)]
pub(crate) struct NodeWorker {
    pub(crate) process: Process,
    /// Where its program is.
    _directory: Arc<TempDir>,
}

impl NodeProgram {
    /// An ES module with this text.
    pub(crate) fn script(text: &str) -> NodeProgram {
        let directory = application();
        let entry = directory.path().join("worker.mjs");
        fs::write(&entry, text).expect("a script");
        NodeProgram { directory, entry }
    }

    /// A directory of the repository with a TypeScript program, compiled as its `tsconfig.json` says.
    pub(crate) fn typescript(source: &Path, entry: &str) -> NodeProgram {
        let directory = application();
        for file in fs::read_dir(source).expect("a program") {
            let file = file.expect("a file");
            if file.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::copy(file.path(), directory.path().join(file.file_name())).expect("a copy");
            }
        }
        let compiler = sdk().join("node_modules/typescript/bin/tsc");
        let mut command = Blocking::new("node");
        run(command.arg(compiler).args(["--project", "."]).current_dir(directory.path()));
        let entry = directory.path().join(entry);
        NodeProgram { directory, entry }
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&self, api: &str, key: &str, variables: &[(&str, &str)]) -> Process {
        let mut command = process::command("node");
        command.arg(&self.entry).current_dir(self.directory.path());
        command.env("CLAVIGER_URL", api).env("CLAVIGER_API_KEY", key).envs(variables.iter().copied());
        Process::spawn(&mut command)
    }

    /// Starts it and waits until the server has accepted its worker.
    pub(crate) async fn start(&self, api: &str, key: &str, variables: &[(&str, &str)]) -> NodeWorker {
        let process = self.spawn(api, key, variables);
        process.stderr.line("registered in environment").await;
        NodeWorker { process, _directory: self.directory.clone() }
    }
}

/// A directory whose packages are the SDK's.
fn application() -> Arc<TempDir> {
    build_sdk();
    let directory = tempfile::tempdir().expect("a directory");
    symlink(sdk().join("node_modules"), directory.path().join("node_modules")).expect("its packages");
    fs::write(directory.path().join("package.json"), r#"{ "private": true, "type": "module" }"#).expect("its manifest");
    Arc::new(directory)
}

/// Where the TypeScript SDKs are.
pub(crate) fn sdk() -> PathBuf {
    root().join("sdk/typescript")
}

/// Builds the SDKs unless they are built. One process does, the others wait for it.
pub(crate) fn build_sdk() {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript-sdk.lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let is_built = ["core", "node", "browser"].iter().all(|name| sdk().join(name).join("dist/index.js").exists());
    if is_built {
        return;
    }
    let mut npm = Blocking::new("npm");
    if !sdk().join("node_modules").exists() {
        run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(sdk()));
    }
    run(Blocking::new("npm").args(["run", "--silent", "build"]).current_dir(sdk()));
}

fn run(command: &mut Blocking) {
    let output = command.output().expect("Node.js and npm");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&said));
}

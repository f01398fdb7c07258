//! What the tests share: real processes, their output, HTTP in both directions.

pub(crate) mod api;
pub(crate) mod cli;
pub(crate) mod http_server;
pub(crate) mod node;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod relay;
pub(crate) mod server;
pub(crate) mod stripe;
pub(crate) mod transcript;
pub(crate) mod wait;

pub(crate) use self::{
    api::Api,
    cli::Cli,
    node::{NodeProgram, NodeWorker},
    output::Output,
    process::Process,
    relay::Relay,
    server::{Server, ServerPlan},
    stripe::{Answer, FakeStripe},
    transcript::Transcript,
    wait::{PATIENCE, eventually, within},
};

/// The repository.
pub(crate) fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

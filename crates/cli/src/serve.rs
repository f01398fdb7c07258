//! `claviger dev` and `claviger start`: wires the store, the engine and the server together, and runs them.

mod bootstrap;
mod dev_keys;
mod introduction;
mod log;
mod renewal;
mod signals;
mod store;

use std::{net::SocketAddr, sync::Arc};

use clap::{Args, ValueEnum};
use claviger_server::{Mount, Options, Server};
use zeroize::Zeroizing;

pub(crate) use self::bootstrap::{BootstrapArgs, run as bootstrap};
use self::{
    log::Log,
    signals::Signals,
    store::{Opened, Store},
};
use crate::{
    config::{Config, ConfigArgs, Endpoint, NATS_SERVERS, Origin, Problems},
    data_dir::DataDir,
    failure::{Exit, Failure},
    master_key,
    terminal::say,
};

#[derive(Args, Clone, Debug)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Serve beyond this machine with a development key, which lies beside the data
    #[arg(long)]
    allow_dev_key: bool,
    /// What to log: error, warn, info, debug, trace; or a filter such as `warn,claviger_engine=debug`
    #[arg(long, value_name = "LEVEL", env = "CLAVIGER_LOG", hide_env_values = true, default_value = "info")]
    log: String,
    /// How to log
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// The forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

/// The two ways to run a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With the conveniences of development.
    Dev,
    /// Without them.
    Start,
}

/// Runs a server until it is told to stop.
///
/// # Errors
/// Why it does not start.
pub(crate) fn run(mode: Mode, arguments: &ServeArgs, key: Option<Zeroizing<Vec<u8>>>) -> Result<(), Failure> {
    let hardening = claviger_crypto::harden_process();
    let (config, mut problems) = Config::read(&arguments.config);
    if let Err(what) = log::check(&arguments.log) {
        problems.add(Origin::Flag("--log or CLAVIGER_LOG"), what);
    }
    if mode == Mode::Dev {
        refuse_nats(&config, &mut problems);
    }
    let key = problems.finish(master_key::find(key, &config))?;
    if key.is_none() {
        refuse_without_key(&config, arguments)?;
    }
    warn_of_passwords(&config);
    let log = Log::start(&arguments.log, arguments.log_format);
    if !hardening.is_complete() {
        tracing::warn!(?hardening, "this system does not permit to keep keys out of dumps completely");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::plain(Exit::Other, error.to_string()))?;
    let outcome = runtime.block_on(async {
        let data = DataDir::open(config.data())?;
        let opened = Store::open(&config, &data, key).await?.into_engine().await?;
        log.redact_with(opened.engine.live());
        serve(mode, &config, &data, opened).await
    });
    // Nothing that matters is left: a read that hangs must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn serve(mode: Mode, config: &Config, data: &DataDir, opened: Opened) -> Result<(), Failure> {
    let signals = Signals::listen()?;
    let options = Options {
        listen: config.listen(),
        cors_origins: config.cors_origins(),
        master_key: opened.facts.master_key,
        warnings: opened.facts.warnings.clone(),
        store: opened.facts.name,
        durability: opened.facts.durability.clone(),
    };
    for warning in &options.warnings {
        tracing::warn!("{warning}");
    }
    let engine = opened.engine.clone();
    let server = match Server::bind(engine.clone(), options).await {
        Ok(server) => server,
        Err(error) => {
            engine.close().await;
            return Err(not_bound(&error));
        }
    };
    let server = match config.flatfile().unwrap_or(mode == Mode::Dev) {
        true => server.mount(flatfile(&engine)),
        false => server,
    };
    let api = format!("http://{}", server.local_addr());
    match mode {
        Mode::Dev => {
            dev_keys::write(&engine, data).await?;
            introduction::say(data, server.local_addr());
        }
        Mode::Start => bootstrap::hint(&engine, config, data).await?,
    }
    say(format_args!("claviger ready api={api} data={}", data.path().display()));
    run_until_stopped(server, engine, signals).await
}

fn flatfile(engine: &Arc<claviger_engine::Engine>) -> Mount {
    let routes = claviger_flatfile::routes(engine.clone());
    Mount { path: claviger_flatfile::PATH, routes, refusal: claviger_flatfile::refusal }
}

async fn run_until_stopped(
    server: Server,
    engine: Arc<claviger_engine::Engine>,
    signals: Signals,
) -> Result<(), Failure> {
    let first = signals.received(1);
    let graceful = async {
        server.serve(first).await;
        engine.close().await;
    };
    tokio::select! {
        () = graceful => Ok(()),
        () = signals.received(2) => Err(Failure::plain(Exit::Other, "stopped at once, on the second signal")),
    }
}

/// Development is on one machine, with keys beside the data.
fn refuse_nats(config: &Config, problems: &mut Problems) {
    if let Some(setting) = config.setting(&NATS_SERVERS) {
        let what = "`claviger dev` keeps everything in its data directory; `claviger start` serves a store on NATS";
        problems.add(setting.origin.clone(), format_args!("`{}`: {what}", NATS_SERVERS.path));
    }
}

fn refuse_without_key(config: &Config, arguments: &ServeArgs) -> Result<(), Failure> {
    match config.nats() {
        Some(_) => Err(store::no_master_key(store::NATS_NEEDS_KEY)),
        None if arguments.allow_dev_key => Ok(()),
        None => refuse_exposed(config.listen()),
    }
}

/// They were overwritten as early as possible, and yet others could see them for a moment.
fn warn_of_passwords(config: &Config) {
    let is_flag = config.setting(&NATS_SERVERS).is_some_and(|setting| matches!(setting.origin, Origin::Flag(_)));
    if is_flag && config.nats().is_some_and(|nats| nats.servers.iter().any(Endpoint::has_login)) {
        say("warning: a login among the arguments can be seen by other users and stays in the shell's history");
        say(format_args!("hint: give the addresses with {}, or in a file with `--config`", NATS_SERVERS.variable()));
    }
}

/// A development key lies beside the data: it must not guard what others can reach.
fn refuse_exposed(listen: SocketAddr) -> Result<(), Failure> {
    if listen.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("no master key is set, and {listen} can be reached from other machines");
    Err(Failure::new(Exit::Usage, "dev_key_exposed", message)
        .hint("set one: export CLAVIGER_MASTER_KEY=$(openssl rand -hex 32)")
        .hint("or say `--allow-dev-key`: whoever has the data directory then has the secrets"))
}

fn not_bound(error: &claviger_server::Error) -> Failure {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let reason = source.map(|source| format!(": {}", crate::config::reason(source))).unwrap_or_default();
    Failure::plain(Exit::Other, format!("{error}{reason}")).hint("`--listen 127.0.0.1:0` picks a free port")
}

//! The JetStream streams: making them, and checking those that were there.

use std::{fmt::Display, time::Duration};

use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType};

use super::{
    connection::NatsConnection,
    fault::{Attempt, Fault, code},
    names::Names,
};
use crate::{Error, MAX_RECORD_BYTES, Result, Stream};

/// How long a message id is known.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Copies of a stream, where the servers are a cluster and nothing else was asked for.
const REPLICAS: usize = 3;

/// JetStream drops the oldest record of a subject of a key-value bucket, unasked and unnoted, when there
/// are more than this. Retention drops them long before.
const BUCKET_HISTORY: i64 = 1_000_000;

/// What the leader says about the stream, if there is one. Whether it is as it has to be was not looked at.
pub(super) async fn find(connection: &NatsConnection, names: &Names) -> Result<Option<Info>> {
    connection.find(&names.stream).await.map_err(|fault| explain(connection, names, fault))
}

/// Makes the stream, if it is not there.
pub(super) async fn find_or_make(
    connection: &NatsConnection,
    stream: Stream,
    names: &Names,
    replicas: Option<usize>,
) -> Result<Info> {
    match find(connection, names).await? {
        Some(found) => Ok(found),
        None => {
            let made = make(connection, stream, names, replicas).await;
            made.map_err(|fault| explain(connection, names, fault))
        }
    }
}

fn explain(connection: &NatsConnection, names: &Names, fault: Fault) -> Error {
    match fault.code() {
        // Nothing that trying again would help.
        Some(_) if !fault.is_passing() => {
            Error::Unsuitable { what: format!("the stream `{}` cannot be made: {fault}", names.stream) }
        }
        _ => connection.explain(fault),
    }
}

async fn make(connection: &NatsConnection, stream: Stream, names: &Names, replicas: Option<usize>) -> Attempt<Info> {
    let made = create(connection, &wanted(stream, names, replicas.unwrap_or(REPLICAS))).await;
    match made.as_ref().err().and_then(Fault::code) {
        Some(code::NO_REPLICAS) if replicas.is_none() => create(connection, &wanted(stream, names, 1)).await,
        _ => made,
    }
}

/// Another server may make it at the same time: it is there then.
async fn create(connection: &NatsConnection, config: &Config) -> Attempt<Info> {
    match connection.ask(&format!("STREAM.CREATE.{}", config.name), config).await {
        Err(fault) if fault.code() == Some(code::STREAM_EXISTS) => connection.info(&config.name).await,
        made => made,
    }
}

fn wanted(stream: Stream, names: &Names, replicas: usize) -> Config {
    Config {
        name: names.stream.clone(),
        description: Some(format!("Claviger: {stream}")),
        subjects: names.subjects(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::New,
        num_replicas: replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: if stream == Stream::Secrets { BUCKET_HISTORY } else { -1 },
        max_age: stream.retention().max_age.unwrap_or_default(),
        max_message_size: -1,
        max_consumers: -1,
        duplicate_window: DUPLICATE_WINDOW,
        allow_rollup: true,
        allow_direct: true,
        ..Config::default()
    }
}

/// Whether a stream is as it has to be. How many copies it has, where, and on which storage is up to the
/// operator, and so are limits that say no when they are reached.
pub(super) fn check(stream: Stream, names: &Names, found: &Config) -> Result<()> {
    let setting = Setting { stream: &names.stream };
    let (mut subjects, mut wanted) = (found.subjects.clone(), names.subjects());
    subjects.sort();
    wanted.sort();
    setting.is("subjects", subjects.join(", "), subjects == wanted, wanted.join(", "))?;
    let retention = found.retention == RetentionPolicy::Limits;
    setting.is("retention", format!("{:?}", found.retention).to_lowercase(), retention, "limits")?;
    setting.is("discard", "old", found.discard == DiscardPolicy::New, "new")?;
    setting.is("discard_new_per_subject", "true", !found.discard_new_per_subject, "false")?;
    setting.is("deny_delete", "true", !found.deny_delete, "false")?;
    setting.is("sealed", "true", !found.sealed, "false")?;
    setting.is("no_ack", "true", !found.no_ack, "false")?;
    setting.is("allow_rollup_hdrs", "false", found.allow_rollup, "true")?;
    setting.is("allow_direct", "false", found.allow_direct, "true")?;
    setting.is("persist_mode", "async", found.persist_mode != Some(PersistenceMode::Async), "default")?;
    let is_plain = found.mirror.is_none() && found.sources.as_ref().is_none_or(Vec::is_empty);
    setting.is(
        "mirror or sources",
        "set",
        is_plain && found.subject_transform.is_none(),
        "not set, and no transform",
    )?;
    let window = found.duplicate_window;
    setting.is(
        "duplicate_window",
        format!("{window:?}"),
        window >= DUPLICATE_WINDOW,
        format!("{DUPLICATE_WINDOW:?}"),
    )?;
    let size = found.max_message_size;
    let fits = size <= 0 || usize::try_from(size).is_ok_and(|size| size > MAX_RECORD_BYTES + 4096);
    setting.is("max_msg_size", size, fits, "-1")?;
    check_drops(stream, &setting, found)
}

/// What JetStream drops by itself, nobody is told about.
fn check_drops(stream: Stream, setting: &Setting<'_>, found: &Config) -> Result<()> {
    let retention = stream.retention();
    let longest = retention.max_age.unwrap_or_default();
    let keeps = found.max_age.is_zero() || (!longest.is_zero() && found.max_age >= longest);
    let wanted = if longest.is_zero() { "0".to_owned() } else { format!("{longest:?} at least") };
    setting.is("max_age", format!("{:?}", found.max_age), keeps, wanted)?;
    let history = found.max_messages_per_subject;
    let least = retention.last_per_subject.map(|keep| i64::from(keep) * 4);
    let keeps = history <= 0 || least.is_some_and(|least| history >= least);
    let wanted = least.map_or("-1".to_owned(), |least| format!("-1, or {least} at least"));
    setting.is("max_msgs_per_subject", history, keeps, wanted)
}

struct Setting<'a> {
    stream: &'a str,
}

impl Setting<'_> {
    fn is(&self, name: &str, found: impl Display, is_good: bool, wanted: impl Display) -> Result<()> {
        if is_good {
            return Ok(());
        }
        let what = format!("`{name}` of the stream `{}` is {found}, and has to be {wanted}", self.stream);
        Err(Error::Unsuitable { what })
    }
}

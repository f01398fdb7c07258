//! Whether a store is new, or one whose streams have to be there.
//!
//! The incarnation is drawn when all streams have been made. So where there is one, a stream that is absent was lost,
//! and to make it anew would be to say that nothing was ever in it. The keyring's stream, which has the incarnation,
//! is made first and written to first: where it is absent or empty and another one is not, it was lost.

use std::time::Duration;

use async_nats::jetstream::stream::Info;
use claviger_core::Incarnation;
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::{connection::NatsConnection, incarnation, names::Names, pause::jitter, streams};
use crate::{Error, Result, Stream};

/// How long what looks lost is looked at: leaders may be changing, or the store is being made just now.
const LOOKED_FOR: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is there of a store.
enum Seen {
    /// A store that was completed.
    Whole(Incarnation),
    /// Nothing, or a store that is being made.
    New,
    /// Streams that must have had a keyring.
    WithoutKeyring,
}

/// Looks at a store without changing anything. `None`: it is to be made, as far as it is not there.
///
/// # Errors
/// [`Error::Gone`] when there is less than there was, or another life than the known one.
pub(super) async fn check(connection: &NatsConnection, known: Option<Incarnation>) -> Result<Option<Incarnation>> {
    let until = Instant::now() + LOOKED_FOR;
    loop {
        // A look may take long itself while leaders are chosen. The one that decides begins when all that time is over.
        let began = Instant::now();
        let seen = look(connection).await?;
        match (&seen, known) {
            (Seen::Whole(life), None) => return Ok(Some(*life)),
            (Seen::Whole(life), Some(known)) if *life == known => return Ok(Some(*life)),
            (Seen::New, None) => return Ok(None),
            _ if began >= until => return Err(gone(connection, &seen)),
            _ => sleep(jitter(LOOK_EVERY)).await,
        }
    }
}

/// A stream of a store that was completed.
///
/// # Errors
/// [`Error::Gone`] when it is absent.
pub(super) async fn find(connection: &NatsConnection, names: &Names) -> Result<Info> {
    let until = Instant::now() + LOOKED_FOR;
    loop {
        match streams::find(connection, names).await? {
            Some(info) => return Ok(info),
            None if Instant::now() >= until => {
                let what = format!("the store `{}` has lost its stream `{}`", connection.name(), names.stream);
                return Err(Error::Gone { what });
            }
            None => sleep(jitter(LOOK_EVERY)).await,
        }
    }
}

async fn look(connection: &NatsConnection) -> Result<Seen> {
    if let (_, Some(incarnation)) = look_at_keyring(connection).await? {
        return Ok(Seen::Whole(incarnation));
    }
    let others = Stream::ALL.into_iter().filter(|&stream| stream != Stream::Keyring);
    let others = others.map(async |stream| streams::find(connection, &Names::of(connection.name(), stream)).await);
    let others = try_join_all(others).await?;
    let mut others = others.iter().flatten();
    // After the others: what they have now was preceded by something in the keyring, whoever is making them.
    let keyring = match look_at_keyring(connection).await? {
        (_, Some(incarnation)) => return Ok(Seen::Whole(incarnation)),
        (keyring, None) => keyring,
    };
    let is_lost = match keyring {
        None => others.next().is_some(),
        Some(keyring) if keyring.state.last_sequence == 0 => others.any(|other| other.state.last_sequence > 0),
        // Whoever took the incarnation out of it wanted another life.
        Some(_) => false,
    };
    Ok(if is_lost { Seen::WithoutKeyring } else { Seen::New })
}

/// The keyring's stream, and the incarnation in it.
async fn look_at_keyring(connection: &NatsConnection) -> Result<(Option<Info>, Option<Incarnation>)> {
    let keyring = streams::find(connection, &Names::of(connection.name(), Stream::Keyring)).await?;
    let incarnation = if keyring.is_some() { incarnation::find(connection).await? } else { None };
    Ok((keyring, incarnation))
}

fn gone(connection: &NatsConnection, seen: &Seen) -> Error {
    let name = connection.name();
    let keyring = Names::of(name, Stream::Keyring).stream;
    let what = match seen {
        Seen::Whole(_) => format!("the store `{name}` is not the one that this server's index is about"),
        Seen::New => {
            format!("the store that this server's index is about is gone: the stream `{keyring}` is not there, or new")
        }
        Seen::WithoutKeyring => format!("the store `{name}` has lost what was in its stream `{keyring}`"),
    };
    Error::Gone { what }
}

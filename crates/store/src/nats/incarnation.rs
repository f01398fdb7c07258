//! Which life of the store this is.

use claviger_core::Incarnation;

use super::{
    api::Which,
    connection::NatsConnection,
    names::{Control, Names},
    pause::random,
    write::{KeptBefore, Write},
};
use crate::{Error, Expected, Result, Stream};

/// The store's incarnation. `None` when none has been drawn: then not all of its streams have been made yet.
pub(super) async fn find(connection: &NatsConnection) -> Result<Option<Incarnation>> {
    let names = Names::of(connection.name(), Stream::Keyring);
    let which = Which::LastOf(names.control(Control::Incarnation));
    let Some(kept) = connection.get(&names.stream, &which).await? else { return Ok(None) };
    let number = std::str::from_utf8(&kept.bytes).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    let number = number.ok_or(Error::Damaged { what: "the incarnation is not one" })?;
    Ok(Some(Incarnation(number)))
}

/// The store's incarnation, drawn if there is none yet: of servers that draw at the same time, one wins. To be
/// called when all streams are there: whoever finds an incarnation takes it for the sign of that.
pub(super) async fn find_or_draw(connection: &NatsConnection) -> Result<Incarnation> {
    let names = Names::of(connection.name(), Stream::Keyring);
    loop {
        if let Some(incarnation) = find(connection).await? {
            return Ok(incarnation);
        }
        let drawn = Write {
            stream: names.stream.clone(),
            subject: names.control(Control::Incarnation),
            bytes: Incarnation(random()).to_string().into(),
            expected: Expected::Absent,
            message_id: connection.fresh_id(),
            kept: KeptBefore::Stay,
        };
        match drawn.run(connection).await {
            Ok(_) | Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

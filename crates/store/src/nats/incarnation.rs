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

/// The store's incarnation, drawn if there is none yet: of servers that draw at the same time, one wins.
pub(super) async fn find(connection: &NatsConnection) -> Result<Incarnation> {
    let names = Names::of(connection.name(), Stream::Keyring);
    let which = Which::LastOf(names.control(Control::Incarnation));
    loop {
        if let Some(kept) = connection.get(&names.stream, &which).await? {
            let number = std::str::from_utf8(&kept.bytes).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            let number = number.ok_or(Error::Damaged { what: "the incarnation is not one" })?;
            return Ok(Incarnation(number));
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

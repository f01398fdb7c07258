//! A secret on the wire.

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use claviger_core::{Scope, SecretName, SecretValue};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    actor::{Actor, Holder},
    app::App,
    id,
};

/// Room for the members of a row that are not counted one by one.
const ROW_ROOM: usize = 512;
/// The most bytes that one byte of text takes in JSON: `\u0000`.
const ESCAPED: usize = 6;

/// A row of a list.
pub(super) struct Row<'a> {
    pub(super) scope: &'a Scope,
    pub(super) name: &'a SecretName,
    /// Accepted although too short to be masked.
    pub(super) is_unmaskable: bool,
    /// `None` for whoever is not to see it.
    pub(super) value: Option<&'a SecretValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    environment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    space_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unmaskable: bool,
}

#[derive(Serialize)]
struct Rows<'a> {
    data: Vec<Written<'a>>,
}

impl<'a> Row<'a> {
    fn written(&self, app: &App) -> Written<'a> {
        let Holder { space, actor } = Holder::of(self.scope);
        Written {
            id: app.ids.give_out(self.scope, self.name),
            name: self.name.as_str(),
            // The one place where a value goes into an answer. One that is no text has no form here.
            value: self.value.and_then(|value| std::str::from_utf8(value.expose()).ok()),
            environment_id: id::of_environment(&self.scope.environment),
            space_id: space.map(|space| id::of_space(&self.scope.environment, &space)),
            actor_id: actor.as_ref().map(Actor::id).map(str::to_owned),
            unmaskable: self.is_unmaskable,
        }
    }

    /// What listeners are told of a change: everything but the value.
    pub(super) fn payload(&self, app: &App) -> serde_json::Value {
        serde_json::to_value(Row { value: None, ..*self }.written(app)).unwrap_or_default()
    }

    fn room(&self) -> usize {
        let value = self.value.map_or(0, SecretValue::len);
        ROW_ROOM + ESCAPED * (value + self.name.as_str().len())
    }
}

/// The response with these rows, in a buffer that is wiped and need not grow: growing leaves copies behind.
pub(super) fn answer(app: &App, rows: &[Row<'_>]) -> Response {
    let room: usize = rows.iter().map(Row::room).sum();
    let mut body = Zeroizing::new(Vec::with_capacity(ROW_ROOM + room));
    // Plain structs with text keys: encoding them cannot fail.
    let _ = serde_json::to_writer(&mut *body, &Rows { data: rows.iter().map(|row| row.written(app)).collect() });
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (headers, Body::from(Bytes::from_owner(body))).into_response()
}

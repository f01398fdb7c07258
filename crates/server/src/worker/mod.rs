//! Worker sessions: the WebSocket side of `claviger_engine::runtime`. The frames are in `spec/worker-protocol.md`.

mod decode;
mod encode;
mod inbound;
mod outbound;
mod session;

pub(crate) use session::run;

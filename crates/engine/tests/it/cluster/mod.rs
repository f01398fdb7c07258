//! Several servers on one store that is shared in earnest: barriers take revisions, reads may be behind, tails may be silent.

mod access;
mod bootstrap;
mod events;
mod loss;
mod nats;
mod node;
mod reads;
mod spaces;

//! The runtime against workers driven by hand.

mod cable;
mod crashes;
mod faults;
mod nats;
mod nodes;
mod reseal;
mod runs;
mod sealed;
mod secrets;
mod steps;
mod stress;
mod world;

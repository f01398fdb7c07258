//! The runtime against workers driven by hand.

mod cable;
mod crashes;
mod faults;
mod lookups;
mod lookups_on_nodes;
mod nats;
mod nodes;
mod reseal;
mod runs;
mod sealed;
mod secrets;
mod spaces;
mod steps;
mod stress;
mod world;

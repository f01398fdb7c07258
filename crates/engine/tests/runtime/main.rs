//! The runtime against workers driven by hand.

mod cable;
mod crashes;
mod faults;
mod reseal;
mod runs;
mod secrets;
mod steps;
mod stress;
mod world;

//! The runtime against workers driven by hand.

mod cable;
mod crashes;
mod reseal;
mod runs;
mod secrets;
mod steps;
mod world;

//! Events: what is emitted arrives, in order, where it may, and nothing goes missing in silence.

mod boundaries;
mod delivery;
mod emitting;
mod gaps;
mod interleavings;
mod recent;
mod rig;
mod spaces;
mod system;

//! Claviger on NATS: real nats-servers, several servers of ours on one store.

mod durability;
mod faults;
mod full;
mod guide;
mod losses;
mod refusals;
mod rig;
mod session;
mod starting;

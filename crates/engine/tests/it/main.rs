//! The engine as its users see it, over real backends.

mod access;
mod attacks;
mod audit;
mod canary;
mod cluster;
mod damage;
mod events;
mod fuzz;
mod model;
mod sealed;
mod several_servers;
mod spaces;
mod spaces_vault;
mod support;
mod vault;

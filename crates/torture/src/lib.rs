//! The torture run: clients that record what they did and were told while servers are killed and cut off, and a checker
//! that says whether a correct vault could have told them that.
//!
//! [`check`] is a pure function from a [history](Operation) and [`Rules`] to [`Violation`]s.

#![forbid(unsafe_code)]

mod checker;
mod history;
mod load;
mod random;

pub use checker::{Fault, Rules, Violation, check};
pub use history::{Action, Consistency, Operation, Outcome};
pub use load::{Client, Load, Recorder, value_of};
pub use random::Random;

//! What was wrong, for people.

use std::{fmt, sync::Arc};

use crate::Operation;

/// A promise that was broken, shown by as few operations as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two answers about one secret cannot both be true, whatever else happened.
    Contradiction {
        /// The one that came first.
        earlier: Box<Operation>,
        /// The other one.
        later: Box<Operation>,
    },
    /// No order of a secret's operations explains what clients were told.
    NoOrder {
        /// The secret.
        secret: Arc<str>,
        /// The answers that cannot all be true.
        answers: Vec<Operation>,
        /// How many other changes had been asked for. Whether and when each of them happened was left open, so none of
        /// them explains it.
        others: usize,
        /// How the secret stands after as many of the answers as can be explained.
        reached: String,
    },
    /// Two changes whose revisions do not follow time.
    OutOfOrder {
        /// The one that had ended first.
        earlier: Box<Operation>,
        /// The other one.
        later: Box<Operation>,
    },
    /// Whether there is an order would take too long to find out.
    Undecided {
        /// The secret.
        secret: Arc<str>,
        /// How many operations it had.
        operations: usize,
    },
}

impl Violation {
    pub(super) fn out_of_order(one: &Operation, other: &Operation) -> Violation {
        let (earlier, later) = if one.began <= other.began { (one, other) } else { (other, one) };
        Violation::OutOfOrder { earlier: Box::new(earlier.clone()), later: Box::new(later.clone()) }
    }

    /// How many operations show it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Violation::NoOrder { answers, others, .. } => answers.len() + others,
            Violation::Contradiction { .. } | Violation::OutOfOrder { .. } => 2,
            Violation::Undecided { operations, .. } => *operations,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Contradiction { earlier, later } => {
                writeln!(f, "secret {}: these answers contradict each other", earlier.secret)?;
                write!(f, "  {earlier}\n  {later}")
            }
            Violation::NoOrder { secret, answers, others, reached } => {
                writeln!(f, "secret {secret}: no order of these explains all answers")?;
                answers.iter().try_for_each(|answer| writeln!(f, "  {answer}"))?;
                if *others > 0 {
                    writeln!(f, "  and {others} more changes were asked for, each of which may have happened or not")?;
                }
                write!(f, "  as far as it can be explained, the secret is: {reached}")
            }
            Violation::OutOfOrder { earlier, later } => {
                writeln!(f, "revisions do not follow time")?;
                writeln!(f, "  {earlier}  ({})", earlier.secret)?;
                write!(f, "  {later}  ({})", later.secret)
            }
            Violation::Undecided { secret, operations } => {
                write!(f, "secret {secret}: {operations} operations, and too many orders to look at")
            }
        }
    }
}

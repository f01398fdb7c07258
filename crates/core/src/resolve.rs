//! What a name means in a scope.

use crate::Scope;

/// What one scope has to say about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds a value, of this version.
    Value(u64),
    /// It blocks the name: look no further.
    Blocked,
    /// It says nothing.
    Missing,
}

/// One scope that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The scope.
    pub scope: Scope,
    /// Its answer.
    pub verdict: Verdict,
}

/// What a name means: the scope and version that win, if any, and the trail that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The winner.
    pub found: Option<(Scope, u64)>,
    /// The scopes asked, innermost first, ending with the one that decided.
    pub trail: Vec<Tried>,
}

/// Asks the scopes from the innermost outward until one decides. A value wins, also an empty one; a
/// block ends the search with nothing; a missing name goes on outward.
#[must_use]
pub fn resolve(from: &Scope, mut ask: impl FnMut(&Scope) -> Verdict) -> Resolution {
    let mut trail = Vec::new();
    for scope in from.chain() {
        let verdict = ask(&scope);
        trail.push(Tried { scope: scope.clone(), verdict });
        match verdict {
            Verdict::Value(version) => return Resolution { found: Some((scope, version)), trail },
            Verdict::Blocked => return Resolution { found: None, trail },
            Verdict::Missing => {}
        }
    }
    Resolution { found: None, trail }
}

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

impl Verdict {
    /// Whether the search ends here: with a value, also an empty one, or with a block.
    #[must_use]
    pub fn decides(self) -> bool {
        match self {
            Verdict::Value(_) | Verdict::Blocked => true,
            Verdict::Missing => false,
        }
    }
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

/// Asks a scope and those around it, from the innermost outward, until one decides. A value wins, also an empty one; a
/// block ends the search with nothing; a missing name goes on outward.
#[must_use]
pub fn resolve(from: &Scope, ask: impl FnMut(&Scope) -> Verdict) -> Resolution {
    resolve_among(&from.chain(), ask)
}

/// The same for scopes that are given, the innermost first.
#[must_use]
pub fn resolve_among(scopes: &[Scope], mut ask: impl FnMut(&Scope) -> Verdict) -> Resolution {
    let mut trail = Vec::with_capacity(scopes.len());
    for scope in scopes {
        let verdict = ask(scope);
        trail.push(Tried { scope: scope.clone(), verdict });
        if verdict.decides() {
            break;
        }
    }
    let found = trail.last().and_then(|last: &Tried| match last.verdict {
        Verdict::Value(version) => Some((last.scope.clone(), version)),
        Verdict::Blocked | Verdict::Missing => None,
    });
    Resolution { found, trail }
}

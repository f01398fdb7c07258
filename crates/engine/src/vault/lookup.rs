//! One secret by name, for a listener that has a job.

use claviger_core::{Caller, FunctionId, Permission, Scope, SecretName, run::RunId};

use super::{
    Vault,
    deliver::{Prepared, Recipient, words},
};
use crate::Error;

/// Which job looks up which secret.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// Where it is looked for.
    pub scope: &'a Scope,
    /// Where the job's run is.
    pub home: &'a Scope,
    /// The function.
    pub function: &'a FunctionId,
    /// The run.
    pub run: RunId,
    /// The secret's name.
    pub name: &'a SecretName,
}

impl Vault {
    /// Finds out what a look-up would receive. Nothing is delivered when nothing wins there, and also when the caller's
    /// bounds do not cover it: whoever looks cannot tell the two apart, but the audit of the job's environment says which.
    ///
    /// # Errors
    /// [`Error::Denied`] when the caller receives no values, does not serve the function, or is not for the space of its job;
    /// [`Error::EnvironmentNotFound`] when that is about the job's own environment, [`Error::Corrupt`], [`Error::TimedOut`]
    /// when nobody can tell within five seconds whether the space is still there, and what the store says.
    pub async fn prepare_lookup(&self, caller: &Caller, lookup: Lookup<'_>) -> Result<Prepared, Error> {
        let Lookup { scope, home, function, run, name } = lookup;
        self.authorize_job(caller, home, function).await?;
        let recipient = Recipient::Job { function: function.clone(), run, home: home.environment.clone() };
        let mut prepared = Prepared::new(caller, &scope.environment, recipient);
        if let Some(bound) = self.bound(caller, lookup) {
            let what = format!("the look-up of `{name}`: {bound}");
            self.access.refuse(caller, Permission::SecretReceive, Some(&home.environment), Some(what)).await;
            return Ok(prepared);
        }
        let resolved = vec![self.resolve(&self.chain(scope).await?, name).await?];
        self.found(resolved).await?.into_iter().flatten().for_each(|found| prepared.add(found));
        Ok(prepared)
    }

    /// What keeps the caller from receiving it, wherever it is.
    fn bound(&self, caller: &Caller, lookup: Lookup<'_>) -> Option<String> {
        let Lookup { scope, home, name, .. } = lookup;
        let (environment, space) = (&scope.environment, scope.space.as_ref());
        if *environment != home.environment && !self.reaches(caller, scope) {
            return Some(format!("it is not for the environment `{environment}`, or there is none of that name"));
        }
        if !caller.reaches_space(space) {
            return Some(format!("it is not for {}", words(space)));
        }
        (!caller.may_receive(name)).then(|| "it is not for secrets of that name".to_owned())
    }

    fn reaches(&self, caller: &Caller, scope: &Scope) -> bool {
        caller.reaches(&scope.environment) && self.access.known_environments().contains(&scope.environment)
    }
}

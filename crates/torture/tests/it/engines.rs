//! Engines in this process, asked like servers.

use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::{Revision, Scope, SecretName, SecretValue, secret::Action as Made};
use claviger_crypto::MasterKey;
use claviger_engine::{
    Engine, Error, Names, Parts, WallClock,
    access::system_caller,
    vault::{SetSecret, Short},
};
use claviger_store::{Ledger, MemoryIndex, MemoryQueue};
use claviger_torture::{Action, Client, Consistency, Outcome};

/// A server without HTTP.
pub(crate) struct InProcess(Engine);

impl InProcess {
    /// Starts an engine on a ledger.
    pub(crate) async fn start(ledger: Arc<dyn Ledger>) -> InProcess {
        let parts = Parts {
            ledger,
            queue: Arc::new(MemoryQueue::new()),
            index: Arc::new(MemoryIndex::new()),
            master: MasterKey::from_hex(&mut b"ab".repeat(32)).expect("a key"),
            clock: Arc::new(WallClock),
            names: Names::Plain,
        };
        InProcess(Engine::open(parts).await.expect("an engine"))
    }

    async fn set(&self, name: &SecretName, expected: Option<u64>, value: &str) -> Result<Outcome, Error> {
        let value = SecretValue::new(value.as_bytes().to_vec());
        let expected = expected.map(Revision);
        let set = SetSecret { value, description: None, short: Short::Refuse, expected };
        let done = self.0.vault().set(&system_caller(), &scope(), name, set).await?;
        Ok(Outcome::Set {
            revision: done.secret.revision.0,
            version: done.secret.secret.latest,
            created: done.action == Made::Created,
        })
    }

    async fn delete(&self, name: &SecretName, expected: Option<u64>) -> Result<Outcome, Error> {
        let done = self.0.vault().delete(&system_caller(), &scope(), name, expected.map(Revision)).await?;
        Ok(Outcome::Deleted { revision: done.revision.0, version: done.secret.latest })
    }

    async fn read(&self, name: &SecretName, consistency: Consistency) -> Result<Outcome, Error> {
        if consistency == Consistency::Strong {
            self.0.vault().catch_up(&system_caller(), &scope()).await?;
        }
        let found = self.0.vault().describe(&system_caller(), &scope(), name).await?.secret;
        Ok(Outcome::Found { revision: found.revision.0, version: found.secret.active.expect("it is set") })
    }
}

#[async_trait]
impl Client for InProcess {
    async fn ask(&self, secret: &str, action: Action, value: &str) -> Outcome {
        let name = secret.parse().expect("a name");
        let answer = match action {
            Action::Set { expected } => self.set(&name, expected, value).await,
            Action::Delete { expected } => self.delete(&name, expected).await,
            Action::Read(consistency) => self.read(&name, consistency).await,
        };
        match answer {
            Ok(outcome) => outcome,
            Err(Error::SecretNotFound) => Outcome::NotSet,
            Err(Error::RevisionConflict { current }) => Outcome::Conflict { current: current.0 },
            // A ledger that lost something is found out by the engine too; what counts here is what clients were told.
            Err(_) => Outcome::Unknown,
        }
    }
}

fn scope() -> Scope {
    Scope::environment("default".parse().expect("an environment"))
}

//! Leaves the development key: the whole store moves to new keys under the master key, before anything is served.

use std::sync::Arc;

use claviger_crypto::MasterKey;
use claviger_engine::{Error, Reseal};
use claviger_store::SqliteLedger;

use crate::{failure::Failure, master_key::DevelopmentKey, terminal::say};

/// What the operator should know afterwards.
const WARNING: &str = "the store has new keys under the master key, and the development key was destroyed; a copy of the \
                       data directory that was made before still opens with it: set the secrets of such a copy again, \
                       and replace its API keys";

/// Moves a store from its development key to the master key and destroys the former. Nothing is lost however it is
/// interrupted: the next start does what is left. Answers a warning when there was a development key.
///
/// # Errors
/// `wrong_master_key` when the store has neither key, `store_corrupt` when a record is damaged, and what the store says.
/// Then nothing was changed.
pub(super) async fn leave_development(
    ledger: &Arc<SqliteLedger>,
    development: &DevelopmentKey,
    master: &MasterKey,
) -> Result<Option<String>, Failure> {
    if !development.exists() {
        return Ok(None);
    }
    let former = development.read()?;
    if let Some(reseal) = Reseal::plan(&**ledger, former.as_ref(), master).await? {
        renew(ledger, reseal).await.map_err(unchanged)?;
    }
    // Also when an earlier start came only as far as here: what the former keys open must not stay in the files.
    ledger.scrub().await?;
    development.destroy()?;
    Ok(Some(WARNING.to_owned()))
}

async fn renew(ledger: &SqliteLedger, reseal: Reseal) -> Result<(), Error> {
    let mut progress = Progress::start(ledger.count().await?);
    ledger
        .rewrite(move |stream, record| {
            progress.advance();
            reseal.record(stream, record)
        })
        .await
}

fn unchanged(error: Error) -> Failure {
    Failure::from(error)
        .hint("nothing was changed: the store still opens with its development key, without a master key")
}

/// Says how far it has come, ten times.
struct Progress {
    done: u64,
    total: u64,
}

impl Progress {
    fn start(total: u64) -> Progress {
        say(format_args!("claviger moves the store to the master key records={total}"));
        Progress { done: 0, total }
    }

    fn advance(&mut self) {
        let tenth = |done| done * 10 / self.total.max(1);
        if tenth(self.done + 1) > tenth(self.done) {
            say(format_args!("claviger moves the store to the master key done={}0%", tenth(self.done + 1)));
        }
        self.done += 1;
    }
}

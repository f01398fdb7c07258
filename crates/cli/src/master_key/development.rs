//! The key that stands in for a master key while none is set. It lies beside the data, so it protects nothing from whoever
//! has the directory.

use std::path::PathBuf;

use claviger_crypto::MasterKey;

use super::invalid;
use crate::{
    config::reason,
    data_dir::DataDir,
    failure::{Exit, Failure},
    private_file::{self, Others},
};

const FILE: &str = "dev-master.key";

/// The place of the development key.
#[derive(Debug)]
pub(crate) struct DevelopmentKey {
    path: PathBuf,
}

impl DevelopmentKey {
    /// The one of a data directory, whether it is there or not.
    pub(crate) fn of(data: &DataDir) -> DevelopmentKey {
        DevelopmentKey { path: data.file(FILE) }
    }

    /// Whether it is there.
    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Reads it. `None` when it is not there, or was being destroyed when the process died: it is overwritten with zeros
    /// before it is removed.
    ///
    /// # Errors
    /// `invalid_master_key`, `data_directory_mode`, and what the system says.
    pub(crate) fn read(&self) -> Result<Option<MasterKey>, Failure> {
        if !self.exists() {
            return Ok(None);
        }
        let mut bytes = private_file::read(&self.path, Others::Nobody)?;
        if bytes.contains(&0) {
            return Ok(None);
        }
        MasterKey::from_hex(&mut bytes).map(Some).map_err(|error| invalid(&error, FILE))
    }

    /// Draws a key and writes it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn create(&self) -> Result<MasterKey, Failure> {
        let key = MasterKey::generate();
        private_file::write(&self.path, key.to_hex().as_bytes()).map_err(|error| self.failure("written", &error))?;
        Ok(key)
    }

    /// Overwrites and removes it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn destroy(&self) -> Result<(), Failure> {
        private_file::destroy(&self.path).map_err(|error| self.failure("destroyed", &error))
    }

    fn failure(&self, what: &str, error: &std::io::Error) -> Failure {
        Failure::plain(Exit::Other, format!("`{}` cannot be {what}: {}", self.path.display(), reason(error)))
    }
}

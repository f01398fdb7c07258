//! Finds the master key: exactly one source, or the development key.

mod development;

use std::{
    env,
    path::{Path, PathBuf},
};

use claviger_crypto::{MasterKey, MasterKeyError};
use zeroize::Zeroizing;

pub(crate) use self::development::DevelopmentKey;
use crate::{
    config::{Config, MASTER_KEY_FILE},
    failure::{Exit, Failure},
    private_file::{self, Others},
};

/// The variable that holds the key itself.
pub(crate) const VARIABLE: &std::ffi::CStr = c"CLAVIGER_MASTER_KEY";

const FILE_VARIABLE: &str = "CLAVIGER_MASTER_KEY_FILE";
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const CREDENTIAL: &str = "claviger.master_key";

/// A place where a master key was given.
struct Source {
    /// As people know it.
    name: String,
    place: Place,
}

enum Place {
    Bytes(Zeroizing<Vec<u8>>),
    File(PathBuf),
}

/// Reads the master key from the one source that is set; `None` when none is.
///
/// # Errors
/// `master_key_conflict` when there are two, `invalid_master_key` when it is no key, `data_directory_mode` when others can
/// read its file.
pub(crate) fn find(variable: Option<Zeroizing<Vec<u8>>>, config: &Config) -> Result<Option<MasterKey>, Failure> {
    let mut sources = sources(variable, config);
    if sources.len() > 1 {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let message = format!("the master key is given more than once: by {}", names.join(" and by "));
        return Err(Failure::new(Exit::Usage, "master_key_conflict", message).hint("keep one and remove the others"));
    }
    sources.pop().map(read).transpose()
}

/// The sources beside the configuration, each as people may see it, with its name.
pub(crate) fn shown(variable: Option<Zeroizing<Vec<u8>>>) -> Vec<(String, String)> {
    let place = |place: &Place| match place {
        Place::Bytes(_) => "(not shown)".to_owned(),
        Place::File(path) => path.display().to_string(),
    };
    beside_config(variable).map(|source| (place(&source.place), source.name)).collect()
}

fn sources(variable: Option<Zeroizing<Vec<u8>>>, config: &Config) -> Vec<Source> {
    let by_config = config.path(&MASTER_KEY_FILE).map(|path| {
        let origin = config.setting(&MASTER_KEY_FILE).map(|setting| setting.origin.to_string()).unwrap_or_default();
        file(format!("[vault] master_key_file ({origin})"), path.to_owned())
    });
    beside_config(variable).chain(by_config).collect()
}

fn beside_config(variable: Option<Zeroizing<Vec<u8>>>) -> impl Iterator<Item = Source> {
    let named = |variable: &str| env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let by_variable =
        variable.map(|bytes| Source { name: "CLAVIGER_MASTER_KEY".to_owned(), place: Place::Bytes(bytes) });
    let by_file = named(FILE_VARIABLE).map(|path| file(FILE_VARIABLE.to_owned(), path));
    let credential =
        named(CREDENTIALS_VARIABLE).map(|directory| directory.join(CREDENTIAL)).filter(|path| path.exists());
    let by_credential = credential.map(|path| file(format!("the credential {CREDENTIAL}"), path));
    [by_variable, by_file, by_credential].into_iter().flatten()
}

fn file(name: String, path: PathBuf) -> Source {
    Source { name, place: Place::File(path) }
}

fn read(source: Source) -> Result<MasterKey, Failure> {
    let mut bytes = match source.place {
        Place::Bytes(bytes) => bytes,
        Place::File(path) => read_file(&path)?,
    };
    MasterKey::from_hex(&mut bytes).map_err(|error| invalid(&error, &source.name))
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    private_file::read(path, Others::GroupReads)
}

fn invalid(error: &MasterKeyError, name: &str) -> Failure {
    Failure::new(Exit::Usage, "invalid_master_key", format!("{error}, in {name}"))
        .hint("make one with `openssl rand -hex 32`")
}

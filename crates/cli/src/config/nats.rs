//! The section `[nats]`: what it says when it is whole, and what of it does not fit together.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    Config, Endpoint, KEYS, Key, NATS_SERVERS, Origin, Problems, SQLITE_PATH, Value,
    key::{
        NATS_CA, NATS_CERTIFICATE, NATS_CREDENTIALS, NATS_KEY, NATS_MONITOR, NATS_NAME, NATS_REPLICAS, NATS_REQUIRE,
        NATS_SEAL_NAMES,
    },
};

/// What every stream's name begins with when nothing says otherwise.
const DEFAULT_NAME: &str = "claviger";

/// A store on NATS.
#[derive(Clone, Debug)]
pub(crate) struct Nats {
    /// At least one.
    pub(crate) servers: Vec<Endpoint>,
    /// A JWT and its seed.
    pub(crate) credentials_file: Option<PathBuf>,
    /// What every stream's name begins with.
    pub(crate) name: String,
    /// For streams that are made now.
    pub(crate) replicas: Option<usize>,
    /// Whether the server refuses to start on a store that may lose what it acknowledged.
    pub(crate) is_durability_required: bool,
    /// Whether names are sealed, too.
    pub(crate) are_names_sealed: bool,
    /// Where the NATS servers tell of themselves.
    pub(crate) monitor: Vec<Endpoint>,
    /// Who signs the NATS servers' certificates, if not those whom the system trusts.
    pub(crate) ca_file: Option<PathBuf>,
    /// The certificate to show to the NATS servers, and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

impl Config {
    /// The store on NATS, if that is where everything is kept.
    pub(crate) fn nats(&self) -> Option<Nats> {
        let owned = |key: &Key| self.path(key).map(Path::to_owned);
        Some(Nats {
            servers: self.endpoints(&NATS_SERVERS)?,
            credentials_file: owned(&NATS_CREDENTIALS),
            name: match self.value(&NATS_NAME) {
                Some(Value::Text(name)) => name.clone(),
                _ => DEFAULT_NAME.to_owned(),
            },
            replicas: match self.value(&NATS_REPLICAS) {
                Some(Value::Number(number)) => Some(*number),
                _ => None,
            },
            is_durability_required: self.value(&NATS_REQUIRE).is_some(),
            are_names_sealed: self.value(&NATS_SEAL_NAMES) == Some(&Value::Switch(true)),
            monitor: self.endpoints(&NATS_MONITOR).unwrap_or_default(),
            ca_file: owned(&NATS_CA),
            identity: owned(&NATS_CERTIFICATE).zip(owned(&NATS_KEY)),
        })
    }

    fn endpoints(&self, key: &Key) -> Option<Vec<Endpoint>> {
        match self.value(key)? {
            Value::Endpoints(endpoints) => Some(endpoints.clone()),
            _ => None,
        }
    }

    fn value(&self, key: &Key) -> Option<&Value> {
        self.setting(key).map(|setting| &setting.value)
    }
}

/// Adds what does not fit together.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    // Where the servers themselves are wrong, that is enough.
    let are_servers_wrong = problems.has(&NATS_SERVERS);
    let mut add = |key: &Key, what: String| {
        if let Some(setting) = config.setting(key) {
            problems.add(setting.origin.clone(), format_args!("`{}`: {what}", key.path));
        }
    };
    let Some(nats) = config.nats() else {
        let of_nats = KEYS.iter().filter(|key| key.parts().0 == NATS_SERVERS.parts().0 && !are_servers_wrong);
        of_nats.for_each(|key| add(key, format!("has no meaning without `{}`", NATS_SERVERS.path)));
        return;
    };
    add(&SQLITE_PATH, format!("has no meaning with `{}`", NATS_SERVERS.path));
    if nats.identity.is_none() {
        add(&NATS_CERTIFICATE, format!("needs `{}`", NATS_KEY.path));
        add(&NATS_KEY, format!("needs `{}`", NATS_CERTIFICATE.path));
    }
    if nats.servers.iter().any(Endpoint::has_login) {
        add(&NATS_CREDENTIALS, format!("`{}` has a login already", NATS_SERVERS.path));
        if config.setting(&NATS_SERVERS).is_some_and(|setting| is_open_to_others(&setting.origin)) {
            add(&NATS_SERVERS, "has a login, and others can read this file: chmod 600".to_owned());
        }
    }
}

/// Whether others than the owner and the group can read where it stands.
fn is_open_to_others(origin: &Origin) -> bool {
    match origin {
        Origin::File { path, .. } => fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o007 != 0),
        _ => false,
    }
}

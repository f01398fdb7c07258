//! The API key of a command: a variable, or the file that `claviger dev` made on this machine. Never an argument.

use std::{env, path::Path};

use claviger_crypto::ApiKey;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use crate::{
    failure::{Exit, Failure},
    private_file::{self, Others},
};

const VARIABLE: &str = "CLAVIGER_API_KEY";

/// The file that `claviger dev` writes for the command line.
const FILE: &str = "admin.key";

/// An API key, checked as far as that can be done here.
pub(super) struct Key {
    key: ApiKey,
    /// Whether the variable holds it.
    pub(super) is_of_variable: bool,
}

impl Key {
    /// The environment that its text names.
    pub(super) fn environment(&self) -> &str {
        self.key.environment()
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.key.reveal().as_str()));
        // Its alphabet is one of headers, so this never is the empty one.
        let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}

/// Finds the key. The file is for servers on this machine only.
pub(super) fn find(data: &Path, is_loopback: bool) -> Result<Option<Key>, Failure> {
    if let Some(text) = env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
        let text = Zeroizing::new(text.into_encoded_bytes());
        let key = parse(&text, VARIABLE)?;
        return Ok(Some(Key { key, is_of_variable: true }));
    }
    let path = data.join(FILE);
    if !is_loopback || !path.exists() {
        return Ok(None);
    }
    let text = private_file::read(&path, Others::Nobody)?;
    let key = parse(&text, &format!("`{}`", path.display()))?;
    Ok(Some(Key { key, is_of_variable: false }))
}

fn parse(text: &[u8], origin: &str) -> Result<ApiKey, Failure> {
    let text = std::str::from_utf8(text).unwrap_or_default().trim_end_matches(['\r', '\n']);
    ApiKey::parse(text).map_err(|error| Failure::new(Exit::Denied, "invalid_api_key", format!("{error}, in {origin}")))
}

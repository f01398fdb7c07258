//! An operator with one account, and credentials files for its users: NATS' decentralized authentication.

use std::{
    fmt, fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Signs credentials. Servers that know the operator believe them.
pub struct Operator {
    directory: TempDir,
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
}

impl Operator {
    /// A new operator.
    ///
    /// # Errors
    /// When the system gives no directory.
    pub fn new() -> Result<Operator> {
        Ok(Operator {
            directory: TempDir::new()?,
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
        })
    }

    /// The credentials file of a new user, valid for so long (whole seconds), or for ever.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn credentials(&self, valid_for: Option<Duration>) -> Result<PathBuf> {
        let user = KeyPair::new_user();
        let rights =
            json!({ "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2 });
        let mut claims = claims(&user, rights);
        if let Some(valid_for) = valid_for {
            // In whole seconds, of which the last counts: none left means that it is over, not that it is about to be.
            let last = since_epoch() + valid_for.as_secs();
            claims["exp"] = json!(if valid_for.is_zero() { last - 2 } else { last });
        }
        let token = sign(&self.account, claims)?;
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            user.seed()?
        );
        let path = self.directory.path().join(format!("{}.creds", user.public_key()));
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Lines of a server's configuration.
    pub(crate) fn lines(&self) -> Result<String> {
        let system = self.system.public_key();
        let operator = claims(&self.operator, json!({ "type": "operator", "version": 2, "system_account": system }));
        let storage = json!({ "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1 });
        Ok(format!(
            "operator: {}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload {{\n  {system}: {}\n  {}: {}\n}}\n",
            sign(&self.operator, operator)?,
            sign(&self.operator, claims(&self.system, account(json!({}))))?,
            self.account.public_key(),
            sign(&self.operator, claims(&self.account, account(storage)))?,
        ))
    }
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operator").field("id", &self.operator.public_key()).finish_non_exhaustive()
    }
}

/// An account's rights, with more limits than the usual.
fn account(mut limits: Value) -> Value {
    for unlimited in ["subs", "data", "payload", "imports", "exports", "conn", "leaf"] {
        limits[unlimited] = json!(-1);
    }
    limits["wildcards"] = json!(true);
    let permissions = json!({ "pub": {}, "sub": {} });
    json!({ "limits": limits, "default_permissions": permissions, "type": "account", "version": 2 })
}

fn claims(subject: &KeyPair, rights: Value) -> Value {
    json!({ "sub": subject.public_key(), "name": "testbed", "nats": rights })
}

/// A token as RFC 7519, in NATS' variant: claims signed by the holder of the key above.
fn sign(issuer: &KeyPair, mut claims: Value) -> Result<String> {
    claims["iss"] = json!(issuer.public_key());
    claims["iat"] = json!(since_epoch());
    claims["jti"] = claims["sub"].clone();
    let head = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let signature = issuer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", encode(&signature)))
}

/// Seconds.
fn since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

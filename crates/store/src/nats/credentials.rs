//! The credentials file of NATS.

use std::{path::PathBuf, sync::Arc};

use async_nats::{Auth, AuthError};
use nkeys::KeyPair;

/// Answers a server's challenge with what the file holds now.
pub(super) async fn answer(path: Arc<PathBuf>, nonce: Vec<u8>) -> Result<Auth, AuthError> {
    let text = tokio::fs::read_to_string(&*path).await.map_err(|_| AuthError::new("the file cannot be read"))?;
    let mut parts = parts(&text);
    let (token, seed) = parts.next().zip(parts.next()).ok_or_else(|| AuthError::new("the file is not complete"))?;
    let key = KeyPair::from_seed(seed).map_err(|_| AuthError::new("the key in the file is not one"))?;
    let signature = key.sign(&nonce).map_err(|_| AuthError::new("the key in the file does not sign"))?;
    let mut auth = Auth::new();
    auth.jwt = Some(token.to_owned());
    auth.signature = Some(signature);
    Ok(auth)
}

/// What stands between the lines of hyphens: the user's token, then the seed of its key.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let is_fence = |line: &&str| line.starts_with("---");
    let mut lines = text.lines().map(str::trim);
    std::iter::from_fn(move || {
        lines.by_ref().find(is_fence)?;
        let part = lines.by_ref().find(|line| !line.is_empty())?;
        lines.by_ref().find(is_fence)?;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_found() {
        let text = "-----BEGIN NATS USER JWT-----\r\nabc.d-e\r\n------END NATS USER JWT------\r\n\nwords\n\n\
                    -----BEGIN USER NKEY SEED-----\nSUAX\n------END USER NKEY SEED------\n";
        assert_eq!(parts(text).collect::<Vec<_>>(), ["abc.d-e", "SUAX"]);
    }

    #[test]
    fn an_unfinished_file_has_fewer() {
        assert_eq!(parts("-----BEGIN NATS USER JWT-----\nabc\n").count(), 0);
        assert_eq!(parts("").count(), 0);
    }
}

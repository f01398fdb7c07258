//! The login that may stand in the address of a server. The client does not look there itself.

use async_nats::{ConnectOptions, ServerAddr};

use crate::{Error, Result};

/// A user with a password, or a token. Not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    Password { user: String, password: String },
    Token(String),
}

impl Login {
    /// Logs in so at every server.
    pub(super) fn apply(self, options: ConnectOptions) -> ConnectOptions {
        match self {
            Login::Password { user, password } => options.user_and_password(user, password),
            Login::Token(token) => options.token(token),
        }
    }
}

/// Takes the login out of the addresses.
///
/// # Errors
/// [`Error::Unsuitable`] when there are two: one is used at every server.
pub(super) fn take(addresses: Vec<ServerAddr>) -> Result<(Vec<ServerAddr>, Option<Login>)> {
    let unsuitable = |what: &str| Error::Unsuitable { what: what.to_owned() };
    let mut found: Option<Login> = None;
    let mut bare = Vec::new();
    for address in addresses {
        let mut url = address.into_inner();
        let login = match (url.username(), url.password()) {
            ("", None) => None,
            (token, None) => Some(Login::Token(decoded(token))),
            (user, Some(password)) => Some(Login::Password { user: decoded(user), password: decoded(password) }),
        };
        if found.is_some() && login.is_some() && found != login {
            return Err(unsuitable("the addresses of the NATS servers have different logins"));
        }
        found = found.or(login);
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        let address = stripped.ok().and_then(|()| ServerAddr::from_url(url).ok());
        bare.push(address.ok_or_else(|| unsuitable("the address of a NATS server has no host"))?);
    }
    Ok((bare, found))
}

/// Percent-encoded characters as they are (RFC 3986, section 2.1).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(texts: &[&str]) -> Result<(Vec<String>, Option<Login>)> {
        let (bare, login) = take(texts.iter().map(|text| text.parse().unwrap()).collect())?;
        Ok((bare.into_iter().map(|address| address.into_inner().to_string()).collect(), login))
    }

    #[test]
    fn the_login_is_taken_out_and_decoded() {
        let (bare, login) = taken(&["nats://ada:p%40ss%3Aw%2Frd%20%25@a:1", "nats://b:2"]).unwrap();
        assert_eq!(bare, ["nats://a:1", "nats://b:2"]);
        let password = "p@ss:w/rd %".to_owned();
        assert!(login == Some(Login::Password { user: "ada".to_owned(), password }));
        assert!(taken(&["tls://a%2Fb@a"]).unwrap().1 == Some(Login::Token("a/b".to_owned())));
        assert!(taken(&["nats://a"]).unwrap().1.is_none());
    }

    #[test]
    fn two_logins_are_one_too_many() {
        assert!(taken(&["nats://ada:a@a", "nats://ada:a@b"]).is_ok());
        assert!(matches!(taken(&["nats://ada:a@a", "nats://ada:b@b"]), Err(Error::Unsuitable { .. })));
    }

    #[test]
    fn what_is_no_code_stays() {
        assert_eq!([decoded("50%"), decoded("%zz"), decoded("%4"), decoded("")], ["50%", "%zz", "%4", ""]);
    }
}

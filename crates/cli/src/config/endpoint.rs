//! Addresses of NATS servers and of their monitoring. The login that may stand in one is shown to nobody.

use std::fmt;

use reqwest::Url;

/// Stands in the place of a login.
const HIDDEN: &str = "***@";

/// An address. `Display` and `Debug` hide its login.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

/// What an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// `nats://` or `tls://`
    Nats,
    /// `http://` or `https://`
    Monitoring,
}

impl Service {
    fn schemes(self) -> [&'static str; 2] {
        match self {
            Service::Nats => ["nats", "tls"],
            Service::Monitoring => ["http", "https"],
        }
    }

    fn example(self) -> &'static str {
        match self {
            Service::Nats => "nats://127.0.0.1:4222",
            Service::Monitoring => "http://127.0.0.1:8222",
        }
    }
}

impl Endpoint {
    /// Reads a list. A member without a scheme is reached as the one before it, with the same login: `nats://ada:pw@a,b,c`.
    ///
    /// # Errors
    /// Which members are none, by their number: what cannot be read may hold a password.
    pub(super) fn list<'t>(texts: impl Iterator<Item = &'t str>, service: Service) -> Result<Vec<Endpoint>, String> {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        let mut wrong = Vec::new();
        let mut before = format!("{}://", service.schemes()[0]);
        for (number, text) in (1..).zip(texts) {
            let whole = if text.contains("://") { text.to_owned() } else { format!("{before}{text}") };
            match parse(&whole, service) {
                Some(endpoint) => {
                    before = whole[..host_at(&whole)].to_owned();
                    endpoints.push(endpoint);
                }
                None => wrong.push(number.to_string()),
            }
        }
        match wrong.as_slice() {
            [] if endpoints.is_empty() => Err("is empty".to_owned()),
            [] => Ok(endpoints),
            [one] => Err(format!("member {one} is not an address such as `{}`", service.example())),
            more => Err(format!("members {} are not addresses such as `{}`", more.join(", "), service.example())),
        }
    }

    /// The whole address, with its login.
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }

    /// Whether a login stands in it.
    pub(crate) fn has_login(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }
}

fn parse(text: &str, service: Service) -> Option<Endpoint> {
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    (service.schemes().contains(&url.scheme()) && is_plain && has_host).then_some(Endpoint(url))
}

/// Where the host begins: after the scheme, and after a login.
fn host_at(url: &str) -> usize {
    let start = url.find("://").map_or(0, |at| at + 3);
    url[start..].rfind('@').map_or(start, |at| start + at + 1)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str().trim_end_matches('/');
        let start = text.find("://").map_or(0, |at| at + 3);
        let hidden = if self.has_login() { HIDDEN } else { "" };
        write!(f, "{}{hidden}{}", &text[..start], &text[host_at(text)..])
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nats(text: &str) -> Result<Vec<Endpoint>, String> {
        Endpoint::list(text.split(','), Service::Nats)
    }

    #[test]
    fn members_are_reached_as_the_one_before_them() {
        let texts = |list: &[Endpoint]| list.iter().map(|each| each.url().to_string()).collect::<Vec<_>>();
        assert_eq!(texts(&nats("nats://a,b:4,c").unwrap()), ["nats://a", "nats://b:4", "nats://c"]);
        assert_eq!(texts(&nats("a:1,tls://b,c").unwrap()), ["nats://a:1", "tls://b", "tls://c"]);
        let expected = ["nats://ada:pw@a", "nats://ada:pw@b:1", "tls://c", "tls://[::1]:2"];
        assert_eq!(texts(&nats("nats://ada:pw@a,b:1,tls://c,[::1]:2").unwrap()), expected);
    }

    #[test]
    fn a_login_is_not_shown() {
        for text in ["nats://ada:canary@a:1", "nats://canary@a:1", "nats://:canary@a:1"] {
            let endpoint = nats(text).unwrap().remove(0);
            assert_eq!((endpoint.to_string(), endpoint.has_login()), ("nats://***@a:1".to_owned(), true));
            assert!(!format!("{endpoint:?}").contains("canary"));
        }
        assert_eq!(nats("tls://a").unwrap()[0].to_string(), "tls://a");
    }

    #[test]
    fn what_is_no_address_is_named_by_its_number() {
        for (text, problem) in [
            ("http://canary@a", "member 1 is not an address such as `nats://127.0.0.1:4222`"),
            (
                "nats://a,ws://canary@b,nats://c/canary",
                "members 2, 3 are not addresses such as `nats://127.0.0.1:4222`",
            ),
            ("nats://ada:canary@", "member 1 is not an address such as `nats://127.0.0.1:4222`"),
            ("nats://a:canary", "member 1 is not an address such as `nats://127.0.0.1:4222`"),
        ] {
            assert_eq!(nats(text).unwrap_err(), problem, "{text}");
        }
        assert_eq!(Endpoint::list([].into_iter(), Service::Monitoring).unwrap_err(), "is empty");
    }
}

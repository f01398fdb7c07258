//! Who is let in, and what is said to those who are not.

use std::{sync::Arc, time::Duration};

use claviger_core::ErrorKind;
use claviger_store::{Error, Ledger, NatsLedger, NatsOptions, Result};
use claviger_testbed::{Access, NatsServer, Operator, ServerOptions, Tls};

use super::house::{self, append, in_time};

async fn server(access: Access, tls: Option<Arc<Tls>>) -> NatsServer {
    NatsServer::start(ServerOptions { access, tls, ..ServerOptions::default() }).await.unwrap()
}

/// The text of an error and of all that caused it.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(" {error}");
        source = error.source();
    }
    text
}

async fn refused(options: NatsOptions) -> Error {
    let connected: Result<NatsLedger> = in_time(NatsLedger::connect(options)).await;
    connected.err().expect("it is refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_lets_in_and_is_in_no_error() {
    let access = Access::Password { user: "claviger".to_owned(), password: "canary-3f1c".to_owned() };
    let server = server(access, None).await;
    let with = |user: &str| {
        let urls = [server.url().replace("://", &format!("://{user}@"))];
        NatsOptions { name: house::name(), ..NatsOptions::new(urls) }
    };
    let ledger = NatsLedger::connect(with("claviger:canary-3f1c")).await.unwrap();
    append(&ledger, "a", b"x").await.unwrap();
    for options in [with("claviger:wrong-canary"), house::options(server.urls())] {
        assert!(!format!("{options:?}").contains("canary"));
        let error = refused(options).await;
        assert!(matches!(error, Error::Credentials { what: "the server rejects them" }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!chain(&error).contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_lets_in_until_it_expires_and_again_when_it_is_renewed() {
    let operator = Arc::new(Operator::new().unwrap());
    let server = server(Access::Operator(operator.clone()), None).await;
    let credentials = operator.credentials(Some(Duration::from_secs(3))).unwrap();
    let options = NatsOptions { credentials: Some(credentials.clone()), ..house::options(server.urls()) };
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    append(&ledger, "a", b"x").await.unwrap();
    house::until(async || matches!(ledger.trouble(), Some(Error::Credentials { .. }))).await;
    assert!(matches!(ledger.trouble(), Some(Error::Credentials { what: "they have expired" })));
    let error = append(&ledger, "a", b"y").await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { source: Some(_) }) && chain(&error).contains("they have expired"));
    assert!(matches!(refused(options).await, Error::Credentials { .. }));
    // The file is read again for the next connection.
    std::fs::copy(operator.credentials(None).unwrap(), &credentials).unwrap();
    house::until(async || ledger.trouble().is_none()).await;
    append(&ledger, "a", b"z").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_that_is_none_is_said_to_be_one() {
    let operator = Arc::new(Operator::new().unwrap());
    let server = server(Access::Operator(operator.clone()), None).await;
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none.creds");
    std::fs::write(&none, "SUANOTASEEDcanary").unwrap();
    let stranger = Operator::new().unwrap();
    for (path, wanted) in [
        (none, "the credentials file cannot be used"),
        (directory.path().join("absent.creds"), "the credentials file cannot be used"),
        (stranger.credentials(None).unwrap(), "the server rejects them"),
    ] {
        let error = refused(NatsOptions { credentials: Some(path), ..house::options(server.urls()) }).await;
        assert!(chain(&error).contains(wanted), "{error:?}");
        assert!(!chain(&error).contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked_on_both_sides() {
    let tls = Arc::new(Tls::mutual().unwrap());
    let files = tls.client_files();
    let server = server(Access::Open, Some(tls.clone())).await;
    let options = NatsOptions {
        ca: Some(files.authority.clone()),
        client_certificate: Some((files.certificate, files.key)),
        ..house::options(server.urls())
    };
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    append(&ledger, "a", b"x").await.unwrap();
    let stranger = Tls::new().unwrap();
    for options in [
        NatsOptions { ca: None, ..options.clone() },
        NatsOptions { ca: Some(stranger.client_files().authority), ..options.clone() },
        NatsOptions { client_certificate: None, ..options },
    ] {
        let error = refused(options).await;
        assert!(matches!(error, Error::Unsuitable { .. } | Error::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_server_is_no_wait() {
    let server = server(Access::Open, None).await;
    let urls = server.urls();
    drop(server);
    assert!(matches!(refused(NatsOptions::new(urls)).await, Error::Unavailable { .. }));
}

//! One server.

use std::{sync::Arc, time::Duration};

use async_nats::ConnectOptions;
use claviger_testbed::{Access, NatsServer, Operator, ServerOptions, StandIn, SyncInterval, Tls};
use serde_json::json;

use crate::support::{PATIENCE, connect, publish, published, stream};

#[tokio::test]
async fn killed_and_started_again_it_keeps_its_address_and_its_streams() {
    let options = ServerOptions { sync: SyncInterval::Always, ..ServerOptions::default() };
    let server = NatsServer::start(options).await.unwrap();
    let client = connect(ConnectOptions::new(), &server.urls()).await;
    let context = stream(&client, 1).await;
    assert_eq!(published(&context).await, 1);
    server.kill();
    assert_eq!(publish(&context).await, None);
    assert!(server.ready().await.is_err());
    server.restart().await.unwrap();
    server.ready().await.unwrap();
    // What was sent while it was down may have been stored too.
    assert!(published(&context).await > 1);
    assert_eq!(server.monitor("/jsz").await.unwrap()["config"]["sync_always"], true);
}

#[tokio::test]
async fn a_paused_server_says_nothing_until_it_goes_on() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    server.pause().unwrap();
    assert!(server.monitor("/varz").await.is_err());
    server.resume().unwrap();
    server.ready().await.unwrap();
}

#[tokio::test]
async fn an_operator_asks_it_and_sets_it_up_anew() {
    let server = NatsServer::start(ServerOptions::default()).await.unwrap();
    let made = server.jetstream("STREAM.CREATE.s", &json!({ "name": "s", "subjects": ["s"] })).await.unwrap();
    assert_eq!(made["config"]["name"], "s");
    let refused = server.jetstream("STREAM.INFO.none", &json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("stream not found"), "{refused}");
    server.configure(&ServerOptions { max_file_store: Some(1 << 20), ..ServerOptions::default() }).unwrap();
    server.restart().await.unwrap();
    server.ready().await.unwrap();
    assert_eq!(server.monitor("/jsz").await.unwrap()["config"]["max_storage"], 1 << 20);
    server.jetstream("STREAM.INFO.s", &json!({})).await.unwrap();
    assert!(server.store().is_dir());
}

#[tokio::test]
async fn one_of_another_version_only_looks_like_a_server() {
    let server = StandIn::start("2.11.9").await.unwrap();
    let client = connect(ConnectOptions::new(), &[server.url()]).await;
    assert_eq!(client.server_info().version, "2.11.9");
    client.flush().await.unwrap();
    assert!(server.heard().contains(&"CONNECT".to_owned()), "{:?}", server.heard());
    assert!(client.request("$JS.API.INFO", "".into()).await.is_err());
    assert!(server.heard().contains(&"PUB".to_owned()), "{:?}", server.heard());
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_why() {
    let options = ServerOptions { more: "no_such_setting: true\n".to_owned(), ..ServerOptions::default() };
    let error = NatsServer::start(options).await.err().expect("no server").to_string();
    assert!(error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn clients_need_the_authority_and_where_it_is_asked_for_a_certificate() {
    for tls in [Tls::new().unwrap(), Tls::mutual().unwrap()].map(Arc::new) {
        let options = ServerOptions { tls: Some(tls.clone()), ..ServerOptions::default() };
        let server = NatsServer::start(options).await.unwrap();
        let files = tls.client_files();
        let known = ConnectOptions::new()
            .require_tls(true)
            .add_root_certificates(files.authority)
            .add_client_certificate(files.certificate, files.key);
        published(&stream(&connect(known, &server.urls()).await, 1).await).await;
        assert!(ConnectOptions::new().require_tls(true).connect(server.url()).await.is_err());
    }
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let access = Access::Password { user: "u".to_owned(), password: "p".to_owned() };
    let server = NatsServer::start(ServerOptions { access, ..ServerOptions::default() }).await.unwrap();
    assert!(async_nats::connect(server.url()).await.is_err());
    connect(ConnectOptions::with_user_and_password("u".to_owned(), "p".to_owned()), &server.urls()).await;
}

#[tokio::test]
async fn credentials_are_valid_for_as_long_as_they_say() {
    let operator = Arc::new(Operator::new().unwrap());
    let access = Access::Operator(operator.clone());
    let server = NatsServer::start(ServerOptions { access, ..ServerOptions::default() }).await.unwrap();
    assert!(async_nats::connect(server.url()).await.is_err());
    let file = operator.credentials(None).unwrap();
    let options = ConnectOptions::with_credentials_file(file).await.unwrap();
    published(&stream(&connect(options, &server.urls()).await, 1).await).await;

    let file = operator.credentials(Some(Duration::from_secs(2))).unwrap();
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let options = ConnectOptions::with_credentials_file(file).await.unwrap().event_callback(move |event| {
        let _ = said.send(event);
        async {}
    });
    let _client = connect(options, &server.urls()).await;
    let expired = async {
        loop {
            if heard.recv().await.expect("an event") == async_nats::Event::Disconnected {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, expired).await.expect("in time");
}

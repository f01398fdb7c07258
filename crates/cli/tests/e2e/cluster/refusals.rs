//! What keeps a node from starting, each with its code and exit status, and never with a password.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use claviger_testbed::{Access, Operator, ServerOptions, StandIn, Tls};
use reqwest::{Method, StatusCode};

use super::rig::{always, node, one};
use crate::support::{Api, ServerPlan, eventually};

const PASSWORD: &str = "canary-of-the-nats-password";

/// Has to be refused so.
async fn refused(plan: &ServerPlan, status: i32, code: &str) -> String {
    let (found, said) = plan.refused().await;
    assert_eq!(found, status, "{said}");
    assert!(said.contains(&format!("({code})")), "`{code}` is not in: {said}");
    assert!(!said.contains(PASSWORD), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_master_key_or_a_server_no_node_starts() {
    let nobody = ["nats://127.0.0.1:9".to_owned()];
    let keyless = ServerPlan::nats(&nobody);
    let said = refused(&keyless, 6, "no_master_key").await;
    assert!(said.contains("hint: give it with CLAVIGER_MASTER_KEY"), "{said}");
    assert!(!keyless.data().exists(), "nothing was made");

    let said = refused(&node(&[format!("nats://ada:{PASSWORD}@127.0.0.1:9")]), 8, "store_unreachable").await;
    assert!(said.contains("`nats://***@127.0.0.1:9`"), "{said}");
    assert!(said.contains("warning: a login among the arguments"), "{said}");
    let mut bootstrap = node(&nobody).bootstrap();
    assert_eq!(bootstrap.ended().await.code(), Some(8), "{:?}", bootstrap.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_apart_and_not_shown() {
    let access = Access::Password { user: "ada".to_owned(), password: "right".to_owned() };
    let nats = one(ServerOptions { access, ..always() }).await;
    let url = |login: &str| [format!("nats://{login}127.0.0.1:{}", nats.port())];
    refused(&node(&url(&format!("ada:{PASSWORD}@"))), 3, "store_credentials").await;
    refused(&node(&url("")), 3, "store_credentials").await;
    let server = node(&url("ada:right@")).start().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_with_special_characters_is_written_as_in_any_url() {
    let access = Access::Password { user: "ada".to_owned(), password: "p@ss:w/rd %".to_owned() };
    let nats = one(ServerOptions { access, ..always() }).await;
    let server = node(&[format!("nats://ada:p%40ss%3Aw%2Frd%20%25@127.0.0.1:{}", nats.port())]).start().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_files_are_private_and_expire() {
    let operator = Arc::new(Operator::new().expect("an operator"));
    let nats = one(ServerOptions { access: Access::Operator(operator.clone()), ..always() }).await;
    let with = |file: &Path| node(&nats.urls()).argument("--nats-creds").argument(file);
    let lasting = operator.credentials(None).expect("credentials");
    fs::set_permissions(&lasting, fs::Permissions::from_mode(0o644)).expect("a mode");
    let said = refused(&with(&lasting), 1, "data_directory_mode").await;
    assert!(said.contains(&format!("hint: chmod 600 {}", lasting.display())), "{said}");
    fs::set_permissions(&lasting, fs::Permissions::from_mode(0o600)).expect("a mode");
    let server = with(&lasting).start().await;
    server.stop().await;
    let expired = operator.credentials(Some(Duration::ZERO)).expect("credentials");
    fs::set_permissions(&expired, fs::Permissions::from_mode(0o600)).expect("a mode");
    refused(&with(&expired), 3, "store_credentials").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_are_told_of_and_can_be_replaced_while_the_node_runs() {
    let operator = Arc::new(Operator::new().expect("an operator"));
    let nats = one(ServerOptions { access: Access::Operator(operator.clone()), ..always() }).await;
    let short = operator.credentials(Some(Duration::from_secs(5))).expect("credentials");
    fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).expect("a mode");
    let server = node(&nats.urls()).argument("--nats-creds").argument(&short).start().await;
    let api = Api::new(&server.api, "");
    let is = |wanted: StatusCode| {
        let api = api.clone();
        move || {
            let api = api.clone();
            async move { (api.answer(api.request(Method::GET, "/readyz")).await.0 == wanted).then_some(()) }
        }
    };
    eventually("the credentials have expired", is(StatusCode::SERVICE_UNAVAILABLE)).await;
    server.process.stderr.line("does not accept the credentials: they have expired").await;
    let lasting = operator.credentials(None).expect("credentials");
    fs::copy(lasting, &short).expect("a copy");
    eventually("the node is ready again", is(StatusCode::OK)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_works_and_its_lack_is_refused() {
    let tls = Arc::new(Tls::mutual().expect("certificates"));
    let nats = one(ServerOptions { tls: Some(tls.clone()), ..always() }).await;
    let files = tls.client_files();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("a mode");
    let text = |path: &Path| path.to_str().expect("a path").to_owned();
    let trusting = || node(&nats.urls()).variable("CLAVIGER_NATS__CA_FILE", text(&files.authority));
    let whole = trusting()
        .variable("CLAVIGER_NATS__CERT_FILE", text(&files.certificate))
        .variable("CLAVIGER_NATS__KEY_FILE", text(&files.key));
    let server = whole.start().await;
    server.stop().await;
    refused(&node(&nats.urls()), 8, "store_unreachable").await;
    let (status, said) = trusting().refused().await;
    assert!(matches!(status, 3 | 8), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_do_not_share_a_data_directory() {
    let nats = one(always()).await;
    let plan = node(&nats.urls());
    let server = plan.start().await;
    refused(&plan, 5, "store_in_use").await;
    let key = plan.first_key().await;
    assert!(key.starts_with("clv_"), "the first key is made while the server runs");
    server.stop().await;
    plan.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_opens_nothing_and_other_names_are_refused() {
    let nats = one(always()).await;
    node(&nats.urls()).start().await.stop().await;
    let other = ServerPlan::nats(&nats.urls()).variable("CLAVIGER_MASTER_KEY", "ab".repeat(32));
    refused(&other, 6, "wrong_master_key").await;
    refused(&node(&nats.urls()).variable("CLAVIGER_NATS__SEAL_NAMES", "true"), 2, "names_mismatch").await;
    // Under another name it is another store.
    let apart = other.variable("CLAVIGER_NATS__NAME", "apart").variable("CLAVIGER_NATS__SEAL_NAMES", "true");
    apart.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_before_2_12_is_refused_before_anything_is_made() {
    let old = StandIn::start("2.11.9").await.expect("a stand-in");
    let plan = node(&[old.url()]);
    let said = refused(&plan, 1, "store_unsuitable").await;
    assert!(said.contains("error: the NATS server is older than 2.12 (store_unsuitable)"), "{said}");
    let mut bootstrap = plan.bootstrap();
    assert_eq!(bootstrap.ended().await.code(), Some(1), "{:?}", bootstrap.stderr);
    let heard = old.heard();
    assert!(heard.contains(&"CONNECT".to_owned()) && !heard.contains(&"PUB".to_owned()), "{heard:?}");
    assert!(!plan.data().join("index.db").exists());
}

//! What is said of durability is true: of real servers that sync always or later, of one or three.

use claviger_testbed::{NatsCluster, NatsServer, Proxy, Routes, ServerOptions};
use serde_json::{Value, json};

use super::rig::{always, node, one, three};
use crate::support::{Api, Server, ServerPlan, eventually};

/// With the monitoring addresses of the NATS servers.
fn monitored(plan: ServerPlan, monitor: &[String]) -> ServerPlan {
    plan.variable("CLAVIGER_NATS__MONITOR", monitor.join(","))
}

/// Refuses to start on what may lose acknowledged writes.
fn strict(plan: ServerPlan) -> ServerPlan {
    plan.variable("CLAVIGER_NATS__REQUIRE", "durable")
}

async fn ready(server: &Server) -> Value {
    Api::new(&server.api, "").get("/readyz").await
}

/// What is told to an admin key. Without one nothing is named.
async fn told(plan: &ServerPlan, server: &Server) -> Value {
    let told = Api::new(&server.api, &plan.first_key().await).get("/readyz").await;
    let (count, unnamed) = (told["warnings"].as_array().expect("warnings").len(), ready(server).await);
    let counted = if count == 1 { "1 warning, ".to_owned() } else { format!("{count} warnings, ") };
    assert!(unnamed["warnings"][0].as_str().is_some_and(|warning| warning.starts_with(&counted)), "{unnamed}");
    assert!(!unnamed.to_string().contains("node") && !unnamed.to_string().contains("KV_"), "{unnamed}");
    assert_eq!(unnamed["durability"], told["durability"]);
    told
}

fn durability(level: &str, replicas: u32, synced: &str) -> Value {
    json!({ "level": level, "replicas": replicas, "storage": "file", "synced": synced })
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_that_sync_always_are_durable() {
    let nats = three().await;
    let plan = strict(monitored(node(&nats.urls()), &nats.monitor_urls()));
    let server = plan.start().await;
    let told = ready(&server).await;
    assert_eq!(told["durability"], durability("durable", 3, "always"), "{told}");
    assert_eq!(told["warnings"], json!([]), "{told}");
    server.stop().await;
    not_known_of_one_is_not_known(&nats).await;
}

async fn not_known_of_one_is_not_known(nats: &NatsCluster) {
    nats.servers()[2].kill();
    let plan = monitored(node(&nats.urls()), &nats.monitor_urls());
    let server = plan.start().await;
    let told = told(&plan, &server).await;
    assert_eq!(told["durability"], durability("unknown", 3, "unknown"), "{told}");
    let warning = told["warnings"][0].as_str().expect("a warning").to_owned();
    let silent = format!("`{}` does not answer", nats.monitor_urls()[2]);
    assert!(warning.contains("`node3` syncs before acknowledging") && warning.ends_with(&silent), "{warning}");
    assert!(server.process.stderr.text().contains(&warning), "it is in the log, too");
    server.stop().await;
    let (code, said) = strict(plan).refused().await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("(not_durable)") && said.contains(&silent), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_that_sync_later_are_weak() {
    let nats = NatsCluster::start(ServerOptions::default(), Routes::Direct).await.expect("three NATS servers");
    let plan = monitored(node(&nats.urls()), &nats.monitor_urls());
    let server = plan.start().await;
    let told = told(&plan, &server).await;
    assert_eq!(told["durability"], durability("weak", 3, "later"), "{told}");
    for (warning, name) in told["warnings"].as_array().expect("warnings").iter().zip(["node1", "node2", "node3"]) {
        let warning = warning.as_str().expect("text");
        assert!(warning.starts_with(&format!("the NATS server `{name}` syncs its disk every 120 s")), "{warning}");
    }
    server.stop().await;
    let (code, said) = strict(plan).refused().await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("(not_durable)") && said.contains("`sync_interval: always`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_is_weak_however_it_syncs() {
    let nats = one(always()).await;
    let plan = monitored(node(&nats.urls()), &[nats.monitor_url()]);
    let server = plan.start().await;
    let told = told(&plan, &server).await;
    assert_eq!(told["durability"], durability("weak", 1, "always"), "{told}");
    let warning = told["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("`KV_claviger_secrets`") && warning.contains("have one replica only"), "{warning}");
    server.stop().await;
    let (code, said) = strict(plan).refused().await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("(not_durable)") && said.contains("have one replica only"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_from_its_store_is_not_ready() {
    let nats = one(always()).await;
    let proxy = Proxy::start(nats.port()).await.expect("a proxy");
    let server = node(&[proxy.url()]).start().await;
    assert_eq!(ready(&server).await["status"], "ready");
    let api = Api::new(&server.api, "");
    let is = |status: u16, word: &'static str| {
        let api = api.clone();
        move || {
            let api = api.clone();
            async move {
                let (found, body) = api.answer(api.request(reqwest::Method::GET, "/readyz")).await;
                (found.as_u16() == status && body["status"] == word).then_some(body)
            }
        }
    };
    proxy.cut();
    let told = eventually("it is not ready", is(503, "unavailable")).await;
    assert!(told["warnings"].to_string().contains("the store is not available"), "{told}");
    proxy.heal();
    eventually("it is ready again", is(200, "ready")).await;
    server.stop().await;
    a_killed_server_is_noticed_too(&nats).await;
}

async fn a_killed_server_is_noticed_too(nats: &NatsServer) {
    let server = node(&nats.urls()).start().await;
    nats.kill();
    let api = Api::new(&server.api, "");
    let status = || async {
        let (status, _) = api.answer(api.request(reqwest::Method::GET, "/readyz")).await;
        (status.as_u16() == 503).then_some(())
    };
    eventually("it is not ready", status).await;
}

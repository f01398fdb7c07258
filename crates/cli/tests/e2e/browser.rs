//! `@claviger/browser` in a real browser, on a page of another origin.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    Process, Server, ServerPlan,
    http_server::{HttpServer, Request, Response},
    node, process, root,
};

const PATTERN: &str = "system.secret.*.updated";
const FIRST: &str = "canary-browser-first-5b1f";
const SECOND: &str = "canary-browser-second-77aa";

/// A page with subscriptions, in Chromium.
struct Page {
    process: Process,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_permitted_origin_sees_the_rotation() {
    let site = site().await;
    let server = ServerPlan::dev().argument("--cors-origin").argument(&site.url).start().await;
    let cli = server.cli();
    cli.set("STRIPE_KEY", FIRST).await;
    let key = subscriber(&server, &site.url).await;
    let foreign = subscriber(&server, "https://app.example").await;
    let page = Page::open(
        &site,
        &json!([
            { "label": "permitted", "url": server.api, "apiKey": key, "pattern": PATTERN },
            { "label": "forbidden", "url": server.api, "apiKey": key, "pattern": "payout.>" },
            { "label": "foreign", "url": server.api, "apiKey": foreign, "pattern": PATTERN },
        ]),
    );
    page.told(&json!({ "label": "permitted", "subscribed": true })).await;
    page.told(&json!({ "label": "forbidden", "refused": "denied" })).await;
    page.told(&json!({ "label": "foreign", "refused": "denied" })).await;

    cli.set("STRIPE_KEY", SECOND).await;
    let event = page.event().await;
    assert_eq!(event["name"], "system.secret.STRIPE_KEY.updated", "{event}");
    assert_eq!((&event["data"]["name"], &event["data"]["version"]), (&json!("STRIPE_KEY"), &json!(2)), "{event}");
    let known = page.close().await;
    assert!(known.contains("Secret STRIPE_KEY was rotated!"), "{known}");
    for value in [FIRST, SECOND, &server.admin_key(), &server.runtime_key()] {
        assert!(!known.contains(value), "{known}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_learns_nothing() {
    let (site, server) = tokio::join!(site(), Server::dev());
    let key = subscriber(&server, &site.url).await;
    let page = Page::open(&site, &json!([{ "label": "other", "url": server.api, "apiKey": key, "pattern": PATTERN }]));
    page.process.stdout.line(r#""label":"other","error""#).await;
    let known = page.close().await;
    assert!(!known.contains(r#""subscribed":true"#), "{known}");
}

/// The application's site: a page and the SDK.
async fn site() -> HttpServer {
    node::build_sdk();
    let module = fs::read(node::sdk().join("browser/dist/index.js")).expect("the SDK");
    HttpServer::start(move |request: Request| {
        let module = module.clone();
        async move {
            match request.path.as_str() {
                "/" => file("text/html", b"<!doctype html><title>A page</title><body></body>".to_vec()),
                "/claviger.js" => file("text/javascript", module),
                _ => Response { status: 404, ..file("text/plain", Vec::new()) },
            }
        }
    })
    .await
}

fn file(content_type: &'static str, body: Vec<u8>) -> Response {
    Response { status: 200, content_type, body }
}

/// A key for the page, as an administrator makes one.
async fn subscriber(server: &Server, origin: &str) -> String {
    let arguments = ["apikey", "create", "--role", "subscriber", "--event", PATTERN, "--origin", origin, "--ttl", "1h"];
    server.cli().ok(&arguments).await.trim_end().to_owned()
}

impl Page {
    fn open(site: &HttpServer, subscriptions: &Value) -> Page {
        let mut command = process::command("node");
        command.arg(root().join("tests/browser/page.mjs"));
        command.env("PAGE", &site.url).env("SUBSCRIPTIONS", subscriptions.to_string());
        Page { process: Process::spawn(&mut command) }
    }

    async fn told(&self, line: &Value) {
        self.find("a line", |told| (told == line).then_some(())).await;
    }

    async fn event(&self) -> Value {
        self.find("an event", |told| told.get("event").cloned()).await
    }

    async fn find<T>(&self, what: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        let lines = |text: &str| text.lines().filter_map(|line| pick(&serde_json::from_str(line).ok()?)).next();
        self.process.stdout.find(&format!("{what}, or: {:?}", self.process.stderr), lines).await
    }

    /// Closes it, and answers all that it knew and said.
    async fn close(mut self) -> String {
        self.process.signal(Signal::TERM);
        let status = self.process.ended().await;
        assert!(status.success(), "{status}: {:?}", self.process.stderr);
        let said = self.process.stdout.text();
        assert!(said.contains(r#""knowledge""#), "{said}");
        said
    }
}

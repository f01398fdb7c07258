//! What is refused when it is set up differently.

use async_nats::jetstream::stream::{Config, DiscardPolicy};
use claviger_store::{Error, Filter, Ledger, NatsLedger, NatsOptions, Stream, Subject};
use claviger_testbed::{NatsServer, ServerOptions, StandIn};

use super::house;

async fn refusal(options: NatsOptions) -> String {
    match NatsLedger::connect(options).await.err() {
        Some(Error::Unsuitable { what }) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_made_wrongly_is_named_with_its_setting() {
    type Change = fn(&mut Config);
    let changes: [(&str, Change); 7] = [
        ("subjects", |config| config.subjects.push(format!("{}.more", config.name))),
        ("discard", |config| config.discard = DiscardPolicy::Old),
        ("deny_delete", |config| config.deny_delete = true),
        ("allow_direct", |config| config.allow_direct = false),
        ("allow_rollup_hdrs", |config| config.allow_rollup = false),
        ("max_msgs_per_subject", |config| config.max_messages_per_subject = 5),
        ("duplicate_window", |config| config.duplicate_window = std::time::Duration::from_secs(1)),
    ];
    let server = house::server().await;
    let options = house::options(server.urls());
    NatsLedger::connect(options.clone()).await.unwrap().close().await;
    let client = house::client(&server.urls()).await;
    let name = format!("{}_audit", options.name);
    let good = client.get_stream(&name).await.unwrap().cached_info().config.clone();
    for (setting, change) in changes {
        let mut config = good.clone();
        change(&mut config);
        client.delete_stream(&name).await.unwrap();
        client.create_stream(config).await.unwrap();
        let what = refusal(options.clone()).await;
        assert!(what.contains(&format!("`{setting}`")) && what.contains(&name), "{what}");
    }
    // Limits and copies are the operator's.
    client.delete_stream(&name).await.unwrap();
    client.create_stream(Config { max_bytes: 1_000_000, max_messages: 1000, ..good }).await.unwrap();
    NatsLedger::connect(options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_small_messages_only_is_refused() {
    let more = "max_payload: 65536\n".to_owned();
    let server = NatsServer::start(ServerOptions { more, ..ServerOptions::default() }).await.unwrap();
    let what = refusal(house::options(server.urls())).await;
    assert!(what.contains("`max_payload`") && what.contains("65536"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_server_is_refused_before_anything_is_asked_of_it() {
    for version in ["2.11.9", "2.11.14-RC.1", "2.2.0", "1.4.1"] {
        let server = StandIn::start(version).await.unwrap();
        let what = refusal(NatsOptions::new([server.url()])).await;
        assert_eq!(what, "the NATS server is older than 2.12");
        let heard = server.heard();
        assert!(heard.contains(&"CONNECT".to_owned()), "{heard:?}");
        assert!(!heard.iter().any(|operation| operation.ends_with("PUB")), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_would_leave_their_place_are_refused() {
    let server = house::server().await;
    for name in ["", "a.b", "a>", "*", "a b", "ä", "a_b", "a/b", "$JS", "a\r\nPUB x 0\r\n", &"x".repeat(33)] {
        refusal(NatsOptions { name: name.to_owned(), ..house::options(server.urls()) }).await;
    }
    let refused = [vec![], vec!["nats://user:canary@[".to_owned()], vec!["http://127.0.0.1:1".to_owned()]];
    for servers in refused {
        let what = refusal(NatsOptions::new(servers)).await;
        assert!(!what.contains("canary"));
    }
    refusal(NatsOptions { replicas: Some(0), ..house::options(server.urls()) }).await;
    refusal(NatsOptions { replicas: Some(3), ..house::options(server.urls()) }).await;
}

/// No subject and no id, whatever its letters, is anywhere else than among the subjects of its stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_record_leaves_its_subjects() {
    let server = house::server().await;
    let options = house::options(server.urls());
    let ledger = NatsLedger::connect(options.clone()).await.unwrap();
    let names = ["control.runs.barrier", "_INBOX.x", "=2E=2E", "JS.API.STREAM.DELETE", "-.-", "KV"];
    let ids = ["", "a\r\nNats-Rollup: all", "\0", "ü", "=", "c:", "x y"];
    for name in names {
        for id in ids {
            let message_id = Some(format!("{name}{id}"));
            let entry = claviger_store::Append { message_id, ..house::entry(name, id.as_bytes()) };
            ledger.append(vec![entry]).await.remove(0).unwrap();
        }
    }
    ledger.barrier(Stream::Runs).await.unwrap();
    let mut wanted: Vec<Subject> = names.iter().map(|name| Subject::parse(name).unwrap()).collect();
    wanted.sort();
    assert_eq!(ledger.subjects(Stream::Runs, &Filter::All).await.unwrap(), wanted);
    let client = house::client(&server.urls()).await;
    let runs = client.get_stream(format!("{}_runs", options.name)).await.unwrap();
    assert_eq!(runs.cached_info().state.messages, (names.len() * ids.len()) as u64 + 1, "and the barrier");
}

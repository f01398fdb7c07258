//! Where it is searched.

use std::{
    fs,
    path::{Path, PathBuf},
};

use claviger_testbed::NatsServer;
use reqwest::Method;
use serde_json::Value;

use super::{canaries::Canaries, flatfile, house::House, hunt::Place};
use crate::support::{
    Api, Cli, Process,
    http_server::{HttpServer, Response},
    within,
};

/// What is there while everything runs.
pub(super) async fn while_running(house: &House, canaries: &Canaries) -> Vec<Place> {
    let mut places = stored(house.server.data(), house.nats.as_ref(), When::Running);
    for (role, key) in &house.roles {
        places.push(every_answer(&house.api.with_key(key).apart(), role).await);
        if flatfile::ROLES.contains(role) {
            places.push(flatfile::every_answer(&house.api.with_key(key).apart(), role).await);
        }
    }
    places.extend(of_process("the server", &house.server.process).into_iter().map(Place::without_keys));
    places.extend(of_process("the worker", &house.worker.process));
    places.push(a_command_with_a_value(canaries).await);
    places.push(Place::new("what the command line printed", house.cli.transcript.bytes()).with_control());
    places.push(Place::new("answers", house.api.transcript.bytes()).with_control());
    places.push(Place::new("a subscription", house.stream.bytes()).with_control().without_keys());
    let subscriber = &house.subscriber;
    places.push(Place::new("what `subscribe` printed", subscriber.stdout.bytes()).with_control().without_keys());
    places.push(Place::new("what `subscribe` said", subscriber.stderr.bytes()).without_keys());
    let worker = &house.worker.process;
    places.push(Place::new("the worker's log", worker.stderr.bytes()).with_control().without_keys());
    places.push(Place::new("the worker's output", worker.stdout.bytes()).without_keys());
    places
}

/// What is left when the server has stopped.
pub(super) async fn after_the_end(house: House) -> Vec<Place> {
    let log = house.server.process.stderr.clone();
    let (data, nats) = (house.server.data().to_owned(), house.nats);
    let (_plan, _) = house.server.stop().await;
    let mut places = stored(&data, nats.as_ref(), When::Ended);
    places.push(Place::new("the server's log", log.bytes()).with_control().without_keys());
    places
}

/// When files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Running,
    Ended,
}

/// Every file of the server, and those of NATS where that is the store. The newest records are in a file that shows the
/// control.
fn stored(data: &Path, nats: Option<&NatsServer>, when: When) -> Vec<Place> {
    let Some(nats) = nats else {
        let newest = if when == When::Running { "claviger.db-wal" } else { "claviger.db" };
        let places = files(data, &format!("{when:?}"), |path| path.ends_with(newest));
        assert!(places.iter().any(Place::has_control), "{places:?}");
        return places;
    };
    let mut places = files(data, &format!("{when:?}"), |_| false);
    let of_nats = files(&nats.directory().join("store"), &format!("NATS, {when:?}"), |path| {
        path.extension().is_some_and(|extension| extension == "blk") && path.to_string_lossy().contains("KV_claviger")
    });
    assert!(of_nats.iter().any(Place::has_control), "{of_nats:?}");
    places.extend(of_nats);
    places.push(
        Place::new("the log of NATS", fs::read(nats.directory().join("nats.log")).expect("a log")).without_keys(),
    );
    places
}

/// Every file in the directory. Files of keys may hold keys.
fn files(directory: &Path, when: &str, shows_control: impl Fn(&Path) -> bool) -> Vec<Place> {
    let mut paths = Vec::new();
    collect(directory, &mut paths);
    let place = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let place = Place::new(format!("{}, {when}", path.display()), bytes);
        let place = if shows_control(path) { place.with_control() } else { place };
        if path.extension().is_some_and(|extension| extension == "key") { place } else { place.without_keys() }
    };
    paths.iter().map(place).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// What the system shows of a process.
fn of_process(name: &str, process: &Process) -> Vec<Place> {
    let read = |file: &str| fs::read(format!("/proc/{}/{file}", process.id())).expect("a file of the system");
    vec![
        Place::new(format!("the arguments of {name}"), read("cmdline")),
        Place::new(format!("the environment of {name}"), read("environ")).with_control(),
    ]
}

/// A command that was given a value and now waits for the server.
async fn a_command_with_a_value(canaries: &Canaries) -> Place {
    let arrived = tokio::sync::watch::Sender::new(false);
    let mut arrival = arrived.subscribe();
    let server = HttpServer::start(move |_| {
        arrived.send_replace(true);
        std::future::pending::<Response>()
    })
    .await;
    let cli = Cli::new(&server.url, "");
    let name = format!("ARGUMENT_{}", Canaries::control());
    let process = cli.spawn(&["secret", "set", &name, canaries.argument()]);
    within("a request", arrival.wait_for(|arrived| *arrived)).await.expect("a server");
    let arguments = fs::read(format!("/proc/{}/cmdline", process.id())).expect("a file of the system");
    Place::new("the arguments of a command", arguments).with_control()
}

/// What every route that can be read answers.
async fn every_answer(api: &Api, role: &str) -> Place {
    let document = api.get("/openapi.json").await;
    for path in document["paths"].as_object().expect("paths").iter().filter(|(_, path)| path.get("get").is_some()) {
        for path in filled(api, path.0).await {
            // A subscription does not end; it is a place of its own.
            if !path.ends_with("/subscribe") {
                api.answer(api.request(Method::GET, &path)).await;
            }
        }
    }
    let place = Place::new(format!("what {role} may read"), api.transcript.bytes()).without_keys();
    // The others may read next to nothing.
    if ["admin", "operator", "viewer"].contains(&role) { place.with_control() } else { place }
}

/// The path with everything that its parameters can be.
async fn filled(api: &Api, path: &str) -> Vec<String> {
    let mut paths = vec![path.replace("{env}", "default")];
    // All of them have the same ones left.
    while let Some(parameter) = paths.first().and_then(|path| first_parameter(path)) {
        let values = values_of(api, &parameter).await;
        let fill = |path: &String| {
            values.iter().map(|value| path.replace(&format!("{{{parameter}}}"), value)).collect::<Vec<_>>()
        };
        paths = paths.iter().flat_map(fill).collect();
    }
    paths
}

fn first_parameter(path: &str) -> Option<String> {
    let (_, rest) = path.split_once('{')?;
    Some(rest.split_once('}')?.0.to_owned())
}

/// What a parameter can be, as far as the caller may know.
async fn values_of(api: &Api, parameter: &str) -> Vec<String> {
    let (list, member) = match parameter {
        "name" => ("secrets?limit=1000", "name"),
        "space" => ("spaces?limit=1000", "name"),
        "run" => ("runs?limit=500", "id"),
        "id" => ("runs?limit=500", "event"),
        other => panic!("a parameter that is not known here: {other}"),
    };
    let (_, known) = api.answer(api.request(Method::GET, &format!("/v1/environments/default/{list}"))).await;
    let known = known["items"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| {
        let value = if member == "event" { &item["event"]["id"] } else { &item[member] };
        value.as_str().expect("text").to_owned()
    };
    known.iter().map(text).collect()
}

//! Servers on one store: what one has not heard of yet is not taken for what is not there.

use std::{sync::Arc, time::Duration};

use claviger_core::{Bounds, Caller, EnvironmentName, Revision, Role, Scope};
use claviger_crypto::MasterKey;
use claviger_engine::access::{NewApiKey, system_caller};
use claviger_store::{Append, Expected, Filter, Ledger, MemoryLedger, Stream};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    sea::Node,
    support::{Answer, House},
};

const ACTOR: &str = "us_usr_00000001";

/// Two servers, a runtime key, and an environment with a secret.
struct Stage {
    here: House,
    there: House,
    /// The second server's way to the store.
    node: Arc<Node>,
    runtime: Caller,
    environment: String,
}

fn master() -> MasterKey {
    MasterKey::from_hex(&mut [b'7'; 64]).unwrap()
}

impl Stage {
    async fn open() -> Stage {
        let sea = Arc::new(MemoryLedger::new());
        let here = House::on(Node::new(&sea), master()).await;
        let node = Node::new(&sea);
        let there = House::on(node.clone(), master()).await;
        let bounds = Bounds { secrets: vec!["*".to_owned()], ..Bounds::default() };
        let environment: EnvironmentName = "default".parse().unwrap();
        let new =
            NewApiKey { role: Role::Runtime, environment: Some(environment), description: None, bounds, ttl: None };
        let (_, key) = here.engine.access().create_api_key(&system_caller(), new).await.unwrap();
        there.engine.spaces().catch_up().await.unwrap();
        let runtime = there.engine.access().admit(&key).await.unwrap();
        let stage = Stage { environment: String::new(), here, there, node, runtime };
        let listed = stage.here.asking(system_caller()).get("/v1/environments").await;
        let environment = listed.data()[0]["id"].as_str().unwrap().to_owned();
        stage.set("of-the-environment", json!({ "environmentId": environment })).await;
        Stage { environment, ..stage }
    }

    /// Sets the secret by the first server.
    async fn set(&self, value: &str, mut place: serde_json::Value) {
        place["name"] = json!("TOKEN");
        place["value"] = json!(value);
        self.here.asking(system_caller()).post("/v1/secrets", place).await.data();
    }

    /// The second server knows which keys there are, and from now on hears of no space.
    async fn deafen(&self) {
        self.there.engine.access().fresh().await.unwrap();
        self.node.deafen();
    }

    /// A space that only the first server has heard of.
    async fn space(&self) -> String {
        let created = self.here.asking(system_caller()).post("/v1/spaces", json!({ "name": "acme" })).await;
        created.data()["id"].as_str().unwrap().to_owned()
    }

    /// What the second server answers to a listener; it hears of everything a moment later.
    async fn asked_before_it_hears(&self, query: &str) -> Answer {
        let scope = Scope::environment("default".parse().unwrap());
        // Secrets come by a stream of their own, which is not what this is about.
        self.there.engine.vault().catch_up(&system_caller(), &scope).await.unwrap();
        let runtime = self.there.asking(self.runtime.clone());
        let path = format!("/v1/secrets?environmentId={}&{query}", self.environment);
        let hears = async {
            sleep(Duration::from_millis(100)).await;
            self.node.heal();
        };
        tokio::join!(runtime.get(&path), hears).0
    }
}

#[tokio::test(start_paused = true)]
async fn a_space_that_another_server_has_just_created_is_not_taken_for_none() {
    let stage = Stage::open().await;
    stage.deafen().await;
    let space = stage.space().await;
    stage.set("of-the-space", json!({ "spaceId": space })).await;
    let answer = stage.asked_before_it_hears(&format!("spaceId={space}")).await;
    let row = &answer.data()[0];
    assert_eq!((&row["value"], &row["spaceId"]), (&json!("of-the-space"), &json!(space)));
}

#[tokio::test(start_paused = true)]
async fn what_an_actor_has_just_got_on_another_server_comes_first() {
    let stage = Stage::open().await;
    stage.deafen().await;
    stage.set("of-the-actor", json!({ "environmentId": stage.environment, "actorId": ACTOR })).await;
    let answer = stage.asked_before_it_hears(&format!("actorId={ACTOR}")).await;
    let row = &answer.data()[0];
    assert_eq!((&row["value"], &row["actorId"]), (&json!("of-the-actor"), &json!(ACTOR)));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_tell_says_so_and_gives_nothing() {
    let stage = Stage::open().await;
    stage.deafen().await;
    let space = stage.space().await;
    let runtime = stage.there.asking(stage.runtime.clone());
    let refused = runtime.get(&format!("/v1/secrets?environmentId={}&spaceId={space}", stage.environment)).await;
    assert!(matches!(refused.status, 408 | 503), "{refused:?}");
    assert!(!refused.body.to_string().contains("of-the-environment"));
}

#[tokio::test]
async fn a_damaged_space_is_not_taken_for_none() {
    let ledger = Arc::new(MemoryLedger::new());
    let house = House::on(ledger.clone(), master()).await;
    let environment = house.environment("default").await;
    house.set("TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    let actor = json!({ "environmentId": environment, "actorId": ACTOR });
    house.set("TOKEN", "of-the-actor", actor).await;
    let written = ledger.read(Stream::Access, &Filter::All, Revision::ZERO, 1_000).await.unwrap();
    let subject = written.last().unwrap().subject.clone();
    let damage = Append::new(Stream::Access, subject, b"no record".to_vec(), Expected::Any);
    ledger.append(vec![damage]).await.remove(0).unwrap();
    let name = format!("flatfile:actor:{ACTOR}").parse().unwrap();
    while house.engine.access().has_space(&"default".parse().unwrap(), &name) {
        tokio::task::yield_now().await;
    }
    for query in [format!("actorId={ACTOR}"), "spaceId=us_sp_00000000".to_owned()] {
        let path = format!("/v1/secrets?environmentId={environment}&{query}");
        let refused = house.as_runtime().get(&path).await;
        assert_eq!(refused.refusal().0, 500, "{query}");
        assert!(!refused.body.to_string().contains("of-the-environment"));
    }
}

#[tokio::test]
async fn an_id_that_stands_for_nothing_has_the_rows_of_the_environment() {
    let stage = Stage::open().await;
    for id in ["us_sp_00000000", "us_sp_1", "nonsense"] {
        let answer = stage.asked_before_it_hears(&format!("spaceId={id}")).await;
        assert_eq!(answer.data()[0]["value"], "of-the-environment", "{id}");
    }
}

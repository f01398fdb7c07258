//! Environments and spaces.

use claviger_core::Role;
use claviger_engine::{access::system_caller, spaces::NewSpace};
use serde_json::{Value, json};

use crate::support::{House, caller};

fn names(listed: &Value) -> Vec<&str> {
    listed["data"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_environment_is_created_changed_deleted_and_created_again() {
    let house = House::open().await;
    let new = json!({ "name": "QA Test", "isProd": true, "namespaces": ["default"], "metadata": { "a": 1 } });
    let created = house.as_admin().post("/v1/environments", new).await;
    let shown = created.data().clone();
    let id = shown["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 15 && id.starts_with("us_env_"), "{id}");
    assert_eq!(
        (&shown["name"], &shown["isProd"], &shown["metadata"]["a"]),
        (&json!("QA Test"), &json!(true), &json!(1))
    );
    assert_eq!((&shown["features"], &shown["accountId"]), (&json!({}), &json!("us_acc_Claviger")));
    assert_eq!(shown["guestAuthentication"], json!(["shared_link", "magic_link"]));
    assert_eq!(house.as_admin().get(&format!("/api/v1/environments/{id}")).await.data(), &shown);

    let path = format!("/v1/environments/{id}");
    let changed = house.as_admin().patch(&path, json!({ "name": "qa-test", "isProd": null, "id": "x" })).await;
    assert_eq!((&changed.data()["name"], &changed.data()["isProd"]), (&json!("qa-test"), &json!(false)));
    assert_eq!((&changed.data()["id"], &changed.data()["metadata"]["a"]), (&json!(id), &json!(1)));

    let space = house.as_admin().post("/v1/spaces", json!({ "name": "S", "environmentId": id })).await;
    let space = space.data()["id"].as_str().unwrap();
    house.set("A", "value of the space", json!({ "spaceId": space })).await;
    house.set("A", "value of the environment", json!({ "environmentId": id })).await;
    assert_eq!(house.as_operator().delete(&path).await.refusal().0, 404, "another environment's key");
    assert_eq!(house.as_admin().delete(&path).await.data(), &json!({ "success": true }));
    assert_eq!(house.as_admin().get(&path).await.refusal(), (404, "environmentId"));
    assert_eq!(house.as_admin().delete(&path).await.refusal().0, 404);
    assert_eq!(names(&house.as_admin().get("/v1/environments").await.body), ["default"]);

    let again = house.as_admin().post("/v1/environments", json!({ "name": "qa-test" })).await;
    assert_eq!(again.data()["id"], id);
    let twice = house.as_admin().post("/v1/environments", json!({ "name": "qa-test" })).await;
    assert_eq!(twice.refusal(), (409, "name"));
    let left = house.as_admin().get(&format!("/v1/secrets?environmentId={id}")).await;
    assert_eq!(left.data(), &json!([]), "nothing came back");
    assert_eq!(house.as_admin().get("/v1/spaces").await.body["data"], json!([]));
}

#[tokio::test]
async fn a_key_sees_its_environment_and_an_operator_creates_none() {
    let house = House::open().await;
    let staging = house.new_environment("staging").await;
    house.new_environment("production").await;
    for asking in [house.as_runtime(), house.as_operator(), house.asking(caller(Role::Viewer))] {
        assert_eq!(names(&asking.get("/v1/environments").await.body), ["default"]);
        assert_eq!(asking.get(&format!("/v1/environments/{staging}")).await.refusal().0, 404);
    }
    let all = house.as_admin().get("/v1/environments?pageSize=2&pageNumber=2").await;
    assert_eq!(all.body["pagination"], json!({ "currentPage": 2, "pageCount": 2, "totalCount": 3 }));
    assert_eq!(names(&all.body), ["staging"]);
    let production = house.as_admin().get("/v1/environments").await;
    let production = production.data().as_array().unwrap().iter().find(|known| known["name"] == "production").cloned();
    assert_eq!(production.unwrap()["isProd"], true);
    assert_eq!(house.as_operator().post("/v1/environments", json!({ "name": "qa" })).await.refusal().0, 403);
    let own = house.environment("default").await;
    assert_eq!(house.as_operator().delete(&format!("/v1/environments/{own}")).await.refusal().0, 403);
    assert_eq!(house.as_admin().post("/v1/environments", json!({ "name": "環境" })).await.refusal(), (400, "name"));
}

#[tokio::test]
async fn a_space_is_created_changed_and_deleted() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let new = json!({
        "name": "Acme: East", "metadata": { "plan": "gold" }, "labels": ["pinned"], "namespace": "red",
        "environmentId": environment, "createdAt": "never", "appId": null,
    });
    let created = house.as_operator().post("/v1/spaces", new).await;
    let shown = created.data().clone();
    let id = shown["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 14 && id.starts_with("us_sp_") && !id.contains("env"), "{id}");
    for (member, expected) in [
        ("name", json!("Acme: East")),
        ("metadata", json!({ "plan": "gold" })),
        ("labels", json!(["pinned"])),
        ("namespace", json!("red")),
        ("environmentId", json!(environment)),
        ("guestAuthentication", json!(["shared_link", "magic_link"])),
    ] {
        assert_eq!(shown[member], expected);
    }
    assert!(shown["createdAt"].as_str().unwrap().ends_with('Z') && shown.get("appId").is_none(), "{shown}");

    let path = format!("/v1/spaces/{id}");
    let changed = house.as_operator().patch(&path, json!({ "name": "Renamed", "namespace": null })).await;
    assert_eq!((&changed.data()["name"], changed.data().get("namespace")), (&json!("Renamed"), None));
    assert_eq!((&changed.data()["id"], &changed.data()["metadata"]), (&json!(id), &json!({ "plan": "gold" })));
    assert_ne!(changed.data()["updatedAt"], shown["updatedAt"]);
    assert_eq!(changed.data()["createdAt"], shown["createdAt"]);
    assert_eq!(house.as_runtime().get(&path).await.data(), changed.data());
    assert_eq!(house.as_runtime().patch(&path, json!({ "name": "x" })).await.refusal().0, 403);
    assert_eq!(house.as_runtime().delete(&path).await.refusal().0, 403);

    house.set("TOKEN", "value of the space", json!({ "spaceId": id })).await;
    assert_eq!(house.as_operator().delete(&path).await.data(), &json!({ "success": true }));
    assert_eq!(house.as_operator().get(&path).await.refusal(), (404, "id"));
    assert_eq!(house.another().as_operator().get(&path).await.refusal(), (404, "id"), "nor on another server");
    assert_eq!(house.space("Acme: East").await, id, "the same name has the same id");
    assert_eq!(house.values(&format!("spaceId={id}")).await, [], "and nothing of the former space");
}

#[tokio::test]
async fn spaces_of_one_name_are_several() {
    let house = House::open().await;
    let ids = [house.space("Customer").await, house.space("Customer").await, house.space("Customer").await];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    let listed = house.as_operator().get("/v1/spaces").await;
    assert_eq!(names(&listed.body), ["Customer"; 3]);
    let hostile = house.space("flatfile:environment").await;
    let shown = house.as_operator().get(&format!("/v1/spaces/{hostile}")).await;
    assert_eq!(shown.data()["name"], "flatfile:environment");
    assert!(!house.as_operator().get("/v1/environments").await.body["data"][0].to_string().contains("deleted"));
}

#[tokio::test]
async fn spaces_of_our_own_are_there_with_their_metadata() {
    let house = House::open().await;
    let metadata = serde_json::value::to_raw_value(&json!({ "plan": "gold" })).unwrap();
    let new = NewSpace { name: "acme".parse().unwrap(), metadata };
    let environment = "default".parse().unwrap();
    house.engine.spaces().create(&system_caller(), &environment, new).await.unwrap();
    let listed = house.as_runtime().get("/v1/spaces").await;
    assert_eq!((names(&listed.body), &listed.data()[0]["metadata"]["plan"]), (vec!["acme"], &json!("gold")));
    let path = format!("/v1/spaces/{}", listed.data()[0]["id"].as_str().unwrap());
    house.as_operator().patch(&path, json!({ "metadata": { "plan": "blue" }, "namespace": "red" })).await.data();
    let space = house.engine.spaces().get(&system_caller(), &environment, &"acme".parse().unwrap()).await.unwrap();
    let stored: Value = serde_json::from_str(space.metadata.get()).unwrap();
    assert_eq!(stored, json!({ "plan": "blue", "flatfile": { "namespace": "red" } }));
}

#[tokio::test]
async fn changes_at_the_same_time_are_all_kept() {
    let house = House::open().await;
    let space = format!("/v1/spaces/{}", house.space("acme").await);
    let environment = format!("/v1/environments/{}", house.environment("default").await);
    for path in [&space, &environment] {
        let changes = (0..16).map(|number| {
            let asking = house.as_operator();
            async move { asking.patch(path, json!({ format!("member{number}"): number })).await }
        });
        for changed in futures_util::future::join_all(changes).await {
            changed.data();
        }
        let seen = house.as_operator().get(path).await;
        let kept = (0..16).filter(|number| seen.data()[format!("member{number}")] == json!(number)).count();
        assert_eq!(kept, 16, "{seen:?}");
    }
    let nothing = house.asking(caller(Role::Viewer)).patch(&environment, json!({})).await;
    assert_eq!(nothing.refusal().0, 403, "not even nothing");
}

#[tokio::test]
async fn lists_of_spaces_are_filtered_sorted_and_cut() {
    let house = House::open().await;
    let staging = house.new_environment("staging").await;
    for (name, namespace, archived) in
        [("b", "red", false), ("A1", "blue", true), ("a2", "red", false), ("c", "", false)]
    {
        let mut new = json!({ "name": name, "namespace": namespace });
        if archived {
            new["archivedAt"] = json!("2026-01-01T00:00:00.000Z");
        }
        house.as_operator().post("/v1/spaces", new).await.data();
    }
    house.as_admin().post("/v1/spaces", json!({ "name": "z", "environmentId": staging })).await.data();
    for (query, expected) in [
        ("", &["A1", "a2", "b", "c"][..]),
        ("?namespace=red", &["a2", "b"]),
        ("?search=a", &["A1", "a2"]),
        ("?archived=false", &["a2", "b", "c"]),
        ("?archived=true", &["A1"]),
        ("?sortField=createdAt&sortDirection=desc", &["c", "a2", "A1", "b"]),
        ("?pageSize=3&pageNumber=2", &["c"]),
        ("?pageSize=3&pageNumber=9", &[]),
    ] {
        let listed = house.as_operator().get(&format!("/v1/spaces{query}")).await;
        assert_eq!(names(&listed.body), expected, "{query}");
    }
    let listed = house.as_operator().get("/v1/spaces?pageSize=3").await;
    assert_eq!(listed.body["pagination"], json!({ "currentPage": 1, "pageCount": 2, "totalCount": 4 }));
    assert_eq!(names(&house.as_admin().get("/v1/spaces").await.body), ["A1", "a2", "b", "c", "z"]);
    assert_eq!(names(&house.as_admin().get(&format!("/v1/spaces?environmentId={staging}")).await.body), ["z"]);
    let refused = house.as_operator().get(&format!("/v1/spaces?environmentId={staging}")).await;
    assert_eq!(refused.refusal(), (404, "environmentId"));
    for bad in ["pageSize=0", "pageNumber=x", "archived=maybe"] {
        assert_eq!(house.as_operator().get(&format!("/v1/spaces?{bad}")).await.refusal().0, 400, "{bad}");
    }
}

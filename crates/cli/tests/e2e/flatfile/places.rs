//! Environments and spaces by `@flatfile/api`.

use serde_json::json;

use super::clients::{Clients, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_created_changed_and_deleted() {
    let stage = Stage::set().await;
    let mut admin = Clients::start(&stage.server, &stage.server.admin_key());
    let new = json!([{ "name": "qa", "isProd": false, "namespaces": ["default"] }]);
    let created = admin.call("environments.create", new).await;
    let id = created["id"].clone();
    assert_eq!(admin.call("environments.get", json!([id])).await, created);
    let renamed = admin.call("environments.update", json!([id, { "name": "dev2" }])).await;
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("dev2"), &id));
    let listed =
        admin.value(&json!({ "do": "call", "path": ["environments", "list"], "with": [{ "pageSize": 1 }] })).await;
    assert_eq!(listed["pagination"], json!({ "currentPage": 1, "pageCount": 2, "totalCount": 2 }));
    assert_eq!(admin.call("environments.delete", json!([id])).await, json!({ "success": true }));
    let (name, status, _) = admin.refused("environments.get", json!([id])).await;
    assert_eq!((&*name, status), ("NotFoundError", json!(404)));
    let names = stage.server.cli().ok(&["env", "list"]).await;
    assert!(names.contains("qa"), "it is still ours: {names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spaces_are_created_changed_and_deleted() {
    let mut stage = Stage::set().await;
    let new = json!([{
        "name": "S", "environmentId": stage.environment, "metadata": { "a": 1 }, "labels": ["pinned"], "namespace": "red",
    }]);
    let created = stage.operator.call("spaces.create", new).await;
    let id = created["id"].clone();
    assert_eq!(stage.runtime.call("spaces.get", json!([id])).await, created);
    let renamed = stage.operator.call("spaces.update", json!([id, { "name": "Renamed" }])).await;
    assert_eq!((&renamed["name"], &renamed["metadata"]), (&json!("Renamed"), &json!({ "a": 1 })));
    let query = json!([{ "environmentId": stage.environment, "pageSize": 5, "namespace": "red", "archived": false }]);
    let listed = stage.operator.value(&json!({ "do": "call", "path": ["spaces", "list"], "with": query })).await;
    assert_eq!((&listed["data"][0]["name"], &listed["pagination"]["totalCount"]), (&json!("Renamed"), &json!(1)));
    let native = stage.server.cli().json(&["space", "get", "S"]).await;
    assert_eq!(native["metadata"]["a"], 1, "{native}");
    stage.server.cli().ok(&["space", "create", "acme", "--metadata", r#"{"plan":"gold"}"#]).await;
    let listed = stage.operator.call("spaces.list", json!([{ "search": "ACME" }])).await;
    assert_eq!(listed[0]["metadata"], json!({ "plan": "gold" }));
    assert_eq!(stage.operator.call("spaces.delete", json!([id])).await, json!({ "success": true }));
    let (_, status, _) = stage.operator.refused("spaces.get", json!([id])).await;
    assert_eq!(status, 404);
}

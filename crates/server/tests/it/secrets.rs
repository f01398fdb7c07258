use serde_json::json;

use crate::support::House;

const SECRETS: &str = "/v1/environments/default/secrets";
const ONE: &str = "/v1/environments/default/secrets/STRIPE_KEY";

#[tokio::test]
async fn a_secret_is_set_described_listed_and_deleted_and_its_value_never_comes_back() {
    let house = House::open().await;
    let admin = house.admin().await;
    let canary = "canary-51c0-value";
    let created = admin.put(ONE, &json!({"value": canary, "description": "live"})).await;
    assert_eq!((created.status, created.json()["version"].as_u64()), (201, Some(1)));
    let updated = admin.put(ONE, &json!({"value": format!("{canary}-2")})).await;
    assert_eq!(updated.status, 200);
    let secret = updated.json();
    assert_eq!((&secret["name"], &secret["environment"]), (&json!("STRIPE_KEY"), &json!("default")));
    assert_eq!((&secret["version"], &secret["description"]), (&json!(2), &json!("live")));
    assert_eq!(updated.header("etag").unwrap(), format!("\"{}\"", secret["revision"]));
    let got = admin.get(ONE).await;
    assert_eq!(got.json()["versions"].as_array().unwrap().len(), 2);
    assert_eq!(got.header("etag"), updated.header("etag"));
    let listed = admin.get(SECRETS).await;
    assert_eq!(listed.json()["items"][0]["name"], "STRIPE_KEY");
    let deleted = admin.delete(ONE).await;
    assert_eq!((deleted.status, deleted.json()["version"].as_u64()), (200, Some(2)));
    let gone = admin.get(ONE).await;
    assert_eq!((gone.status, gone.code()), (404, "secret_not_found".to_owned()));
    for answer in [created, updated, got, listed, deleted, gone] {
        assert!(!answer.text.contains("canary"), "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn if_match_compares_the_revision_and_a_conflict_tells_the_present_one_only() {
    let house = House::open().await;
    let admin = house.admin().await;
    let set = |if_match: &str, value: &str| {
        admin.send(admin.request("PUT", ONE).header("if-match", if_match).json(&json!({ "value": value })))
    };
    assert_eq!(set("\"0\"", "first-value").await.status, 201);
    let conflict = set("\"0\"", "canary-66d1").await;
    assert_eq!((conflict.status, conflict.code()), (409, "revision_conflict".to_owned()));
    let problem = conflict.json();
    let members: Vec<&String> = problem.as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "currentRevision", "detail", "hint", "requestId", "status", "title", "type"]);
    let revision = problem["currentRevision"].as_u64().unwrap();
    assert_eq!(set(&format!("\"{revision}\""), "second-value").await.status, 200);
    let stale = admin.send(admin.request("DELETE", ONE).header("if-match", format!("\"{revision}\""))).await;
    assert_eq!(stale.status, 409);
    for wrong in ["*", "W/\"1\"", "\"a\"", "\"\"", "-1", "\"99999999999999999999\""] {
        let answer = set(wrong, "value-3").await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn values_are_text_or_base64_with_and_without_padding() {
    let house = House::open().await;
    let admin = house.admin().await;
    for value in ["//////////8=", "//////////8", "AAECAwQFBgc="] {
        let answer = admin.put(ONE, &json!({"value": value, "encoding": "base64"})).await;
        assert!(answer.status < 300, "{answer:?}");
    }
    let answer = admin.put(ONE, &json!({"value": "canary%%66d1", "encoding": "base64"})).await;
    assert_eq!(answer.code(), "invalid_request");
    assert!(!answer.text.contains("canary") && !answer.text.contains('%'));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let house = House::open().await;
    let admin = house.admin().await;
    for name in ["A", "B", "C", "a%20b", "%C3%A9"] {
        assert_eq!(admin.set(name, "some-value").await.status, 201);
    }
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = admin.get(&format!("{SECRETS}?limit=2{after}")).await.json();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
    assert_eq!(names, ["A", "B", "C", "a b", "é"]);
}

#[tokio::test]
async fn a_strong_read_answers_like_any_other() {
    let house = House::open().await;
    let admin = house.admin().await;
    admin.put(&format!("{SECRETS}/A"), &json!({"value": "some-value"})).await;
    for consistency in ["default", "strong"] {
        for path in [SECRETS.to_owned(), format!("{SECRETS}/A")] {
            let (plain, asked) =
                (admin.get(&path).await, admin.get(&format!("{path}?consistency={consistency}")).await);
            assert_eq!((asked.status, asked.json()), (200, plain.json()), "{path} {consistency}");
        }
    }
    let missing = admin.get(&format!("{SECRETS}/B?consistency=strong")).await;
    assert_eq!((missing.status, missing.code()), (404, "secret_not_found".to_owned()));
}

#[tokio::test]
async fn short_values_and_masks_are_refused_and_short_ones_can_be_accepted() {
    let house = House::open().await;
    let admin = house.admin().await;
    assert_eq!(admin.set("PIN", "1234").await.code(), "value_too_short");
    let accepted = admin.put(&format!("{SECRETS}/PIN"), &json!({"value": "1234", "allowShort": true})).await;
    assert_eq!((accepted.status, accepted.json()["unmaskable"].as_bool()), (201, Some(true)));
    assert_eq!(admin.set("MASKED", "«STRIPE_KEY@7»").await.code(), "value_is_mask");
}

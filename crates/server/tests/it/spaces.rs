use claviger_core::{Bounds, Role};
use serde_json::{Value, json};

use crate::support::{Answer, Client, House};

const SPACES: &str = "/v1/environments/default/spaces";
const SECRETS: &str = "/v1/environments/default/secrets";
const ACME: &str = "/v1/environments/default/spaces/acme/secrets";

/// A house with a space `acme`.
async fn open(admin: &Client<'_>) {
    assert_eq!(admin.post(SPACES, &json!({"name": "acme"})).await.status, 201);
}

async fn set(admin: &Client<'_>, path: &str, value: &str) -> Answer {
    let answer = admin.put(path, &json!({ "value": value })).await;
    assert!(answer.status < 300, "{answer:?}");
    answer
}

/// The names of a list with what follows them.
async fn origins(admin: &Client<'_>) -> Vec<(String, String)> {
    let items = admin.get(ACME).await.json()["items"].as_array().unwrap().clone();
    let text = |item: &Value, member: &str| item[member].as_str().unwrap().to_owned();
    items.iter().map(|item| (text(item, "name"), text(item, "origin"))).collect()
}

#[tokio::test]
async fn a_space_is_created_listed_changed_and_deleted() {
    let house = House::open().await;
    let admin = house.admin().await;
    let metadata = json!({"plan": "gold", "seats": 12});
    let created = admin.post(SPACES, &json!({"name": "acme", "metadata": metadata})).await;
    assert_eq!(created.status, 201);
    let space = created.json();
    assert_eq!((&space["name"], &space["environment"]), (&json!("acme"), &json!("default")));
    assert_eq!((&space["metadata"], &space["createdAt"]), (&metadata, &space["updatedAt"]));
    assert!(space["revision"].is_u64() && space["createdBy"].is_string());
    let again = admin.post(SPACES, &json!({"name": "acme"})).await;
    assert_eq!((again.status, again.code()), (409, "space_exists".to_owned()));
    let bare = admin.post(SPACES, &json!({"name": "Bare"})).await;
    assert_eq!((bare.status, &bare.json()["metadata"]), (201, &json!({})));

    let one = format!("{SPACES}/acme");
    assert_eq!(admin.get(&one).await.json(), space);
    let changed = admin.send(admin.request("PATCH", &one).json(&json!({"metadata": {"plan": "silver"}}))).await;
    assert_eq!((changed.status, &changed.json()["metadata"]), (200, &json!({"plan": "silver"})));
    assert!(changed.json()["revision"].as_u64() > space["revision"].as_u64());
    let names = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&admin.get(SPACES).await.json()), ["Bare", "acme"]);
    let first = admin.get(&format!("{SPACES}?limit=1")).await.json();
    assert_eq!((names(&first), &first["next"]), (vec!["Bare".to_owned()], &json!("Bare")));
    let rest = admin.get(&format!("{SPACES}?limit=1&after=Bare")).await.json();
    assert_eq!((names(&rest), rest.get("next")), (vec!["acme".to_owned()], None));

    set(&admin, &format!("{ACME}/A"), "canary-space-1").await;
    admin.put(&format!("{ACME}/B/block"), &Value::Null).await;
    let deleted = admin.delete(&one).await;
    let expected = json!({"name": "acme", "environment": "default", "deletedSecrets": 2});
    assert_eq!((deleted.status, deleted.json()), (200, expected));
    assert_eq!(admin.get(&one).await.code(), "space_not_found");
    open(&admin).await;
    assert_eq!(origins(&admin).await, [], "nothing of the former space of that name is left");
}

#[tokio::test]
async fn metadata_is_replaced_at_one_revision_only() {
    let house = House::open().await;
    let admin = house.admin().await;
    let one = format!("{SPACES}/acme");
    let created = admin.post(SPACES, &json!({"name": "acme"})).await;
    let tag = |answer: &Answer| answer.header("etag").unwrap().to_owned();
    let at = async |tag: &str, plan: &str| {
        let request = admin.request("PATCH", &one).header("if-match", tag);
        admin.send(request.json(&json!({ "metadata": { "plan": plan } }))).await
    };
    assert_eq!(tag(&created), format!("\"{}\"", created.json()["revision"]));
    assert_eq!(tag(&admin.get(&one).await), tag(&created));
    let first = at(&tag(&created), "gold").await;
    assert_eq!((first.status, tag(&first)), (200, format!("\"{}\"", first.json()["revision"])));
    let late = at(&tag(&created), "none").await;
    assert_eq!((late.status, late.code()), (409, "revision_conflict".to_owned()));
    assert_eq!(late.json()["currentRevision"], first.json()["revision"]);
    assert_eq!(at("gold", "none").await.code(), "invalid_request");
    let seen = admin.get(&one).await;
    assert_eq!((&seen.json()["metadata"], tag(&seen)), (&json!({ "plan": "gold" }), tag(&first)));
}

#[tokio::test]
async fn a_space_is_deleted_at_one_revision_only() {
    let house = House::open().await;
    let admin = house.admin().await;
    let one = format!("{SPACES}/acme");
    let created = admin.post(SPACES, &json!({"name": "acme"})).await;
    let stale = created.header("etag").unwrap().to_owned();
    let changed = admin.send(admin.request("PATCH", &one).json(&json!({"metadata": {"plan": "gold"}}))).await;
    let at = async |tag: &str| admin.send(admin.request("DELETE", &one).header("if-match", tag)).await;
    let late = at(&stale).await;
    assert_eq!((late.status, late.code()), (409, "revision_conflict".to_owned()));
    assert_eq!(late.json()["currentRevision"], changed.json()["revision"]);
    assert_eq!(at("gold").await.code(), "invalid_request");
    assert_eq!(admin.get(&one).await.json(), changed.json());
    assert_eq!(at(changed.header("etag").unwrap()).await.status, 200);
    assert_eq!(admin.get(&one).await.code(), "space_not_found");
}

#[tokio::test]
async fn metadata_is_an_object_of_at_most_8_kib() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    let large = json!({"a": "x".repeat(8 * 1024)});
    for (metadata, status, code) in [
        (json!([1]), 400, "invalid_request"),
        (json!("canary-4411"), 400, "invalid_request"),
        (Value::Null, 400, "invalid_request"),
        (large, 413, "body_too_large"),
    ] {
        let created = admin.post(SPACES, &json!({"name": "other", "metadata": metadata})).await;
        let path = format!("{SPACES}/acme");
        let changed = admin.send(admin.request("PATCH", &path).json(&json!({ "metadata": metadata }))).await;
        // `null` is none at all for a new one.
        let created =
            if metadata.is_null() { admin.send(admin.request("PATCH", &path).json(&json!({}))).await } else { created };
        for answer in [created, changed] {
            assert_eq!((answer.status, answer.code()), (status, code.to_owned()), "{metadata}");
            assert!(!answer.text.contains("canary"), "{answer:?}");
        }
        assert!(admin.delete(&format!("{SPACES}/other")).await.status >= 200);
    }
    for name in ["", " a", "..", "e\u{301}", &"x".repeat(201)] {
        let answer = admin.post(SPACES, &json!({ "name": name })).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_name".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn a_space_inherits_overrides_and_blocks() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    let mut answers = Vec::new();
    for name in ["BLOCKED", "INHERITED", "OVERRIDDEN"] {
        answers.push(set(&admin, &format!("{SECRETS}/{name}"), "canary-of-environment").await);
    }
    let own = set(&admin, &format!("{ACME}/OWN"), "canary-of-space").await;
    let overridden = set(&admin, &format!("{ACME}/OVERRIDDEN"), "canary-of-space").await;
    assert_eq!((own.status, overridden.status), (201, 201));
    assert_eq!((&overridden.json()["space"], &overridden.json()["version"]), (&json!("acme"), &json!(1)));
    let blocked = admin.put(&format!("{ACME}/BLOCKED/block"), &Value::Null).await;
    assert_eq!((blocked.status, &blocked.json()["origin"]), (200, &json!("blocked")));
    assert_eq!(blocked.json().get("version"), None);
    assert_eq!(blocked.header("etag").unwrap(), format!("\"{}\"", blocked.json()["revision"]));
    let pairs = [("BLOCKED", "blocked"), ("INHERITED", "inherited"), ("OVERRIDDEN", "overridden"), ("OWN", "own")];
    assert_eq!(origins(&admin).await, pairs.map(|(name, origin)| (name.to_owned(), origin.to_owned())));
    for (name, origin) in pairs {
        let got = admin.get(&format!("{ACME}/{name}")).await;
        let secret = got.json();
        assert_eq!((got.status, &secret["origin"]), (200, &json!(origin)), "{name}");
        let is_own = origin != "inherited";
        assert_eq!(got.header("etag").is_some(), is_own, "{name}");
        assert_eq!(secret["space"], if is_own { json!("acme") } else { Value::Null }, "{name}");
        assert_eq!(secret.get("version").is_some(), origin != "blocked", "{name}");
        answers.push(got);
    }
    let environment = admin.get(SECRETS).await;
    assert!(environment.json()["items"].as_array().unwrap().iter().all(|item| item.get("origin").is_none()));
    assert_eq!(environment.json()["items"].as_array().unwrap().len(), 3, "an override is nowhere else");
    answers.extend([own, overridden, blocked, environment, admin.get(ACME).await]);
    for answer in answers {
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_deleted_override_and_a_lifted_block_show_what_is_inherited_at_once() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    set(&admin, &format!("{SECRETS}/A"), "canary-of-environment").await;
    let one = format!("{ACME}/A");
    let origin = async || admin.get(&one).await.json()["origin"].clone();
    set(&admin, &one, "canary-of-space").await;
    assert_eq!(origin().await, "overridden");
    let deleted = admin.delete(&one).await;
    assert_eq!((deleted.status, &deleted.json()["space"]), (200, &json!("acme")));
    assert_eq!(origin().await, "inherited");
    assert_eq!(admin.delete(&one).await.code(), "secret_not_found", "there is nothing of its own to delete");

    let block = format!("{one}/block");
    assert_eq!(admin.put(&block, &Value::Null).await.status, 200);
    assert_eq!(origin().await, "blocked");
    assert_eq!(admin.delete(&one).await.code(), "secret_not_found", "a delete lifts no block");
    assert_eq!(origin().await, "blocked");
    let lifted = admin.delete(&block).await;
    assert_eq!((lifted.status, lifted.json().get("version"), lifted.json().get("origin")), (200, None, None));
    assert_eq!(origin().await, "inherited");
    let again = admin.delete(&block).await;
    assert_eq!((again.status, again.code()), (400, "invalid_request".to_owned()));

    assert_eq!(admin.put(&block, &Value::Null).await.status, 200);
    let set_again = set(&admin, &one, "canary-of-space").await;
    assert_eq!(set_again.json()["version"], 2, "versions go on");
    assert_eq!(origin().await, "overridden", "a set lifts the block");
}

#[tokio::test]
async fn blocks_are_for_spaces_and_compare_revisions() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    let answer = admin.put(&format!("{SECRETS}/A/block"), &Value::Null).await;
    assert_eq!((answer.status, answer.code()), (404, "route_not_found".to_owned()));
    let block = format!("{ACME}/A/block");
    let at = |method: &'static str, revision: String| {
        admin.send(admin.request(method, &block).header("if-match", format!("\"{revision}\"")))
    };
    let conflict = at("PUT", "77".to_owned()).await;
    assert_eq!((conflict.status, conflict.code()), (409, "revision_conflict".to_owned()));
    let blocked = at("PUT", "0".to_owned()).await;
    assert_eq!(blocked.status, 200);
    assert_eq!(at("DELETE", "0".to_owned()).await.code(), "revision_conflict");
    assert_eq!(at("DELETE", blocked.json()["revision"].to_string()).await.status, 200);
}

#[tokio::test]
async fn an_explanation_tells_the_trail_and_no_value() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    let explain = async |base: &str, name: &str| {
        let answer = admin.get(&format!("{base}/{name}/explanation")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text.contains("canary"), "{answer:?}");
        answer.json()
    };
    let nothing = explain(ACME, "A").await;
    assert_eq!((nothing.get("found"), nothing["trail"].as_array().unwrap().len()), (None, 2));
    let by = set(&admin, &format!("{SECRETS}/A"), "canary-of-environment").await.json()["updatedBy"].clone();
    let inherited = explain(ACME, "A").await;
    assert_eq!((&inherited["name"], &inherited["space"]), (&json!("A"), &json!("acme")));
    assert_eq!(inherited["found"], json!({"space": null, "version": 1}));
    assert_eq!(inherited["trail"][0], json!({"space": "acme", "verdict": "missing"}));
    let outer = &inherited["trail"][1];
    assert_eq!((&outer["space"], &outer["verdict"], &outer["version"]), (&Value::Null, &json!("value"), &json!(1)));
    assert_eq!(outer["by"], by);
    assert!(outer["since"].as_str().unwrap().ends_with('Z') && outer["revision"].is_u64());

    admin.put(&format!("{ACME}/A/block"), &Value::Null).await;
    let blocked = explain(ACME, "A").await;
    assert_eq!((blocked.get("found"), &blocked["trail"][0]["verdict"]), (None, &json!("blocked")));
    assert_eq!(blocked["trail"].as_array().unwrap().len(), 1, "nobody else is asked");
    set(&admin, &format!("{ACME}/A"), "canary-of-space").await;
    assert_eq!(explain(ACME, "A").await["found"], json!({"space": "acme", "version": 1}));
    let environment = explain(SECRETS, "A").await;
    assert_eq!((&environment["space"], &environment["found"]), (&Value::Null, &json!({"space": null, "version": 1})));
}

#[tokio::test]
async fn odd_names_are_percent_encoded_and_decoded_once() {
    let house = House::open().await;
    let admin = house.admin().await;
    let odd = [
        ("a%20b", "a b"),
        ("a%3Ab", "a:b"),
        ("a%2Fb", "a/b"),
        ("%C3%A9%E2%82%AC", "é€"),
        ("a%252Fb", "a%2Fb"),
        ("%2A", "*"),
    ];
    for (space, space_name) in odd {
        assert_eq!(admin.post(SPACES, &json!({ "name": space_name })).await.status, 201, "{space_name}");
        assert_eq!(admin.get(&format!("{SPACES}/{space}")).await.json()["name"], space_name);
        for (written, name) in odd {
            let one = format!("{SPACES}/{space}/secrets/{written}");
            let secret = set(&admin, &one, "canary-odd").await.json();
            assert_eq!((&secret["space"], &secret["name"]), (&json!(space_name), &json!(name)));
            assert_eq!(admin.get(&format!("{one}/explanation")).await.json()["found"]["space"], space_name);
            assert_eq!(admin.put(&format!("{one}/block"), &Value::Null).await.json()["name"], name);
        }
        let items = admin.get(&format!("{SPACES}/{space}/secrets")).await.json()["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), odd.len());
    }
    assert_eq!(admin.get(SECRETS).await.json()["items"], json!([]), "nothing of it is in the environment");
}

#[tokio::test]
async fn what_cannot_be_a_space_is_one_that_does_not_exist() {
    let house = House::open().await;
    let key = house.key(Role::Admin).await;
    for written in ["%2e%2e", "%2E", "a%00b", "a%0Ab", "%20a", "e%CC%81", "%E2%80%AEx", &"x".repeat(201)] {
        for path in [
            format!("{SPACES}/{written}"),
            format!("{SPACES}/{written}/secrets"),
            format!("{SPACES}/{written}/secrets/A"),
        ] {
            let (status, body) = house.raw_path("GET", &path, &key).await;
            let problem: Value = serde_json::from_str(&body).unwrap();
            assert_eq!((status, problem["code"].as_str()), (404, Some("space_not_found")), "{path}");
        }
    }
    for written in ["%C0%AF", "%FF", "%ED%A0%80"] {
        let (status, body) = house.raw_path("GET", &format!("{SPACES}/{written}"), &key).await;
        assert_eq!((status, body.contains("invalid_name")), (400, true), "{written}");
    }
}

#[tokio::test]
async fn events_are_emitted_in_a_space_and_followed_there() {
    let house = House::open().await;
    let admin = house.admin().await;
    for name in ["acme", "a b/c"] {
        assert_eq!(admin.post(SPACES, &json!({ "name": name })).await.status, 201);
    }
    let emit = async |space: Option<&str>| {
        let mut body = json!({"name": "order.created", "data": {"in": space}});
        if let Some(space) = space {
            body["space"] = json!(space);
        }
        admin.post("/v1/environments/default/events", &body).await
    };
    let mut all = admin.subscribe("?pattern=%3E").await;
    let mut some = admin.subscribe("?pattern=%3E&space=acme&space=a%20b%2Fc").await;
    let mut one = admin.subscribe("?pattern=%3E&space=a+b/c").await;
    for frames in [&mut all, &mut some, &mut one] {
        assert_eq!(frames.next().await.unwrap().kind, "ready");
    }
    for space in [None, Some("acme"), Some("a b/c")] {
        let emitted = emit(space).await;
        assert_eq!((emitted.status, emitted.json().get("space").cloned()), (202, space.map(|space| json!(space))));
    }
    set(&admin, &format!("{SPACES}/a%20b%2Fc/secrets/A"), "canary-1234").await;
    let heard = async |frames: &mut crate::support::Frames, count: usize| {
        let mut heard = Vec::new();
        for _ in 0..count {
            let frame = frames.next().await.unwrap();
            assert!(!frame.data.to_string().contains("canary"));
            heard.push((frame.data["name"].as_str().unwrap().to_owned(), frame.data.get("space").cloned()));
        }
        heard
    };
    let order = |space: Option<&str>| ("order.created".to_owned(), space.map(|space| json!(space)));
    let change = ("system.secret.A.created".to_owned(), Some(json!("a b/c")));
    let both = [order(Some("acme")), order(Some("a b/c")), change.clone()];
    assert_eq!(heard(&mut all, 4).await, [&[order(None)], &both[..]].concat());
    assert_eq!(heard(&mut some, 3).await, both);
    assert_eq!(heard(&mut one, 2).await, both[1..]);
    assert_eq!(emit(Some("nowhere")).await.code(), "space_not_found");
    assert_eq!(emit(Some(" a")).await.code(), "invalid_name");
}

#[tokio::test]
async fn a_narrowed_key_sees_emits_and_follows_its_spaces_only() {
    let house = House::open().await;
    let admin = house.admin().await;
    for name in ["acme", "other"] {
        assert_eq!(admin.post(SPACES, &json!({ "name": name })).await.status, 201);
    }
    let spaces = Some(vec!["acme".parse().unwrap()]);
    let bounds = Bounds { secrets: vec!["*".to_owned()], spaces, ..Bounds::default() };
    let narrowed = house.client_with(&house.key_with(Role::Runtime, bounds).await);
    let listed = narrowed.get(SPACES).await.json();
    assert_eq!((&listed["items"][0]["name"], listed["items"].as_array().unwrap().len()), (&json!("acme"), 1));
    let emit = |body: Value| narrowed.post("/v1/environments/default/events", Box::leak(Box::new(body)));
    assert_eq!(emit(json!({"name": "a", "space": "acme"})).await.status, 202);
    assert_eq!(emit(json!({"name": "a", "space": "other"})).await.code(), "space_not_found");
    assert_eq!(emit(json!({"name": "a"})).await.code(), "denied");
    let mut frames = narrowed.subscribe("?pattern=a.%3E").await;
    assert_eq!(frames.next().await.unwrap().kind, "ready");
    for space in [None, Some("other"), Some("acme")] {
        admin.post("/v1/environments/default/events", &json!({"name": "a.b", "space": space})).await;
    }
    assert_eq!(frames.next().await.unwrap().data["space"], "acme");
}

#[tokio::test]
async fn no_route_of_the_management_plane_answers_with_a_value() {
    let house = House::open().await;
    let admin = house.admin().await;
    open(&admin).await;
    for path in [format!("{SECRETS}/A"), format!("{ACME}/A"), format!("{SECRETS}/B"), format!("{ACME}/C")] {
        let answer = admin.put(&path, &json!({"value": "canary-5e5e-value", "description": "d"})).await;
        assert!(answer.status == 201 && !answer.text.contains("canary"), "{answer:?}");
    }
    let document: Value = serde_json::from_str(claviger_server::openapi_json()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // The one is a stream without end, the other a WebSocket; both have tests of their own.
        if item.get("get").is_none() || path.ends_with("/subscribe") || path.ends_with("/worker") {
            continue;
        }
        for name in ["A", "B", "C"] {
            let path = path.replace("{env}", "default").replace("{space}", "acme").replace("{name}", name);
            let answer = admin.get(&path.replace("{id}", "x").replace("{run}", "run_0")).await;
            assert!(!answer.text.contains("canary") && answer.status < 500, "{path}: {answer:?}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
    for (method, path) in [
        ("PUT", format!("{ACME}/A/block")),
        ("DELETE", format!("{ACME}/A/block")),
        ("DELETE", format!("{ACME}/C")),
        ("DELETE", format!("{SPACES}/acme")),
        ("DELETE", format!("{SECRETS}/B")),
    ] {
        let answer = admin.send(admin.request(method, &path)).await;
        assert!(answer.status == 200 && !answer.text.contains("canary"), "{method} {path}: {answer:?}");
    }
}

//! Rows of secrets: merged, written, deleted, and to whom their values go.

use claviger_core::{Bounds, Role, Scope};
use claviger_engine::{
    audit::Fact,
    vault::{SetSecret, Short},
};
use serde_json::{Value, json};

use crate::support::{House, caller, caller_with};

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_space_inherits_overrides_and_inherits_again() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let (one, two) = (house.space("one").await, house.space("two").await);
    house.set("SLACK_TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    house.set("OTHER", "another-one", json!({ "environmentId": environment, "spaceId": null, "actorId": null })).await;
    let own = house.set("SLACK_TOKEN", "of-space-one", json!({ "spaceId": one })).await;
    house.set("ONLY_HERE", "only-in-one", json!({ "environmentId": environment, "spaceId": one })).await;

    let both = [("OTHER", "another-one"), ("SLACK_TOKEN", "of-the-environment")];
    let in_one = [("ONLY_HERE", "only-in-one"), ("OTHER", "another-one"), ("SLACK_TOKEN", "of-space-one")];
    for (query, expected) in [
        (format!("environmentId={environment}"), &both[..]),
        (format!("environmentId={environment}&spaceId={one}"), &in_one),
        (format!("spaceId={one}"), &in_one),
        (format!("environmentId={environment}&spaceId={two}"), &both),
        (format!("environmentId={environment}&spaceId="), &both),
    ] {
        assert_eq!(house.values(&query).await, pairs(expected), "{query}");
    }
    let rows = house.as_runtime().get(&format!("/v1/secrets?environmentId={environment}&spaceId={one}")).await;
    let of = |name: &str| rows.data().as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    assert_eq!((&of("SLACK_TOKEN")["spaceId"], &of("SLACK_TOKEN")["id"]), (&json!(one), &own["id"]));
    assert_eq!((of("OTHER").get("spaceId"), &of("OTHER")["environmentId"]), (None, &json!(environment)));

    let deleted = house.as_operator().delete(&format!("/v1/secrets/{}", own["id"].as_str().unwrap())).await;
    assert_eq!(deleted.data()[0], own, "the row that is gone");
    let expected = [("ONLY_HERE", "only-in-one"), ("OTHER", "another-one"), ("SLACK_TOKEN", "of-the-environment")];
    assert_eq!(house.values(&format!("spaceId={one}")).await, pairs(&expected));
}

#[tokio::test]
async fn setting_again_keeps_the_row_and_changes_its_value() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let place = json!({ "environmentId": environment });
    let first = house.set("TOKEN", "the-first-value", place.clone()).await;
    let again = house.set("TOKEN", "the-first-value", place.clone()).await;
    let rotated = house.set("TOKEN", "the-second-value", place).await;
    assert_eq!((&first, &again), (&again, &rotated));
    assert_eq!(first.get("value"), None, "nobody reads a value back");
    assert_eq!(house.values(&format!("environmentId={environment}")).await, pairs(&[("TOKEN", "the-second-value")]));
}

#[tokio::test]
async fn values_go_to_runtime_keys_only_and_one_record_names_each() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    house.set("A", "canary-value-a", json!({ "environmentId": environment })).await;
    house.set("B", "canary-value-b", json!({ "environmentId": environment })).await;
    let path = format!("/v1/secrets?environmentId={environment}");
    let before = house.audited().await.len();
    for role in [Role::Operator, Role::Viewer, Role::Admin] {
        let listed = house.asking(caller(role)).get(&path).await;
        let rows = listed.data().as_array().unwrap();
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.get("value").is_none()), "{role}: {rows:?}");
    }
    assert_eq!(house.asking(caller(Role::Subscriber)).get(&path).await.refusal().0, 403);
    let refused = house.audited().await.len();
    assert_eq!(refused - before, 1, "only the refusal is on record");
    house.as_runtime().get(&path).await.data();
    let audited = house.audited().await;
    assert_eq!(audited.len(), refused + 1, "one record");
    let Fact::HandedOver { secrets, .. } = &audited[refused].fact else { panic!("{audited:?}") };
    let named: Vec<_> = secrets.iter().map(|version| (version.name.as_str(), version.version)).collect();
    assert_eq!(named, [("A", 1), ("B", 1)]);
}

#[tokio::test]
async fn a_key_gets_what_it_is_for() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let (acme, other) = (house.space("acme").await, house.space("other").await);
    house.set("SLACK_TOKEN", "slack-of-environment", json!({ "environmentId": environment })).await;
    house.set("STRIPE_KEY", "stripe-of-environment", json!({ "environmentId": environment })).await;
    house.set("SLACK_TOKEN", "slack-of-other", json!({ "spaceId": other })).await;
    let narrowed = caller_with(
        Role::Runtime,
        Bounds { secrets: vec!["SLACK_*".into()], spaces: Some(vec!["acme".parse().unwrap()]), ..Bounds::default() },
    );
    let values = async |query: String| {
        let listed = house.asking(narrowed.clone()).get(&format!("/v1/secrets?{query}")).await;
        listed.data().as_array().unwrap().iter().map(|row| row["value"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(values(format!("environmentId={environment}&spaceId={acme}")).await, ["slack-of-environment"]);
    assert_eq!(values(format!("environmentId={environment}")).await, [""; 0]);
    assert_eq!(values(format!("environmentId={environment}&spaceId={other}")).await, [""; 0]);
    let refused = house.asking(narrowed).get(&format!("/v1/secrets?spaceId={other}")).await;
    assert_eq!(refused.refusal(), (404, "spaceId"));
}

#[tokio::test]
async fn a_blocked_name_has_no_row() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let acme = house.space("acme").await;
    house.set("TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    let scope = Scope { environment: "default".parse().unwrap(), space: Some("acme".parse().unwrap()) };
    let token = "TOKEN".parse().unwrap();
    house.engine.vault().block(&caller(Role::Operator), &scope, &token, None).await.unwrap();
    for asking in [house.as_runtime(), house.as_operator()] {
        let listed = asking.get(&format!("/v1/secrets?spaceId={acme}")).await;
        assert_eq!(listed.data(), &json!([]));
    }
    house.set("TOKEN", "again-a-value", json!({ "spaceId": acme })).await;
    assert_eq!(house.values(&format!("spaceId={acme}")).await, pairs(&[("TOKEN", "again-a-value")]));
}

#[tokio::test]
async fn an_actors_own_secrets_win() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let acme = house.space("acme").await;
    let ada = "us_usr_00000001";
    house.set("TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    house.set("TOKEN", "of-the-space", json!({ "spaceId": acme })).await;
    let own = house.set("TOKEN", "of-ada", json!({ "environmentId": environment, "actorId": ada })).await;
    assert_eq!((&own["actorId"], own.get("spaceId")), (&json!(ada), None));
    let everywhere = format!("environmentId={environment}&spaceId={acme}");
    assert_eq!(house.values(&format!("{everywhere}&actorId={ada}")).await, pairs(&[("TOKEN", "of-ada")]));
    let here = house.set("TOKEN", "of-ada-in-the-space", json!({ "spaceId": acme, "actorId": ada })).await;
    assert_eq!((&here["actorId"], &here["spaceId"]), (&json!(ada), &json!(acme)));
    assert_eq!(house.values(&format!("{everywhere}&actorId={ada}")).await, pairs(&[("TOKEN", "of-ada-in-the-space")]));
    assert_eq!(
        house.values(&format!("environmentId={environment}&actorId={ada}")).await,
        pairs(&[("TOKEN", "of-ada")])
    );
    for nobody in ["us_key_l7DZXYfw", "us_usr_00000002", "flatfile:actor:x", "%00", "us_usr_"] {
        let values = house.values(&format!("{everywhere}&actorId={nobody}")).await;
        assert_eq!(values, pairs(&[("TOKEN", "of-the-space")]), "{nobody}");
    }
    let shown = house.as_operator().get(&format!("/v1/secrets?{everywhere}&actorId={ada}")).await;
    assert_eq!((&shown.data()[0]["actorId"], &shown.data()[0]["spaceId"]), (&json!(ada), &json!(acme)));
    let spaces = house.as_operator().get("/v1/spaces").await;
    assert_eq!(spaces.body["pagination"]["totalCount"], 1, "an actor's space is not shown: {spaces:?}");
    house.another().as_operator().delete(&format!("/v1/secrets/{}", here["id"].as_str().unwrap())).await.data();
    assert_eq!(house.values(&format!("{everywhere}&actorId={ada}")).await, pairs(&[("TOKEN", "of-ada")]));
    house.as_operator().delete(&format!("/v1/spaces/{acme}")).await.data();
    let again = house.space("acme").await;
    assert_eq!(again, acme);
    assert_eq!(house.values(&format!("{everywhere}&actorId={ada}")).await, pairs(&[("TOKEN", "of-ada")]));
}

#[tokio::test]
async fn short_values_are_taken_and_marked() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    for value in ["x", "12345"] {
        let row = house.set("SHORT", value, json!({ "environmentId": environment })).await;
        assert_eq!(row["unmaskable"], true);
        assert_eq!(house.values(&format!("environmentId={environment}")).await, pairs(&[("SHORT", value)]));
    }
    let row = house.set("SHORT", "123456", json!({ "environmentId": environment })).await;
    assert_eq!(row.get("unmaskable"), None);
}

#[tokio::test]
async fn names_and_values_go_through_as_they_are() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let long = "ö".repeat(1024);
    for (name, value) in [
        ("My Secret", "with \"quotes\", \\ and \u{1} and 😀"),
        ("us_wb_1234:MERGE_X_ACCOUNT_TOKEN", "$ \\ / ! \" é\n\t"),
        ("slack_token", "lower-case"),
        ("SLACK_TOKEN", "upper-case"),
        ("ключ / 鍵?&=#", &long),
        (&"n".repeat(1024), "the-longest-name"),
    ] {
        house.set(name, value, json!({ "environmentId": environment })).await;
        let values = house.values(&format!("environmentId={environment}")).await;
        assert!(values.contains(&(name.to_owned(), value.to_owned())), "{name}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_text_and_an_empty_one_have_their_rows() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let scope = Scope::environment("default".parse().unwrap());
    for (name, value) in [("BYTES", vec![0xff; 8]), ("EMPTY", Vec::new())] {
        let value = claviger_core::SecretValue::new(value);
        let set = SetSecret { value, description: None, short: Short::Accept, expected: None };
        house.engine.vault().set(&caller(Role::Operator), &scope, &name.parse().unwrap(), set).await.unwrap();
    }
    let values = house.values(&format!("environmentId={environment}")).await;
    assert_eq!(values, pairs(&[("BYTES", "(none)"), ("EMPTY", "")]));
}

#[tokio::test]
async fn what_is_unknown_or_elsewhere_says_nothing() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let staging = house.new_environment("staging").await;
    house.set("TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    let created = house.as_admin().post("/v1/spaces", json!({ "name": "there", "environmentId": staging })).await;
    let there = created.data()["id"].as_str().unwrap();
    house.set("TOKEN", "of-the-space-there", json!({ "spaceId": there })).await;
    for space in [there, "us_sp_00000000", "x%2F..%2F..&b=c%20d", "us_sp_%F0%9F%98%80", "1'%20OR%201=1"] {
        let values = house.values(&format!("environmentId={environment}&spaceId={space}")).await;
        assert_eq!(values, pairs(&[("TOKEN", "of-the-environment")]), "{space}");
    }
    let admin = house.as_admin().get(&format!("/v1/secrets?environmentId={environment}&spaceId={there}")).await;
    assert_eq!(admin.data().as_array().unwrap().len(), 1);
    for (query, expected) in [
        (String::new(), (400, "environmentId")),
        ("environmentId=&spaceId=&actorId=us_usr_1".to_owned(), (400, "environmentId")),
        ("environmentId=us_env_00000000".to_owned(), (404, "environmentId")),
        ("environmentId=default".to_owned(), (404, "environmentId")),
        (format!("environmentId={staging}"), (404, "environmentId")),
        (format!("spaceId={there}"), (404, "spaceId")),
        ("spaceId=us_sp_00000000".to_owned(), (404, "spaceId")),
    ] {
        let refused = house.as_runtime().get(&format!("/v1/secrets?{query}")).await;
        assert_eq!(refused.refusal(), expected, "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_set_is_refused() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let staging = house.new_environment("staging").await;
    let created = house.as_admin().post("/v1/spaces", json!({ "name": "there", "environmentId": staging })).await;
    let there = created.data()["id"].as_str().unwrap();
    let sent = |name: Value, value: Value, place: Value| {
        let mut sent = json!({ "name": name, "value": value, "environmentId": environment });
        sent.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        sent
    };
    for (sent, expected) in [
        (sent(json!(""), json!("value"), json!({})), (400, "name")),
        (sent(json!(" padded "), json!("value"), json!({})), (400, "name")),
        (sent(json!("a\nb"), json!("value"), json!({})), (400, "name")),
        (sent(json!("n".repeat(1025)), json!("value"), json!({})), (400, "name")),
        (sent(json!("N"), json!(""), json!({})), (400, "value")),
        (sent(json!("N"), json!("v".repeat(1025)), json!({})), (400, "value")),
        (sent(json!("N"), json!(7), json!({})), (400, "body")),
        (sent(json!("N"), json!(null), json!({})), (400, "body")),
        (sent(json!("N"), json!("«N@1»"), json!({})), (400, "")),
        (sent(json!("N"), json!("value"), json!({ "environmentId": null })), (400, "environmentId")),
        (sent(json!("N"), json!("value"), json!({ "environmentId": "us_env_00000000" })), (404, "environmentId")),
        (sent(json!("N"), json!("value"), json!({ "spaceId": "us_sp_00000000" })), (404, "spaceId")),
        (sent(json!("N"), json!("value"), json!({ "spaceId": there })), (400, "spaceId")),
        (sent(json!("N"), json!("value"), json!({ "actorId": "us_key_l7DZXYfw" })), (400, "actorId")),
        (json!({ "value": "value" }), (400, "body")),
        (json!(["N", "value"]), (400, "body")),
    ] {
        let refused = house.as_admin().post("/v1/secrets", sent.clone()).await;
        assert_eq!(refused.refusal(), expected, "{sent}");
    }
    let refused = house.as_runtime().post("/v1/secrets", sent(json!("N"), json!("value"), json!({}))).await;
    assert_eq!(refused.refusal().0, 403);
    let of_actor = sent(json!("N"), json!("value"), json!({ "actorId": "us_usr_1" }));
    assert_eq!(house.as_runtime().post("/v1/secrets", of_actor).await.refusal().0, 403);
    assert_eq!(house.values(&format!("environmentId={environment}")).await, pairs(&[]));
    for id in ["us_sec_YOUR_ID", "us_sec_000000000000000000000000", "a%2Fb%20c", "%ff"] {
        let refused = house.as_operator().delete(&format!("/v1/secrets/{id}")).await;
        assert_eq!(refused.refusal(), (404, "id"), "{id}");
    }
}

#[tokio::test]
async fn an_id_is_found_by_a_server_that_never_gave_it_out() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let acme = house.space("acme").await;
    let row = house.set("TOKEN", "of-the-space", json!({ "spaceId": acme })).await;
    house.set("TOKEN", "of-the-environment", json!({ "environmentId": environment })).await;
    let path = format!("/v1/secrets/{}", row["id"].as_str().unwrap());
    let other = house.another();
    assert_eq!(other.asking(caller(Role::Runtime)).delete(&path).await.refusal().0, 403);
    assert_eq!(other.as_operator().delete(&path).await.data()[0], row);
    assert_eq!(other.as_operator().delete(&path).await.refusal(), (404, "id"), "it is gone");
    assert_eq!(house.values(&format!("spaceId={acme}")).await, pairs(&[("TOKEN", "of-the-environment")]));
}

/// What a scope says of a name.
#[derive(Clone, Copy, PartialEq)]
enum Says {
    Nothing,
    Value,
    Block,
    BlockOverValue,
}

const SAYINGS: [Says; 4] = [Says::Nothing, Says::Value, Says::Block, Says::BlockOverValue];

/// Every combination of what four scopes may say, the innermost first. An environment blocks nothing.
fn combinations() -> Vec<[Says; 4]> {
    let of =
        |number: usize| [SAYINGS[number % 4], SAYINGS[number / 4 % 4], SAYINGS[number / 16 % 4], SAYINGS[number / 64]];
    (0..128).map(of).collect()
}

#[tokio::test]
async fn rows_are_the_same_with_values_and_without() {
    let house = House::open().await;
    let (environment, acme) = (house.environment("default").await, house.space("acme").await);
    let ada = "us_usr_00000001";
    let places = [
        (Some(format!("flatfile:actor:{ada}:acme")), json!({ "spaceId": acme, "actorId": ada })),
        (Some(format!("flatfile:actor:{ada}")), json!({ "environmentId": environment, "actorId": ada })),
        (Some("acme".to_owned()), json!({ "spaceId": acme })),
        (None, json!({ "environmentId": environment })),
    ];
    for (place, (space, sent)) in places.iter().enumerate() {
        // The first secret creates an actor's space, where others are blocked then.
        house.set("EVERYWHERE", &format!("of-place-{place}"), sent.clone()).await;
        let space = space.as_ref().map(|name| name.parse().unwrap());
        let scope = Scope { environment: "default".parse().unwrap(), space };
        for (number, says) in combinations().into_iter().enumerate() {
            let name = format!("NAME_{number:03}");
            if matches!(says[place], Says::Value | Says::BlockOverValue) {
                house.set(&name, &format!("of-place-{place}"), sent.clone()).await;
            }
            if matches!(says[place], Says::Block | Says::BlockOverValue) {
                let name = name.parse().unwrap();
                house.engine.vault().block(&caller(Role::Operator), &scope, &name, None).await.unwrap();
            }
        }
    }
    let mut expected = pairs(&[("EVERYWHERE", "of-place-0")]);
    for (number, says) in combinations().into_iter().enumerate() {
        let first = says.iter().position(|says| *says != Says::Nothing);
        if let Some(place) = first.filter(|place| says[*place] == Says::Value) {
            expected.push((format!("NAME_{number:03}"), format!("of-place-{place}")));
        }
    }
    let query = format!("environmentId={environment}&spaceId={acme}&actorId={ada}");
    assert_eq!(house.values(&query).await, expected);
    for query in [
        query,
        format!("environmentId={environment}&spaceId={acme}"),
        format!("environmentId={environment}&actorId={ada}"),
        format!("environmentId={environment}"),
    ] {
        let path = format!("/v1/secrets?{query}");
        let (with, without) = (house.as_runtime().get(&path).await, house.as_operator().get(&path).await);
        assert!(!ids(with.data()).is_empty(), "{query}");
        assert_eq!(ids(with.data()), ids(without.data()), "{query}");
    }
}

/// Names and ids of rows.
fn ids(rows: &Value) -> Vec<(&str, &str)> {
    rows.as_array().unwrap().iter().map(|row| (row["name"].as_str().unwrap(), row["id"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_listing_too_large_for_its_audit_record_is_refused_whole() {
    let house = House::open().await;
    let environment = house.environment("default").await;
    let scope = Scope::environment("default".parse().unwrap());
    let names: Vec<String> = (0..1_000).map(|number| format!("{number:04}{}", "n".repeat(1_020))).collect();
    for name in &names {
        let value = claviger_core::SecretValue::new(b"canary-of-many".to_vec());
        let set = SetSecret { value, description: None, short: Short::Accept, expected: None };
        house.engine.vault().set(&caller(Role::Operator), &scope, &name.parse().unwrap(), set).await.unwrap();
    }
    let path = format!("/v1/secrets?environmentId={environment}");
    let refused = house.as_runtime().get(&path).await;
    assert_eq!(refused.refusal(), (413, ""));
    assert!(!refused.body.to_string().contains("canary"), "no value leaves");
    let message = refused.body["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("listing") && message.contains("narrow the API key"), "{message}");
    // Whoever gets no values has no such record, and a narrower key has a shorter one.
    assert_eq!(house.as_operator().get(&path).await.data().as_array().unwrap().len(), names.len());
    let narrowed = caller_with(Role::Runtime, Bounds { secrets: vec!["00*".into()], ..Bounds::default() });
    let rows = house.asking(narrowed).get(&path).await;
    assert_eq!(rows.data().as_array().unwrap().len(), 100);
    assert!(rows.data().as_array().unwrap().iter().all(|row| row["value"] == "canary-of-many"));
}

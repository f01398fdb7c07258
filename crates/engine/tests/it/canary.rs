//! Whatever the store holds, it holds no value in any common form.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use claviger_core::{Bounds, Role};
use claviger_engine::access::{NewApiKey, system_caller};
use claviger_store::Stream;

use crate::support::{deliver, list, memory_engine, name, records, scope, set};

const CANARY: &str = "canary-4b1d93e0c7";

/// The canary as it is, in hexadecimal, and in base64 at each of the three alignments.
fn forms() -> Vec<Vec<u8>> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![CANARY.as_bytes().to_vec(), hex.clone().into_bytes(), hex.to_uppercase().into_bytes()];
    for shift in 0..3 {
        let encoded = STANDARD_NO_PAD.encode(format!("{}{CANARY}", "x".repeat(shift)));
        // Without the characters that its neighbors have a part in.
        forms.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
    }
    forms
}

fn holds_canary(bytes: &[u8]) -> bool {
    forms().iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
}

#[tokio::test]
async fn no_record_and_no_index_entry_holds_a_value() {
    let (store, engine) = memory_engine().await;
    for round in 0..12 {
        set(&engine, "A", &format!("{CANARY}-{round}")).await;
    }
    set(&engine, "B", CANARY).await;
    let _delivered = deliver(&engine, &store, &["A", "B"]).await.expect("delivered");
    engine.vault().delete(&system_caller(), &scope(), &name("B"), None).await.expect("deleted");
    let new =
        NewApiKey { role: Role::Admin, environment: None, description: None, bounds: Bounds::default(), ttl: None };
    let (_, key) = engine.access().create_api_key(&system_caller(), new).await.expect("created");
    list(&engine).await.expect("listed");

    let mut searched = 0;
    for stream in Stream::ALL {
        for record in records(&store, stream).await {
            assert!(!holds_canary(&record.bytes), "{}", record.subject);
            assert!(!record.bytes.windows(20).any(|window| key.as_bytes().ends_with(window)), "{}", record.subject);
            searched += 1;
        }
    }
    assert!(searched > 15);
    for entry in store.index.scan("secrets", "", "", 1_000).await.expect("read") {
        assert!(!holds_canary(&entry.value), "{}", entry.key);
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(holds_canary(format!("before {CANARY} after").as_bytes()));
    for shift in 0..3 {
        let encoded = STANDARD_NO_PAD.encode(format!("{}{CANARY} and more", "-".repeat(shift)));
        assert!(holds_canary(encoded.as_bytes()), "{encoded}");
    }
}

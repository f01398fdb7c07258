//! The canary hunt. Every secret carries a canary. After a session that does everything wrong that users and programs do
//! with values, all that was stored, logged, answered and shown is searched for every canary in every encoding.

mod canaries;
mod flatfile;
mod house;
mod hunt;
mod mistakes;
mod places;
mod plot;

use std::{fs, path::Path};

use rusqlite::Connection;

use self::{
    canaries::Canaries,
    house::{House, Kind},
    hunt::{Hunt, Place},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_anywhere_around_a_development_server() {
    hunt(Kind::Development).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_anywhere_around_a_server_with_a_master_key() {
    hunt(Kind::Production).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_anywhere_around_a_server_on_nats() {
    hunt(Kind::Nats).await;
}

async fn hunt(kind: Kind) {
    let canaries = Canaries::new();
    let house = House::open(kind, &canaries).await;
    plot::unfold(&house, &canaries).await;
    flatfile::use_it(&house, &canaries).await;
    mistakes::make(&house, &canaries).await;
    flatfile::make_mistakes(&house, &canaries).await;
    let hunt = Hunt::new(&canaries, &house.keys());
    let mut places = places::while_running(&house, &canaries).await;
    places.extend(places::after_the_end(house).await);
    let found: Vec<String> = places.iter().flat_map(|place| hunt.search(place)).collect();
    assert!(found.is_empty(), "{} values were found:\n{}", found.len(), found.join("\n"));
    for place in &places {
        hunt.assert_that_it_would_be_found(place);
    }
}

/// The control for what SQLite leaves behind: a value that was written and deleted carelessly.
#[test]
fn a_value_in_a_free_page_or_in_the_log_of_the_database_would_be_found() {
    let canaries = Canaries::new();
    let hunt = Hunt::new(&canaries, &[]);
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("careless.db");
    let database = Connection::open(&path).expect("a database");
    database
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA secure_delete = OFF; CREATE TABLE t (value BLOB);")
        .expect("a table");
    database.execute("INSERT INTO t VALUES (?1)", [canaries.plain()]).expect("a row");
    assert!(!hunt.search(&place(&home.path().join("careless.db-wal"))).is_empty(), "in the log");
    database.execute_batch("DELETE FROM t; PRAGMA wal_checkpoint(TRUNCATE);").expect("no row");
    drop(database);
    assert!(!hunt.search(&place(&path)).is_empty(), "in a free page");
}

fn place(path: &Path) -> Place {
    Place::new(path.display().to_string(), fs::read(path).expect("a file"))
}

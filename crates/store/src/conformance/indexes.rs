//! Indexes.

use std::{collections::BTreeMap, sync::Arc};

use claviger_core::Revision;

use crate::{Index, Op, Stream};

fn put(key: &str, value: &[u8]) -> Op {
    Op::Put { key: key.to_owned(), value: value.to_vec() }
}

fn delete(key: &str) -> Op {
    Op::Delete { key: key.to_owned() }
}

async fn write(index: &dyn Index, fold: &str, ops: Vec<Op>) {
    index.write(fold, ops, BTreeMap::new()).await.unwrap();
}

async fn keys(index: &dyn Index, prefix: &str, after: &str, limit: usize) -> Vec<String> {
    index.scan("fold", prefix, after, limit).await.unwrap().into_iter().map(|entry| entry.key).collect()
}

/// Nothing is there, and nothing is wrong.
pub async fn a_new_fold_reflects_nothing(index: Arc<dyn Index>) {
    assert!(index.reflected("fold").await.unwrap().is_empty());
    assert!(index.get("fold", "a").await.unwrap().is_none());
    assert!(keys(&*index, "", "", 10).await.is_empty());
    index.clear("fold").await.unwrap();
}

/// Values are read back, replaced and removed.
pub async fn what_is_put_is_there(index: Arc<dyn Index>) {
    write(&*index, "fold", vec![put("a", b"1"), put("b", b""), put("", b"empty key")]).await;
    assert_eq!(index.get("fold", "a").await.unwrap().unwrap(), b"1");
    assert_eq!(index.get("fold", "b").await.unwrap().unwrap(), b"");
    assert_eq!(index.get("fold", "").await.unwrap().unwrap(), b"empty key");
    write(&*index, "fold", vec![put("a", b"2"), delete("b"), delete("nobody")]).await;
    assert_eq!(index.get("fold", "a").await.unwrap().unwrap(), b"2");
    assert!(index.get("fold", "b").await.unwrap().is_none());
}

/// The last operation on a key decides.
pub async fn operations_apply_in_order(index: Arc<dyn Index>) {
    write(
        &*index,
        "fold",
        vec![put("a", b"1"), delete("a"), put("b", b"1"), put("b", b"2"), delete("c"), put("c", b"")],
    )
    .await;
    assert_eq!(keys(&*index, "", "", 10).await, ["b", "c"]);
    assert_eq!(index.get("fold", "b").await.unwrap().unwrap(), b"2");
}

/// Streams that a write does not name keep the revision they had.
pub async fn reflections_add_up(index: Arc<dyn Index>) {
    let revisions = |revisions: &[(Stream, u64)]| -> BTreeMap<Stream, Revision> {
        revisions.iter().map(|&(stream, revision)| (stream, Revision(revision))).collect()
    };
    index.write("fold", vec![], revisions(&[(Stream::Runs, 5), (Stream::Audit, 7)])).await.unwrap();
    index.write("fold", vec![put("a", b"")], revisions(&[(Stream::Runs, 6)])).await.unwrap();
    write(&*index, "fold", vec![put("b", b"")]).await;
    assert_eq!(index.reflected("fold").await.unwrap(), revisions(&[(Stream::Runs, 6), (Stream::Audit, 7)]));
}

/// Folds share nothing, not even by a prefix of their names.
pub async fn folds_are_apart(index: Arc<dyn Index>) {
    for fold in ["fold", "fold2", "FOLD"] {
        index.write(fold, vec![put("a", fold.as_bytes())], [(Stream::Runs, Revision(1))].into()).await.unwrap();
    }
    index.clear("fold").await.unwrap();
    assert!(index.get("fold", "a").await.unwrap().is_none());
    for fold in ["fold2", "FOLD"] {
        assert_eq!(index.get(fold, "a").await.unwrap().unwrap(), fold.as_bytes());
        assert_eq!(index.reflected(fold).await.unwrap().len(), 1);
    }
}

/// Pages of a prefix, each after the last key of the one before, are the whole.
pub async fn scans_are_pages(index: Arc<dyn Index>) {
    let wanted: Vec<String> = (0..250).map(|at| format!("p/{at:03}")).collect();
    let others = ["a", "p", "p.", "p0", "q/000"];
    let ops = wanted.iter().map(String::as_str).chain(others).map(|key| put(key, key.as_bytes()));
    write(&*index, "fold", ops.collect()).await;
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = index.scan("fold", "p/", &after, 100).await.unwrap();
        assert!(page.len() <= 100);
        assert!(page.iter().all(|entry| entry.value == entry.key.as_bytes()));
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        found.extend(page.into_iter().map(|entry| entry.key));
    }
    assert_eq!(found, wanted);
    assert!(keys(&*index, "p/", "", 0).await.is_empty());
    assert_eq!(keys(&*index, "p/", "p/1005", 1).await, ["p/101"], "a cursor need not be a key");
    assert_eq!(keys(&*index, "p/", "a", 1).await, ["p/000"], "a cursor before the prefix is no limit");
    assert!(keys(&*index, "p/", "q", 1).await.is_empty(), "a cursor behind the prefix leaves nothing");
}

/// Keys are compared as bytes: case, zeros and letters beyond ASCII have no meaning of their own.
pub async fn scans_compare_bytes(index: Arc<dyn Index>) {
    let sorted =
        ["", "\0", "A", "B", "a", "a\0", "a\0b", "a ", "a%", "a_", "aa", "b", "z\u{7f}", "ä", "äb", "\u{10FFFF}"];
    write(&*index, "fold", sorted.iter().rev().map(|key| put(key, b"")).collect()).await;
    assert_eq!(keys(&*index, "", "", 100).await, sorted);
    for prefix in sorted {
        let wanted: Vec<_> = sorted.into_iter().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(keys(&*index, prefix, "", 100).await, wanted, "{prefix:?}");
        let wanted: Vec<_> = wanted.into_iter().filter(|&key| key > prefix).collect();
        let found = if prefix.is_empty() {
            keys(&*index, "", "\0", 100).await
        } else {
            keys(&*index, prefix, prefix, 100).await
        };
        let wanted = if prefix.is_empty() { &wanted[1..] } else { &wanted[..] };
        assert_eq!(found, wanted, "after {prefix:?}");
    }
}

/// Afterwards the fold is new again.
pub async fn clearing_forgets(index: Arc<dyn Index>) {
    for round in 1..3 {
        let reflected: BTreeMap<_, _> = [(Stream::Runs, Revision(round))].into();
        index.write("fold", vec![put("a", b"1"), put("b", b"2")], reflected.clone()).await.unwrap();
        assert_eq!(index.reflected("fold").await.unwrap(), reflected);
        index.clear("fold").await.unwrap();
        assert!(index.reflected("fold").await.unwrap().is_empty());
        assert!(keys(&*index, "", "", 10).await.is_empty());
    }
}

/// A value of 64 KiB, and many of them at once.
pub async fn large_values_are_kept(index: Arc<dyn Index>) {
    let value = |at: u8| vec![at; 64 * 1024];
    write(&*index, "fold", (0..32).map(|at| put(&format!("{at:02}"), &value(at))).collect()).await;
    let found = index.scan("fold", "", "", 100).await.unwrap();
    assert!(found.iter().zip(0..32).all(|(entry, at)| entry.value == value(at)));
    assert_eq!(found.len(), 32);
}

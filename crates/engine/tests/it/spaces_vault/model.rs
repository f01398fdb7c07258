//! Random sequences of changes in an environment and its spaces, compared to a naive model.

use std::{collections::BTreeMap, sync::Arc};

use claviger_core::Verdict;
use claviger_engine::{Error, Names};
use claviger_store::{MemoryIndex, MemoryLedger};
use proptest::prelude::*;

use super::*;

/// In the order of lists.
const NAMES: [&str; 5] = ["A", "AA", "Z", "a.b", "Ω name"];
const PLACES: [Option<&str>; 4] = [None, Some("acme"), Some("acme 2"), Some("Ω/*.>")];

#[derive(Clone, Debug)]
enum Step {
    Set {
        place: usize,
        secret: usize,
        text: String,
    },
    Delete {
        place: usize,
        secret: usize,
    },
    Block {
        place: usize,
        secret: usize,
    },
    Unblock {
        place: usize,
        secret: usize,
    },
    /// Another server, and perhaps nothing of the index is left.
    Restart {
        keeps_index: bool,
    },
    Check,
}

fn step() -> impl Strategy<Value = Step> {
    let at = || (0..PLACES.len(), 0..NAMES.len());
    prop_oneof![
        6 => (at(), "[a-z]{0,8}").prop_map(|((place, secret), text)| Step::Set { place, secret, text }),
        3 => at().prop_map(|(place, secret)| Step::Delete { place, secret }),
        3 => at().prop_map(|(place, secret)| Step::Block { place, secret }),
        2 => at().prop_map(|(place, secret)| Step::Unblock { place, secret }),
        1 => any::<bool>().prop_map(|keeps_index| Step::Restart { keeps_index }),
        1 => Just(Step::Check),
    ]
}

fn place(at: usize) -> Scope {
    PLACES[at].map_or_else(scope, space)
}

/// What one scope has of a name.
#[derive(Clone, Debug, Default, PartialEq)]
struct Modeled {
    latest: u64,
    text: Option<String>,
    is_blocked: bool,
}

#[derive(Default)]
struct Model(BTreeMap<(usize, usize), Modeled>);

impl Model {
    fn get(&self, place: usize, secret: usize) -> Modeled {
        self.0.get(&(place, secret)).cloned().unwrap_or_default()
    }

    /// What a name means, in words of its own: the space's, unless it says nothing.
    fn meaning(&self, place: usize, secret: usize) -> Option<(usize, u64, String)> {
        let (own, outer) = (self.get(place, secret), self.get(0, secret));
        if let Some(text) = own.text {
            return Some((place, own.latest, text));
        }
        let text = if own.is_blocked { None } else { outer.text };
        text.map(|text| (0, outer.latest, text))
    }

    fn origin(&self, place: usize, secret: usize) -> Option<Origin> {
        let (own, outer) = (self.get(place, secret), self.get(0, secret));
        match (own.text, own.is_blocked, outer.text) {
            (_, true, _) => Some(Origin::Blocked),
            (Some(_), false, Some(_)) if place > 0 => Some(Origin::Overridden),
            (Some(_), ..) => Some(Origin::Own),
            (None, false, Some(_)) => Some(Origin::Inherited),
            (None, false, None) => None,
        }
    }

    fn verdict(&self, place: usize, secret: usize) -> Verdict {
        let modeled = self.get(place, secret);
        match (modeled.is_blocked, modeled.text) {
            (true, _) => Verdict::Blocked,
            (false, Some(_)) => Verdict::Value(modeled.latest),
            (false, None) => Verdict::Missing,
        }
    }

    async fn change(&mut self, engine: &Engine, step: &Step) {
        let (vault, system) = (engine.vault(), system_caller());
        match step {
            Step::Set { place: at, secret, text } => {
                let set = set_in(engine, &place(*at), NAMES[*secret], text).await;
                let modeled = self.0.entry((*at, *secret)).or_default();
                *modeled = Modeled { latest: modeled.latest + 1, text: Some(text.clone()), is_blocked: false };
                assert_eq!(set.secret.active, Some(modeled.latest));
            }
            Step::Delete { place: at, secret } => {
                let deleted = vault.delete(&system, &place(*at), &name(NAMES[*secret]), None).await;
                match self.0.entry((*at, *secret)).or_default().text.take() {
                    Some(_) => assert_eq!(deleted.expect("deleted").secret.active, None),
                    None => assert!(matches!(deleted, Err(Error::SecretNotFound)), "{deleted:?}"),
                }
            }
            Step::Block { place: at, secret } => {
                let blocked = vault.block(&system, &place(*at), &name(NAMES[*secret]), None).await;
                if *at == 0 {
                    assert_eq!(blocked.expect_err("refused").code(), "invalid_request");
                } else {
                    assert!(blocked.expect("blocked").secret.blocked);
                    let modeled = self.0.entry((*at, *secret)).or_default();
                    (modeled.text, modeled.is_blocked) = (None, true);
                }
            }
            Step::Unblock { place: at, secret } => {
                let unblocked = vault.unblock(&system, &place(*at), &name(NAMES[*secret]), None).await;
                let was_blocked = std::mem::take(&mut self.0.entry((*at, *secret)).or_default().is_blocked);
                assert_eq!(unblocked.is_ok(), was_blocked, "{unblocked:?}");
            }
            Step::Restart { .. } | Step::Check => {}
        }
    }

    async fn check(&self, engine: &Engine, store: &Store) {
        for at in 0..PLACES.len() {
            self.check_list(engine, at).await;
            for secret in 0..NAMES.len() {
                self.check_name(engine, store, at, secret).await;
            }
        }
    }

    /// Pages of every size are parts of the same list.
    async fn check_list(&self, engine: &Engine, at: usize) {
        let expected: Vec<_> =
            (0..NAMES.len()).filter_map(|secret| Some((NAMES[secret].to_owned(), self.origin(at, secret)?))).collect();
        for limit in 1..=NAMES.len() {
            let (mut listed, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = engine.vault().list(&system_caller(), &place(at), after.as_deref(), limit).await;
                let page = page.expect("listed");
                assert!(page.items.len() <= limit && (page.next.is_none() || page.items.len() == limit));
                for item in page.items {
                    let described =
                        engine.vault().describe(&system_caller(), &place(at), &item.secret.secret.name).await;
                    assert_eq!(described.expect("described"), item);
                    listed.push((item.secret.secret.name.to_string(), item.origin));
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, expected, "in pages of {limit}");
        }
    }

    async fn check_name(&self, engine: &Engine, store: &Store, at: usize, secret: usize) {
        let expected = self.meaning(at, secret);
        let prepared = prepare_in(engine, &place(at), &[NAMES[secret]]).await.expect("prepared");
        let won = expected.as_ref().map(|(from, version, _)| {
            let (name, space) = (name(NAMES[secret]), place(*from).space);
            SecretVersion { name, version: *version, space }
        });
        assert_eq!(prepared.delivered(), won.as_slice());
        let explained = engine.vault().explain(&system_caller(), &place(at), &name(NAMES[secret])).await;
        let explained = explained.expect("explained");
        let found = expected.as_ref().map(|(from, version, _)| (place(*from), *version));
        assert_eq!(explained.found, found);
        let mut trail = vec![(place(at), self.verdict(at, secret))];
        if at > 0 && trail[0].1 == Verdict::Missing {
            trail.push((scope(), self.verdict(0, secret)));
        }
        assert!(explained.trail.into_iter().map(|entry| (entry.scope, entry.verdict)).eq(trail));
        let described = engine.vault().describe(&system_caller(), &place(at), &name(NAMES[secret])).await;
        assert_eq!(described.ok().map(|found| found.origin), self.origin(at, secret));
        assert_eq!(meaning(engine, store, &place(at), NAMES[secret]).await, expected.map(|(.., text)| text));
    }
}

async fn live(steps: Vec<Step>, names: Names) {
    let mut store = Store { names, ..Store::over(Arc::new(MemoryLedger::new()), Arc::new(MemoryIndex::new())) };
    let mut engine = store.engine().await;
    for at in 1..PLACES.len() {
        create_space(&engine, &place(at)).await;
    }
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Restart { keeps_index } => {
                drop(engine);
                if !keeps_index {
                    store.index = Arc::new(MemoryIndex::new());
                }
                engine = store.engine().await;
            }
            Step::Check => model.check(&engine, &store).await,
            change => model.change(&engine, &change).await,
        }
    }
    model.check(&engine, &store).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_environment_and_its_spaces_do_what_maps_do(steps in proptest::collection::vec(step(), 1..60), seal: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(live(steps, if seal { Names::Sealed } else { Names::Plain }));
    }
}

//! Random sequences of changes, compared to a naive model.

use std::collections::BTreeMap;

use claviger_core::{Revision, secret::Action};
use claviger_engine::{Engine, Error, access::system_caller, vault::SetSecret};
use proptest::prelude::*;

use crate::support::{Store, delivered, list, memory_engine, name, scope, value};

const NAMES: [&str; 4] = ["A", "B", "a.b", "long name with spaces"];

#[derive(Clone, Debug)]
enum Step {
    Set { secret: usize, text: String, guard: Guard },
    Delete { secret: usize, guard: Guard },
    Check,
}

#[derive(Clone, Copy, Debug)]
enum Guard {
    None,
    Current,
    Stale,
}

#[derive(Default)]
struct Model {
    secrets: BTreeMap<usize, Modeled>,
}

#[derive(Default)]
struct Modeled {
    latest: u64,
    text: Option<String>,
    revision: Revision,
}

fn step() -> impl Strategy<Value = Step> {
    let guard = prop_oneof![Just(Guard::None), Just(Guard::Current), Just(Guard::Stale)];
    prop_oneof![
        5 => (0..NAMES.len(), "[a-z]{6,12}", guard.clone())
            .prop_map(|(secret, text, guard)| Step::Set { secret, text, guard }),
        2 => (0..NAMES.len(), guard).prop_map(|(secret, guard)| Step::Delete { secret, guard }),
        1 => Just(Step::Check),
    ]
}

impl Model {
    /// The revision of the last change, zero when not set.
    fn current(&self, secret: usize) -> Revision {
        let modeled = self.secrets.get(&secret).filter(|modeled| modeled.text.is_some());
        modeled.map_or(Revision::ZERO, |modeled| modeled.revision)
    }

    fn expected(&self, secret: usize, guard: Guard) -> Option<Revision> {
        match guard {
            Guard::None => None,
            Guard::Current => Some(self.current(secret)),
            Guard::Stale => Some(self.current(secret).next()),
        }
    }

    async fn set(&mut self, engine: &Engine, secret: usize, text: String, guard: Guard) {
        let set = SetSecret { expected: self.expected(secret, guard), ..value(&text) };
        let outcome = engine.vault().set(&system_caller(), &scope(), &name(NAMES[secret]), set).await;
        if matches!(guard, Guard::Stale) {
            assert_eq!(outcome.expect_err("stale").current_revision(), Some(self.current(secret)));
            return;
        }
        let outcome = outcome.expect("set");
        let modeled = self.secrets.entry(secret).or_default();
        let action = if modeled.text.is_some() { Action::Updated } else { Action::Created };
        let revision = outcome.secret.revision;
        assert_eq!((outcome.action, outcome.secret.secret.active), (action, Some(modeled.latest + 1)));
        assert!(revision > modeled.revision);
        *modeled = Modeled { latest: modeled.latest + 1, text: Some(text), revision };
    }

    async fn delete(&mut self, engine: &Engine, secret: usize, guard: Guard) {
        let expected = self.expected(secret, guard);
        let outcome = engine.vault().delete(&system_caller(), &scope(), &name(NAMES[secret]), expected).await;
        let current = self.current(secret);
        if matches!(guard, Guard::Stale) {
            assert_eq!(outcome.expect_err("stale").current_revision(), Some(current));
        } else if current == Revision::ZERO {
            assert!(matches!(outcome, Err(Error::SecretNotFound)), "{outcome:?}");
        } else {
            let modeled = self.secrets.entry(secret).or_default();
            modeled.text = None;
            modeled.revision = outcome.expect("deleted").revision;
        }
    }

    async fn check(&self, engine: &Engine, store: &Store) {
        let set = self.secrets.iter().filter_map(|(secret, modeled)| Some((*secret, modeled, modeled.text.clone()?)));
        let mut expected: Vec<_> =
            set.map(|(secret, modeled, text)| (NAMES[secret].to_owned(), modeled.latest, text)).collect();
        assert_eq!(delivered(engine, store, &NAMES).await, expected);
        expected.sort();
        let listed = list(engine).await.expect("listed");
        let listed: Vec<_> =
            listed.iter().map(|info| (info.secret.name.to_string(), info.secret.latest, info.revision)).collect();
        let modeled = |(text, latest, _): &(String, u64, String)| {
            let secret = NAMES.iter().position(|name| name == text).expect("one of ours");
            (text.clone(), *latest, self.current(secret))
        };
        assert_eq!(listed, expected.iter().map(modeled).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_vault_does_what_a_map_does(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (store, engine) = memory_engine().await;
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Set { secret, text, guard } => model.set(&engine, secret, text, guard).await,
                    Step::Delete { secret, guard } => model.delete(&engine, secret, guard).await,
                    Step::Check => model.check(&engine, &store).await,
                }
            }
            model.check(&engine, &store).await;
        });
    }
}

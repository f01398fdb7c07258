use std::collections::HashMap;

use serde::Deserialize;

use super::{DataKeyVector, Hex, damaged, draw, read, word};
use crate::{Binding, Error, Keyring, Record, View, data_key::FORMAT};

#[derive(Deserialize)]
struct File {
    master_key: Hex,
    keyring: Hex,
    data_keys: Vec<DataKeyVector>,
    other_keyring: Hex,
    other_data_keys: Vec<DataKeyVector>,
    opens: Vec<Opens>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Opens {
    name: String,
    data_key: String,
    binding: BindingVector,
    salt: Hex,
    nonce: Hex,
    associated_data: Hex,
    plaintext: Hex,
    envelope: Hex,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    keyring: String,
    binding: BindingVector,
    envelope: Hex,
    error: String,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum BindingVector {
    Secret { environment: String, space: Option<String>, name: String, version: u64, metadata: Hex },
    Event { environment: String, event_id: String },
    RunInput { environment: String, run: String },
    StepResult { environment: String, run: String, step: String, view: ViewVector },
    RunOutput { environment: String, run: String, view: ViewVector },
    RunError { environment: String, run: String, attempt: u32, view: ViewVector },
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ViewVector {
    True,
    Redacted,
}

impl From<ViewVector> for View {
    fn from(view: ViewVector) -> View {
        match view {
            ViewVector::True => View::True,
            ViewVector::Redacted => View::Redacted,
        }
    }
}

impl BindingVector {
    fn binding(&self) -> Binding<'_> {
        match self {
            BindingVector::Secret { environment, space, name, version, metadata } => {
                Binding::Secret { environment, space: space.as_deref(), name, version: *version, metadata: &metadata.0 }
            }
            BindingVector::Event { environment, event_id } => Binding::Event { environment, event_id },
            BindingVector::RunInput { environment, run } => Binding::RunInput { environment, run },
            BindingVector::StepResult { environment, run, step, view } => {
                Binding::StepResult { environment, run, step, view: (*view).into() }
            }
            BindingVector::RunOutput { environment, run, view } => {
                Binding::RunOutput { environment, run, view: (*view).into() }
            }
            BindingVector::RunError { environment, run, attempt, view } => {
                Binding::RunError { environment, run, attempt: *attempt, view: (*view).into() }
            }
        }
    }
}

impl File {
    fn keyring(&self) -> Keyring {
        opened(&self.master_key, &self.keyring, &self.data_keys)
    }

    fn other_keyring(&self) -> Keyring {
        opened(&self.master_key, &self.other_keyring, &self.other_data_keys)
    }
}

fn opened(master_key: &Hex, record: &Hex, data_keys: &[DataKeyVector]) -> Keyring {
    let keyring = Keyring::open(&master_key.master_key(), &record.0).expect("the keyring opens");
    for data_key in data_keys {
        keyring.load_data_key(&data_key.environment, &data_key.record.0).expect("the data key opens");
    }
    keyring
}

#[test]
fn every_envelope_opens() {
    let file: File = read("envelope.json");
    let keyring = file.keyring();
    for vector in &file.opens {
        let value = keyring.open_sealed(&vector.binding.binding(), &vector.envelope.0);
        assert_eq!(value.expect(&vector.name).expose(), vector.plaintext.0, "{}", vector.name);
    }
}

#[test]
fn sealing_again_makes_the_same_envelope() {
    let file: File = read("envelope.json");
    let data_keys: HashMap<_, _> = file.data_keys.iter().map(|vector| (&vector.name, vector.data_key())).collect();
    for vector in &file.opens {
        let data_key = &data_keys[&vector.data_key];
        let binding = vector.binding.binding();
        assert_eq!(binding.associated_data(FORMAT, data_key.id), vector.associated_data.0, "{}", vector.name);
        let envelope = data_key.seal(&binding, &draw(&vector.salt, &vector.nonce), &vector.plaintext.0);
        assert_eq!(envelope, Ok(vector.envelope.0.clone()), "{}", vector.name);
    }
}

#[test]
fn what_must_not_open_is_refused_by_the_right_check() {
    let file: File = read("envelope.json");
    let (keyring, other) = (file.keyring(), file.other_keyring());
    for vector in &file.refused {
        let keyring = if vector.keyring == "other" { &other } else { &keyring };
        let error = match keyring.open_sealed(&vector.binding.binding(), &vector.envelope.0) {
            Err(Error::UnknownDataKey { .. }) => "unknown-data-key",
            Err(Error::Corrupt { record: Record::Envelope, fault }) => word(fault),
            outcome => panic!("{}: {outcome:?}", vector.name),
        };
        assert_eq!(error, vector.error, "{}", vector.name);
    }
}

#[test]
fn no_envelope_opens_in_place_of_another() {
    let file: File = read("envelope.json");
    let keyring = file.keyring();
    for (at, place) in file.opens.iter().enumerate() {
        for (from, moved) in file.opens.iter().enumerate().filter(|(from, _)| *from != at) {
            let outcome = keyring.open_sealed(&place.binding.binding(), &moved.envelope.0);
            assert!(outcome.is_err(), "{} opened as {}", file.opens[from].name, place.name);
        }
    }
}

#[test]
fn damage_anywhere_is_noticed() {
    let file: File = read("envelope.json");
    let keyring = file.keyring();
    for vector in &file.opens {
        for envelope in damaged(&vector.envelope.0) {
            assert!(keyring.open_sealed(&vector.binding.binding(), &envelope).is_err(), "{}", vector.name);
        }
    }
}

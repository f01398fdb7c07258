//! What several modules need.

use claviger_core::{Mask, Redactor, RedactorBuilder, SecretName, SecretValue};

/// The mask of version 1 of a secret.
pub(crate) fn mask(name: &str) -> Mask {
    Mask::new(&name.parse::<SecretName>().expect("a valid name"), 1)
}

/// A redactor of values, each under the mask of `S0`, `S1`, …
pub(crate) fn redactor<V: AsRef<[u8]>>(values: &[V]) -> Redactor {
    let mut builder = RedactorBuilder::new();
    for (at, value) in values.iter().enumerate() {
        builder.track(mask(&format!("S{at}")), &SecretValue::new(value.as_ref().to_vec()));
    }
    builder.build()
}

/// Whether `part` occurs in `whole`.
pub(crate) fn occurs(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Redacts naively: every byte in an occurrence is covered; runs of covered bytes are cut where one
/// occurrence ends, another starts and they are of different values. Knows the raw form only.
pub(crate) fn naive(values: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    for at in 0..=text.len() {
        let here = values
            .iter()
            .enumerate()
            .filter(|(_, value)| value.len() >= 6 && text[at..].starts_with(value))
            .max_by(|(i, a), (j, b)| (a.len(), j).cmp(&(b.len(), i)));
        run = match (run, here) {
            (Some((end, which)), Some((_, value))) if at < end => Some((end.max(at + value.len()), which)),
            (Some((end, which)), Some((i, value))) if at == end && values[which] == values[i] => {
                Some((at + value.len(), which))
            }
            (_, Some((i, value))) => {
                out.extend_from_slice(mask(&format!("S{i}")).as_str().as_bytes());
                Some((at + value.len(), i))
            }
            (run, None) => run.filter(|&(end, _)| at < end),
        };
        if run.is_none() && at < text.len() {
            out.push(text[at]);
        }
    }
    out
}

//! Collects the values to look for.

use std::sync::Arc;

use crate::SecretValue;

use super::{
    MIN_MASKABLE_BYTES, Mask, Redactor,
    forms::forms_of,
    index::{Form, Index},
};

/// Collects values and makes a [`Redactor`] of them.
#[derive(Default)]
pub struct RedactorBuilder {
    masks: Vec<Mask>,
    forms: Vec<Form>,
}

impl RedactorBuilder {
    /// A builder that tracks nothing yet.
    #[must_use]
    pub fn new() -> RedactorBuilder {
        RedactorBuilder::default()
    }

    /// Tracks a value under a mask. False if the value is shorter than [`MIN_MASKABLE_BYTES`]: then it
    /// is not tracked. Of equal values the mask tracked first is shown.
    pub fn track(&mut self, mask: Mask, value: &SecretValue) -> bool {
        if value.len() < MIN_MASKABLE_BYTES {
            return false;
        }
        let number = self.masks.len();
        let forms = forms_of(value.expose()).into_iter();
        self.forms.extend(forms.map(|bytes| Form { bytes: Arc::new(bytes), mask: number }));
        self.masks.push(mask);
        true
    }

    /// The redactor of the values tracked so far.
    #[must_use]
    pub fn build(self) -> Redactor {
        Redactor::new(Index::new(self.masks, self.forms))
    }
}

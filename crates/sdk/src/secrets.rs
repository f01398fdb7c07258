//! The secrets of one job.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::frame::DeliveredSecret;
use crate::function::Definition;
use crate::lookup::Scope;
use crate::value::Value;

/// The secrets that the function declared, with the values they had when the job was handed out.
///
/// Values are wiped from memory when the job ends, and are shown by no `Debug` and no serializer.
pub struct Secrets {
    function: Arc<Definition>,
    scope: Scope,
    values: HashMap<String, Value>,
}

impl Secrets {
    pub(crate) fn new(function: Arc<Definition>, scope: Scope, delivered: Vec<DeliveredSecret<'_>>) -> Self {
        let mut values = HashMap::with_capacity(delivered.len());
        for secret in delivered {
            match Value::read(secret.version, secret.value, secret.encoding.as_deref()) {
                Some(value) => drop(values.insert(secret.name, value)),
                None => tracing::warn!(secret = secret.name, "the secret has an encoding that cannot be read"),
            }
        }
        Self { function, scope, values }
    }

    /// The value of a declared secret.
    ///
    /// # Errors
    ///
    /// [`Error::SecretNotSet`], [`Error::SecretNotDeclared`], or [`Error::SecretNotText`] for bytes that are not UTF-8.
    pub fn get(&self, name: &str) -> Result<SecretText<'_>, Error> {
        let value = self.find(name)?;
        let text = str::from_utf8(&value.bytes).map_err(|_| Error::SecretNotText { name: name.to_owned() })?;
        Ok(SecretText { text, version: value.version })
    }

    /// The value of a declared secret, which need not be text.
    ///
    /// # Errors
    ///
    /// [`Error::SecretNotSet`] or [`Error::SecretNotDeclared`].
    pub fn get_bytes(&self, name: &str) -> Result<SecretBytes<'_>, Error> {
        let value = self.find(name)?;
        Ok(SecretBytes { bytes: &value.bytes, version: value.version })
    }

    /// Whether a declared secret is set. False for a name that is not declared, with a warning the first time.
    pub fn has(&self, name: &str) -> bool {
        if !self.function.declares(name) {
            self.function.warn_undeclared(name);
            return false;
        }
        self.values.contains_key(name)
    }

    fn find(&self, name: &str) -> Result<&Value, Error> {
        if !self.function.declares(name) {
            return Err(Error::SecretNotDeclared { name: name.to_owned(), function: self.function.id.clone() });
        }
        let Scope { environment, space } = &self.scope;
        self.values.get(name).ok_or_else(|| Error::SecretNotSet {
            name: name.to_owned(),
            environment: environment.clone(),
            space: space.clone(),
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// A secret's value as text. It prints nothing; [`SecretText::expose`] gives the value away.
#[derive(Clone, Copy)]
pub struct SecretText<'a> {
    text: &'a str,
    version: u64,
}

impl<'a> SecretText<'a> {
    /// The value itself. Keep it out of errors, logs and results.
    pub fn expose(self) -> &'a str {
        self.text
    }

    /// The version of the secret that this value is.
    pub fn version(self) -> u64 {
        self.version
    }
}

impl fmt::Debug for SecretText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretText").finish_non_exhaustive()
    }
}

/// A secret's value as bytes. It prints nothing; [`SecretBytes::expose`] gives the value away.
#[derive(Clone, Copy)]
pub struct SecretBytes<'a> {
    bytes: &'a [u8],
    version: u64,
}

impl<'a> SecretBytes<'a> {
    /// The value itself. Keep it out of errors, logs and results.
    pub fn expose(self) -> &'a [u8] {
        self.bytes
    }

    /// The version of the secret that this value is.
    pub fn version(self) -> u64 {
        self.version
    }
}

impl fmt::Debug for SecretBytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretBytes").finish_non_exhaustive()
    }
}

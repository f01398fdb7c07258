//! Names among the arguments. Checked here too: a URL cannot even hold `..` as a name.

use std::str::FromStr;

use claviger_core::{NameError, SpaceName};

use crate::failure::{Exit, Failure};

/// A name that fits its rule.
pub(crate) fn parse<T: FromStr<Err = NameError>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: NameError| Failure::new(Exit::Usage, "invalid_name", error.to_string()))
}

/// The space that was asked for, if one was.
pub(crate) fn space(text: Option<&str>) -> Result<Option<SpaceName>, Failure> {
    text.map(parse).transpose()
}

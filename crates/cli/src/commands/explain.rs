//! `claviger explain`: the pages of the error codes, without a network.

use clap::Args;
use claviger_api::CODES;

use crate::{
    failure::{Exit, Failure},
    output::{print, table},
};

/// Every page by its code, sorted.
const PAGES: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/pages.rs"));

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  claviger explain                     # lists the codes\n  claviger explain revision_conflict"
)]
pub(crate) struct ExplainArgs {
    /// The code in parentheses at the end of an error
    code: Option<String>,
}

pub(crate) fn run(arguments: &ExplainArgs) -> Result<(), Failure> {
    let Some(code) = &arguments.code else {
        let rows = CODES.iter().map(|code| [code.code.to_owned(), code.title.to_owned()]);
        return print(&table(["code", "meaning"], rows).to_string());
    };
    match PAGES.binary_search_by(|(known, _)| (*known).cmp(code.as_str())) {
        Ok(at) => print(PAGES[at].1),
        Err(_) => Err(Failure::plain(Exit::NotFound, "there is no such error code")
            .hint("`claviger explain` without a code lists them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_and_they_are_sorted() {
        assert!(PAGES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(
            PAGES.iter().map(|page| page.0).collect::<Vec<_>>(),
            CODES.iter().map(|code| code.code).collect::<Vec<_>>()
        );
    }
}

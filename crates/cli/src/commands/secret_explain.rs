//! `claviger secret explain`: why a name means what it means in a scope.

use clap::Args;
use claviger_api::{Explanation, TrailEntry, Verdict};
use claviger_core::SecretName;
use reqwest::Method;

use super::name;
use crate::{
    args::{Connection, PlaceArgs},
    client::Client,
    failure::Failure,
    output::{Output, Table, fields, maybe_ago, table},
};

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(arguments: &ExplainArgs) -> Result<(), Failure> {
    let name: SecretName = name::parse(&arguments.name)?;
    let space = name::space(arguments.place.space.as_deref())?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_at(Method::GET, space.as_ref(), &["secrets", name.as_str(), "explanation"]);
    let explanation: Explanation = call.send().await?;
    let output = Output::new(arguments.connection.output);
    match output.is_table() {
        true => output.text(&format!("{}\n\n{}", summary(&explanation), trail(&explanation))),
        false => output.item(&explanation, trail),
    }
}

fn summary(explanation: &Explanation) -> Table {
    let scope = |space: Option<&str>| place(&explanation.environment, space);
    let served = match &explanation.found {
        Some(found) => format!("version {} of {}", found.version, scope(found.space.as_deref())),
        None if is_blocked(explanation) => "nothing: it is blocked".to_owned(),
        None => "nothing: it is not set".to_owned(),
    };
    fields([
        ("name", Some(explanation.name.clone())),
        ("looked up in", Some(scope(explanation.space.as_deref()))),
        ("served", Some(served)),
    ])
}

/// Each scope that was tried, in order, with what it said.
fn trail(explanation: &Explanation) -> Table {
    let last = explanation.trail.len();
    let rows = (1..).zip(&explanation.trail).map(|(number, entry)| {
        [
            number.to_string(),
            tried(&explanation.environment, entry.space.as_deref()),
            said(entry),
            outcome(entry, number == last).to_owned(),
            entry.revision.map(|revision| revision.to_string()).unwrap_or_default(),
            maybe_ago(entry.since),
            entry.by.clone().unwrap_or_default(),
        ]
    });
    table(["tried", "scope", "says", "so", "revision", "since", "by"], rows)
}

/// A scope where it stands alone.
fn place(environment: &str, space: Option<&str>) -> String {
    match space {
        Some(space) => format!("space {space} of environment {environment}"),
        None => format!("environment {environment}"),
    }
}

fn tried(environment: &str, space: Option<&str>) -> String {
    space.map_or_else(|| format!("environment {environment}"), |space| format!("space {space}"))
}

fn said(entry: &TrailEntry) -> String {
    match (entry.verdict, entry.version) {
        (Verdict::Value, Some(version)) => format!("version {version}"),
        (Verdict::Value, None) => "set".to_owned(),
        (Verdict::Blocked, _) => "blocked".to_owned(),
        (Verdict::Missing, _) => "not set".to_owned(),
    }
}

fn outcome(entry: &TrailEntry, is_last: bool) -> &'static str {
    match entry.verdict {
        Verdict::Value => "served",
        Verdict::Missing if !is_last => "look further",
        Verdict::Blocked | Verdict::Missing => "nothing served",
    }
}

fn is_blocked(explanation: &Explanation) -> bool {
    explanation.trail.last().is_some_and(|entry| entry.verdict == Verdict::Blocked)
}

#[cfg(test)]
mod tests {
    use claviger_api::{Instant, Served};

    use super::*;

    fn entry(space: Option<&str>, verdict: Verdict) -> TrailEntry {
        let is_set = verdict == Verdict::Value;
        TrailEntry {
            space: space.map(str::to_owned),
            verdict,
            version: is_set.then_some(3),
            since: is_set.then_some(Instant(0)),
            by: is_set.then(|| "k7wq2mxa".to_owned()),
            revision: is_set.then_some(12),
        }
    }

    fn explanation(trail: Vec<TrailEntry>, found: Option<Served>) -> Explanation {
        Explanation {
            name: "K".to_owned(),
            environment: "prod".to_owned(),
            space: Some("acme".to_owned()),
            found,
            trail,
        }
    }

    #[test]
    fn the_trail_tells_who_was_asked_and_who_decided() {
        let trail_of = vec![entry(Some("acme"), Verdict::Missing), entry(None, Verdict::Value)];
        let inherited = explanation(trail_of, Some(Served { space: None, version: 3 }));
        assert_eq!(
            summary(&inherited).to_string(),
            "name           K\nlooked up in   space acme of environment prod\nserved         version 3 of environment prod"
        );
        let expected = "\
TRIED   SCOPE              SAYS        SO             REVISION   SINCE        BY
1       space acme         not set     look further
2       environment prod   version 3   served         12         1970-01-01   k7wq2mxa";
        assert_eq!(trail(&inherited).to_string(), expected);
    }

    #[test]
    fn nothing_is_served_for_a_reason() {
        for (verdict, why) in [(Verdict::Blocked, "it is blocked"), (Verdict::Missing, "it is not set")] {
            let nothing = explanation(vec![entry(Some("acme"), verdict)], None);
            assert!(summary(&nothing).to_string().ends_with(&format!("nothing: {why}")));
            assert!(trail(&nothing).to_string().contains("nothing served"));
        }
    }
}

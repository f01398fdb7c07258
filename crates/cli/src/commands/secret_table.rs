//! Secrets for people: metadata, never a value.

use claviger_api::{DeletedSecret, Origin, Secret};

use crate::output::{Table, ago, fields, table};

/// The secrets of an environment.
pub(super) fn of_environment(secrets: &[Secret]) -> Table {
    table(
        ["name", "version", "revision", "description", "created", "updated"],
        secrets.iter().map(|secret| {
            let [version, revision, description, created, updated] = facts(secret);
            [secret.name.clone(), version, revision, description, created, updated]
        }),
    )
}

/// What a space shows, and where it comes from.
pub(super) fn of_space(secrets: &[Secret]) -> Table {
    table(
        ["name", "origin", "version", "revision", "description", "created", "updated"],
        secrets.iter().map(|secret| {
            let [version, revision, description, created, updated] = facts(secret);
            let origin = secret.origin.map(Origin::as_str).unwrap_or_default().to_owned();
            [secret.name.clone(), origin, version, revision, description, created, updated]
        }),
    )
}

fn facts(secret: &Secret) -> [String; 5] {
    [
        secret.version.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        secret.revision.to_string(),
        secret.description.clone().unwrap_or_default(),
        ago(secret.created_at),
        ago(secret.updated_at),
    ]
}

pub(super) fn describe(secret: &Secret) -> Table {
    let versions = secret
        .versions
        .iter()
        .flatten()
        .map(|version| format!("{} by {}, {}", version.version, version.created_by, ago(version.created_at)));
    let versions: Vec<String> = versions.collect();
    fields([
        ("name", Some(secret.name.clone())),
        ("environment", Some(secret.environment.clone())),
        ("space", secret.space.clone()),
        ("origin", secret.origin.map(|origin| meaning(origin).to_owned())),
        ("version", Some(secret.version.map_or_else(|| "none is served".to_owned(), |version| version.to_string()))),
        ("revision", Some(secret.revision.to_string())),
        ("description", secret.description.clone()),
        ("created", Some(ago(secret.created_at))),
        ("updated", Some(format!("{} by {}", ago(secret.updated_at), secret.updated_by))),
        ("unmaskable", secret.unmaskable.then(|| "yes, its value is too short to be masked".to_owned())),
        ("versions", (!versions.is_empty()).then(|| versions.join("\n"))),
    ])
}

pub(super) fn deleted(deleted: &DeletedSecret) -> Table {
    fields([
        ("deleted", Some(deleted.name.clone())),
        ("environment", Some(deleted.environment.clone())),
        ("space", deleted.space.clone()),
        ("version", Some(deleted.version.to_string())),
        ("revision", Some(deleted.revision.to_string())),
    ])
}

fn meaning(origin: Origin) -> &'static str {
    match origin {
        Origin::Own => "own: the environment has none of that name",
        Origin::Inherited => "inherited from the environment",
        Origin::Overridden => "overridden: it stands in place of the environment's",
        Origin::Blocked => "blocked: the space must not see it",
    }
}

//! `claviger secret block` and `unblock`: what a space must not see of its environment.

use clap::Args;
use claviger_api::Secret;
use claviger_core::{SecretName, SpaceName};
use reqwest::Method;

use super::name;
use crate::{
    args::Connection,
    client::Client,
    failure::Failure,
    output::{Output, fields},
};

#[derive(Args, Debug)]
pub(crate) struct BlockArgs {
    /// Its name
    name: String,
    /// The space
    #[arg(short, long, value_name = "SPACE", help_heading = "Connection")]
    space: String,
    /// Do it only if the revision of what the space has of its own is still this one
    #[arg(long, value_name = "REVISION")]
    cas: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn block(arguments: &BlockArgs) -> Result<(), Failure> {
    change(Method::PUT, arguments, "blocked").await
}

pub(crate) async fn unblock(arguments: &BlockArgs) -> Result<(), Failure> {
    change(Method::DELETE, arguments, "unblocked").await.map_err(|failure| match failure.has_code("invalid_request") {
        true => failure.hint("`claviger secret explain NAME --space SPACE` shows what the space sees, and why"),
        false => failure,
    })
}

async fn change(method: Method, arguments: &BlockArgs, done: &'static str) -> Result<(), Failure> {
    let secret: SecretName = name::parse(&arguments.name)?;
    let space: SpaceName = name::parse(&arguments.space)?;
    let client = Client::new(&arguments.connection)?;
    let call = client.call_in_space(method, &space, &["secrets", secret.as_str(), "block"]);
    let secret: Secret = call.expecting(arguments.cas).send().await?;
    Output::new(arguments.connection.output).item(&secret, |secret| {
        fields([
            (done, Some(secret.name.clone())),
            ("environment", Some(secret.environment.clone())),
            ("space", secret.space.clone()),
            ("revision", Some(secret.revision.to_string())),
        ])
    })
}

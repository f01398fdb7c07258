//! Events, and their acknowledgments, which are events too.

mod acknowledgment;
mod create;
mod list;
mod view;

pub(crate) use self::{
    acknowledgment::acknowledge,
    create::{announce, create},
    list::{get, list},
};
use claviger_core::{Caller, EnvironmentName, Reach, Scope};

use crate::{app::App, refusal::Refusal};

/// The environment that a client means: the one it names, or that of the space it names, or that of its API key.
async fn environment(
    app: &App,
    caller: &Caller,
    environment_id: Option<&str>,
    space: Option<&Scope>,
) -> Result<EnvironmentName, Refusal> {
    match (environment_id, space, &caller.reach) {
        (Some(id), _, _) => Ok(app.environment(caller, id).await?.environment.name),
        (None, Some(space), _) => Ok(space.environment.clone()),
        (None, None, Reach::One(own)) => Ok(own.clone()),
        (None, None, Reach::All) => Err(Refusal::invalid("environmentId", "is needed with this API key")),
    }
}

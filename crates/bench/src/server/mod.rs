//! The server in a process of its own, over HTTP and with real workers.

mod fan_out;
mod flatfile;
mod lookups;
mod node;
mod opening;
pub(crate) mod process;
pub(crate) mod runs;
pub(crate) mod secrets;
pub(crate) mod worker;

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use self::{flatfile::Listing, lookups::Lookups, opening::Opening, process::Server, runs::Runs};
use crate::{http::Connections, plan::Plan, table::Table};

/// Where everything happens.
pub(crate) const ENVIRONMENT: &str = "/v1/environments/default";

/// The server's rows.
pub(crate) struct Rows {
    server: Server,
    runs: Option<Runs>,
    opening: Option<Opening>,
    lookups: Lookups,
    listing: Option<Listing>,
}

impl Rows {
    /// Starts what is measured, if anything is.
    pub(crate) async fn prepare(plan: &Plan, directory: &Path) -> Result<Option<Rows>> {
        let of_listeners = [lookups::rows(plan), flatfile::rows()].concat();
        let rows = [secrets::rows(), runs::rows(), vec![fan_out::ROW.to_owned()], opening::rows(plan), of_listeners];
        if !plan.wants_any(&rows.concat()) {
            return Ok(None);
        }
        plan.check_server()?;
        let server = Server::start(plan, &directory.join("server"))?;
        let runs = if plan.wants_any(&runs::rows()) { Some(Runs::prepare(&server).await?) } else { None };
        let wants_opening = plan.wants_any(&opening::rows(plan));
        let opening = if wants_opening { Some(Opening::prepare(plan, directory).await?) } else { None };
        let lookups = Lookups::prepare(plan, directory).await?;
        let wants_listing = plan.wants_any(&flatfile::rows());
        let listing = if wants_listing { Some(Listing::prepare(directory).await?) } else { None };
        Ok(Some(Rows { server, runs, opening, lookups, listing }))
    }

    /// One round.
    pub(crate) async fn measure(&self, plan: &Plan, table: &mut Table) -> Result<()> {
        secrets::measure(&self.server, plan, table).await?;
        if let Some(runs) = &self.runs {
            runs.measure(&self.server, plan, table).await?;
        }
        fan_out::measure(&self.server, plan, table).await?;
        if let Some(opening) = &self.opening {
            opening.measure(plan, table).await?;
        }
        self.lookups.measure(plan, table).await?;
        match &self.listing {
            Some(listing) => listing.measure(plan, table).await,
            None => Ok(()),
        }
    }

    /// Checks the audit.
    pub(crate) async fn finish(self) -> Result<()> {
        if let Some(runs) = self.runs {
            check_deliveries(&self.server, "server", runs.finish().await?).await?;
        }
        Ok(())
    }
}

/// Fails unless the audit holds exactly the deliveries that were made.
pub(crate) async fn check_deliveries(server: &Server, whose: &str, made: usize) -> Result<()> {
    let recorded = audited(server).await?;
    ensure!(recorded == made, "{whose}: the audit holds {recorded} deliveries, but {made} were made");
    eprintln!("{whose}: the audit holds every one of {made} deliveries");
    Ok(())
}

/// Deliveries that the audit holds.
async fn audited(server: &Server) -> Result<usize> {
    let connections = Connections::open(server.address(), &server.keys.admin, 1).await?;
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = connections.get(0, &format!("{ENVIRONMENT}/audit?limit=1000{after}")).await?;
        let page: Value = serde_json::from_slice(&page)?;
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        count += items.iter().filter(|item| item["outcome"] == "delivered").count();
        let Some(next) = page["next"].as_str() else { return Ok(count) };
        after = format!("&after={next}");
    }
}

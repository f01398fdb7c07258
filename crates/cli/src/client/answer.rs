//! Reads what a server answers.

use claviger_api::{PROBLEM_JSON, Problem};
use reqwest::{Response, Url, header};
use serde::de::DeserializeOwned;

use crate::failure::{Exit, Failure};

/// The body of a successful answer.
pub(super) async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Failure> {
    let bytes = response.bytes().await.map_err(|_| broken("the connection broke before the answer was complete"))?;
    // What serde says of it could repeat a part of the answer.
    serde_json::from_slice(&bytes).map_err(|_| broken("the answer is not one of this version of Claviger"))
}

/// The answer, if it is a successful one.
pub(super) async fn check(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with(PROBLEM_JSON) {
        let message = format!("the answer {} does not come from a Claviger server", status.as_u16());
        return Err(Failure::plain(Exit::of_http(status.as_u16()), message).hint("check `--url` and CLAVIGER_URL"));
    }
    Err(failure(read::<Problem>(response).await?))
}

/// The server is not there.
pub(super) fn unreachable(base: &Url, error: &reqwest::Error) -> Failure {
    let server = base.as_str().trim_end_matches('/');
    if error.is_timeout() && !error.is_connect() {
        return Failure::new(Exit::Other, "timeout", format!("{server} did not answer in time"));
    }
    Failure::new(Exit::Unreachable, "server_unreachable", format!("no server answers at {server}"))
        .hint("start one with `claviger dev`, or set CLAVIGER_URL")
}

fn failure(problem: Problem) -> Failure {
    let hint = advice(&problem.code).map(str::to_owned).or(problem.hint);
    let mut failure = Failure::new(Exit::of_http(problem.status), problem.code, problem.detail);
    if let Some(hint) = hint {
        failure = failure.hint(hint);
    }
    if problem.status >= 500 {
        failure = failure.hint(format!("the server's log has more under request {}", problem.request_id));
    }
    failure
}

/// Advice in the words of the command line. Where there is none, the server's is shown, which is about requests.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "api_key_not_found" => "`claviger apikey list` shows the ids",
        "environment_not_found" => "`claviger env list` shows those that this API key reaches",
        "revision_conflict" => "`claviger secret get NAME`, or `claviger space get NAME`, shows what is there now",
        "run_not_found" => "`claviger run list` shows the runs of the environment",
        "secret_not_found" => "`claviger secret list` shows the names",
        "space_not_found" => "`claviger space create NAME` makes one; `claviger space list` shows those that there are",
        "unauthenticated" => "set CLAVIGER_API_KEY, or run this where `claviger dev` keeps its data (`--data-dir DIR`)",
        "value_too_short" => "say `--allow-short` to store it anyway; it is then never masked",
        _ => return None,
    })
}

fn broken(message: &str) -> Failure {
    Failure::plain(Exit::Unreachable, message)
}

//! The public error codes. Each has a page, `docs/errors/<code>.md`; a code is never given another meaning.

/// A public error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable code.
    pub code: &'static str,
    /// What it is, in a few words, the same each time.
    pub title: &'static str,
    /// The HTTP status that it is answered with; `None` for one that no HTTP response carries.
    pub status: Option<u16>,
}

const fn http(code: &'static str, status: u16, title: &'static str) -> Code {
    Code { code, title, status: Some(status) }
}

/// One that only the command line or the worker protocol tells.
const fn other(code: &'static str, title: &'static str) -> Code {
    Code { code, title, status: None }
}

/// Every code, in alphabetical order.
pub const CODES: &[Code] = &[
    other("admin_key_exists", "Admin key exists already"),
    http("api_key_not_found", 404, "No such API key"),
    http("body_too_large", 413, "Request body too large"),
    other("config_invalid", "Invalid configuration"),
    other("data_directory_mode", "Data directory open to others"),
    other("data_directory_read_only", "Data directory cannot be written"),
    http("denied", 403, "Not allowed"),
    other("dev_key_exposed", "Development key on a reachable address"),
    http("environment_exists", 409, "Environment exists already"),
    http("environment_not_found", 404, "No such environment"),
    http("event_too_large", 413, "Event too large"),
    http("expired_api_key", 401, "API key has expired"),
    http("function_not_found", 404, "No such function"),
    http("internal", 500, "Internal error"),
    http("invalid_api_key", 401, "Mistyped API key"),
    http("invalid_cursor", 400, "Invalid cursor"),
    http("invalid_json", 400, "Invalid JSON"),
    other("invalid_master_key", "Invalid master key"),
    http("invalid_name", 400, "Invalid name"),
    http("invalid_pattern", 400, "Invalid pattern"),
    http("invalid_request", 400, "Invalid request"),
    http("key_in_query", 400, "API key in the query"),
    other("master_key_conflict", "More than one master key"),
    http("method_not_allowed", 405, "Method not allowed"),
    other("names_mismatch", "Names sealed or not, against the configuration"),
    other("no_master_key", "No master key"),
    other("not_durable", "Store not durable"),
    http("records_lost", 500, "Stored records are gone"),
    http("reserved_event_name", 400, "Reserved event name"),
    http("revision_conflict", 409, "Revision conflict"),
    http("route_not_found", 404, "No such route"),
    http("run_already_ended", 409, "Run has ended already"),
    http("run_not_found", 404, "No such run"),
    http("secret_not_found", 404, "No such secret"),
    other("server_unreachable", "Server cannot be reached"),
    http("space_exists", 409, "Space exists already"),
    http("space_not_found", 404, "No such space"),
    http("step_result_too_large", 413, "Result too large"),
    http("store_corrupt", 500, "Stored record damaged"),
    other("store_credentials", "Store refuses the credentials"),
    http("store_full", 507, "Store is full"),
    other("store_in_use", "Store in use by another server"),
    http("store_read_only", 507, "Store is read-only"),
    other("store_unreachable", "Store cannot be reached"),
    other("store_unsuitable", "Store set up in another way"),
    http("timeout", 408, "Took too long"),
    http("too_many_requests", 429, "Too many requests"),
    http("unauthenticated", 401, "API key needed"),
    http("unavailable", 503, "Not available at the moment"),
    http("unknown_api_key", 401, "Unknown API key"),
    other("unknown_frame", "Unknown frame"),
    http("unsupported_protocol", 400, "Unsupported worker protocol"),
    http("value_is_mask", 400, "Value is a mask"),
    http("value_too_large", 413, "Value too large"),
    http("value_too_short", 400, "Value too short to be masked"),
    other("wrong_master_key", "Wrong master key"),
];

/// Looks a code up.
#[must_use]
pub fn find_code(code: &str) -> Option<&'static Code> {
    CODES.binary_search_by(|known| known.code.cmp(code)).ok().map(|at| &CODES[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_repetition_and_every_code_is_found() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in CODES {
            assert_eq!(find_code(code.code), Some(code));
        }
        assert_eq!(find_code("no such code"), None);
    }
}

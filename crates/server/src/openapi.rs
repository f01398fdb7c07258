//! The OpenAPI document, made from the handlers and committed as `spec/openapi.json`.

use std::sync::LazyLock;

use axum::response::IntoResponse;
use claviger_api::Problem;
use http::{HeaderValue, header};
use utoipa::{
    OpenApi,
    openapi::{
        self, Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, RefOr, ResponseBuilder,
        SecurityRequirement,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
        tag::TagBuilder,
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::routes;

const SCHEME: &str = "apiKey";

#[derive(OpenApi)]
#[openapi(components(schemas(Problem, claviger_api::Consistency, claviger_api::Event, claviger_api::Gap)))]
struct Shared;

static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut json = document().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
});

/// The OpenAPI 3.1 document of the HTTP API, as pretty-printed JSON with a line break at its end.
#[must_use]
pub fn openapi_json() -> &'static str {
    &JSON
}

/// `GET /openapi.json`.
pub(crate) async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], openapi_json())
}

fn document() -> openapi::OpenApi {
    let base = OpenApiBuilder::from(Shared::openapi()).info(info()).tags(Some(tags())).build();
    let router = OpenApiRouter::with_openapi(base).merge(routes::readable_from_browsers()).merge(routes::others());
    let mut document = router.into_openapi();
    add_security(document.components.get_or_insert_with(Components::new));
    document.security = Some(vec![SecurityRequirement::new(SCHEME, [""; 0])]);
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            describe(&mut operation.responses);
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
    document
}

/// OpenAPI wants every response described, however little there is to say.
fn describe(responses: &mut openapi::Responses) {
    for (status, response) in &mut responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = if status == "201" { "Created" } else { "OK" }.to_owned();
        }
    }
}

fn info() -> openapi::Info {
    InfoBuilder::new()
        .title("Claviger")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Values go in; they reach, at run time only, the code that declared them. No route returns a secret's value.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0 OR MIT").identifier(Some("Apache-2.0 OR MIT")).build()))
        .build()
}

fn tags() -> Vec<openapi::Tag> {
    let tag = |name: &str, what: &str| TagBuilder::new().name(name).description(Some(what)).build();
    vec![
        tag("secrets", "Named values with versions; metadata only comes out"),
        tag("spaces", "Parts of an environment that inherit its secrets, override and block them"),
        tag("events", "Emitting and following events"),
        tag("runs", "Functions, runs and workers"),
        tag("access", "Callers, environments, API keys"),
        tag("audit", "The record of decisions"),
        tag("server", "Whether the server is there"),
    ]
}

fn add_security(components: &mut Components) {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("clv_<environment>_<id>_<secret part>")
        .description(Some("An API key"))
        .build();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme));
}

fn problem() -> openapi::Response {
    let content = ContentBuilder::new().schema(Some(openapi::Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description("What went wrong (RFC 9457); `code` has a page in docs/errors")
        .content(claviger_api::PROBLEM_JSON, content)
        .build()
}

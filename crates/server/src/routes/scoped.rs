//! Routes that exist twice: in an environment, and in each of its spaces.

use utoipa::openapi::{
    Object, RefOr, Required, Type,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
};
use utoipa_axum::router::UtoipaMethodRouter;

use crate::app::App;

/// The same routes at a second path each, with `/spaces/{space}` after the environment. The handlers are the same too: their
/// extractor `InScope` tells where they are.
pub(super) fn and_in_spaces(routes: UtoipaMethodRouter<App>) -> UtoipaMethodRouter<App> {
    let (schemas, mut paths, methods) = routes;
    let of_spaces = paths.paths.iter().map(|(path, item)| {
        (path.replacen("/environments/{env}/", "/environments/{env}/spaces/{space}/", 1), in_space(item.clone()))
    });
    let of_spaces: Vec<_> = of_spaces.collect();
    paths.paths.extend(of_spaces);
    (schemas, paths, methods)
}

fn in_space(mut item: PathItem) -> PathItem {
    let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
    operations.into_iter().flatten().for_each(place_in_space);
    item
}

fn place_in_space(operation: &mut Operation) {
    if let Some(id) = &mut operation.operation_id {
        id.push_str("_in_space");
    }
    let parameters = operation.parameters.get_or_insert_default();
    // After the environment, where it stands in the path.
    parameters.insert(parameters.len().min(1), RefOr::T(space()));
}

fn space() -> Parameter {
    ParameterBuilder::new()
        .name("space")
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("A space of the environment, percent-encoded"))
        .schema(Some(Object::with_type(Type::String)))
        .example(Some("acme".into()))
        .build()
}

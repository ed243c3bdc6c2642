//! The OpenAPI document, where it is not made by the handlers: what holds for every route.

use devd_proto::PROBLEM_JSON;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

/// The document as it is served.
pub(super) fn text(document: &OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(|paths| paths.values_mut()) {
        let operations = item.as_object_mut().into_iter().flat_map(|item| item.values_mut());
        for operation in operations {
            if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
                responses.values_mut().for_each(name_problems);
                responses.insert("default".to_owned(), anything_else());
            }
        }
    }
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// Problems have a media type of their own, which the handlers' annotations leave out.
fn name_problems(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    let is_problem = |content: &Value| content["schema"]["$ref"] == "#/components/schemas/Problem";
    if content.get("application/json").is_some_and(is_problem)
        && let Some(problem) = content.remove("application/json")
    {
        content.insert(PROBLEM_JSON.to_owned(), problem);
    }
}

/// What can go wrong with any request.
fn anything_else() -> Value {
    let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    json!({
        "description": "It is not done: `code` says why",
        "content": { PROBLEM_JSON: schema },
    })
}

//! API keys.

use fanfare_core::api_key::Scope;
use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    and, nullable, object, one_of, optional, page, project_id, reference, says, text, time,
};
use fanfare_http::openapi::{Answer, Operation, Parameter, RequestBody};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, paging};
use crate::api::set_by_option;
use crate::api_keys::fields::MAX_NAME;

const TAG: &str = "API keys";
const ALL: &str = "/v1/api-keys";
const ONE: &str = "/v1/api-keys/{id}";
const KEY_ID: &str = "key_01KAZ9C2P4J5T8XK3V7D0N6B1M";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn name() -> Value {
    let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$";
    json!({"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": pattern})
}

fn scopes() -> Value {
    let scope = one_of(&Scope::ALL.map(Scope::as_str));
    json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": scope})
}

fn schemas() -> Vec<(&'static str, Value)> {
    let key = || {
        object([
            ("id", text()),
            ("project", project_id()),
            // One that was made by an option need not be as those that are made here.
            ("name", text()),
            ("scopes", scopes()),
            ("created_at", time()),
            ("last_used_at", nullable(time())),
        ])
    };
    let settable = || [("name", name()), ("scopes", scopes())];
    vec![
        ("ApiKey", key()),
        ("ApiKeyPage", page(reference("ApiKey"))),
        ("MadeApiKey", and(key(), [("key", says(text(), "The key itself, this once."))])),
        ("NewApiKey", optional(&["name", "scopes"], settable())),
        ("ApiKeyChanges", optional(&[], settable())),
    ]
}

fn example() -> Value {
    json!({"id": KEY_ID, "project": "default", "name": "billing", "scopes": ["publish"], "created_at": MADE_AT,
        "last_used_at": null})
}

/// What every route of keys may say of the project.
fn about_project() -> [Problem; 2] {
    [Problem::invalid("project", "is required with the admin key"), Problem::not_found("project")]
}

fn last_manager() -> Problem {
    let detail = "the project would be left without a key that may manage; make another one first";
    Problem::new(StatusCode::CONFLICT, "last-manage-key", "The project needs a key that may manage", detail)
}

fn operations() -> Vec<Operation> {
    let project = || [Parameter::query("project", project_id(), "Whose keys; required with the admin key.")];
    let its_id = || [Parameter::path("id", text(), "The key's id.")];
    let no_key = || [Problem::not_found("API key")];
    let mut made = example();
    made["key"] = json!("ffk_2yQm4n0c7dP1xW9eR5tK8uJ3bL6hV0sA5gF7iN4oZ1qM");
    let every_field = json!({"name": "billing", "scopes": ["publish", "read"]});
    let too_many = "a project has at most 1000 API keys; delete one that is not needed any more";
    let from_body = [("id", "$response.body#/id"), ("project", "$response.body#/project")];
    vec![
        Operation::new(Method::GET, ALL, "listApiKeys", TAG, "The project's keys, oldest first")
            .with(paging())
            .with(project())
            .answering(Answer::json(
                200,
                "A page.",
                reference("ApiKeyPage"),
                json!({"data": [example()], "next": null}),
            ))
            .refusing(about_project()),
        Operation::new(Method::POST, ALL, "createApiKey", TAG, "Make a key")
            .with(project())
            .reading(RequestBody::json(reference("NewApiKey"), vec![("every field", every_field.clone())]))
            .answering(
                Answer::json(201, "The key, with its text, this once.", reference("MadeApiKey"), made)
                    .header("Location", "Its path.")
                    .linked(["getApiKey", "updateApiKey", "deleteApiKey"], &from_body),
            )
            .refusing(about_project())
            .refusing([
                Problem::invalid("$.scopes", "is required"),
                Problem::new(StatusCode::CONFLICT, "too-many-api-keys", "There are too many API keys", too_many),
            ]),
        Operation::new(Method::GET, ONE, "getApiKey", TAG, "A key, without its text")
            .with(its_id())
            .with(project())
            .answering(Answer::json(200, "The key.", reference("ApiKey"), example()))
            .refusing(about_project())
            .refusing(no_key()),
        Operation::new(Method::PATCH, ONE, "updateApiKey", TAG, "Change a key's name or scopes")
            .with(its_id())
            .with(project())
            .reading(RequestBody::json(
                reference("ApiKeyChanges"),
                vec![("another name", json!({"name": "invoices"})), ("every field", every_field)],
            ))
            .answering(
                Answer::json(200, "The key as it is then.", reference("ApiKey"), example())
                    .linked(["getApiKey"], &from_body),
            )
            .refusing(about_project())
            .refusing(no_key())
            .refusing([Problem::invalid("$.name", "must be a string, not a number"), last_manager()]),
        Operation::new(Method::DELETE, ONE, "deleteApiKey", TAG, "Delete a key")
            .with(its_id())
            .with(project())
            .answering(Answer::nothing("Deleted.").linked(["getApiKey"], &[("id", "$request.path.id")]))
            .refusing(about_project())
            .refusing(no_key())
            .refusing([last_manager(), set_by_option("the option `api_key` makes this key, at every start")]),
    ]
}

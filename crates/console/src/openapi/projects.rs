//! Projects, for the operator.

use fanfare_core::project::{MAX_EGRESS_NETWORKS, Quotas};
use fanfare_http::Problem;
use fanfare_http::openapi::schema::{
    list, nullable, object, optional, page, project_id, reference, says, text, time, truth,
};
use fanfare_http::openapi::{Answer, Operation, Parameter, RequestBody};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Documented, MADE_AT, paging};
use crate::api::set_by_option;

const TAG: &str = "Projects";
const ALL: &str = "/v1/projects";
const ONE: &str = "/v1/projects/{id}";

pub(super) fn documented() -> Documented {
    (operations(), schemas())
}

fn schemas() -> Vec<(&'static str, Value)> {
    let quota = |least: u32, most: u32| {
        let zero = "0 is as null: the server's default.";
        json!({"description": zero, "anyOf": [{"type": "null"}, {"type": "integer", "const": 0},
            {"type": "integer", "minimum": least, "maximum": most}]})
    };
    let quotas = || {
        [
            ("events_per_second", quota(1, Quotas::MAX_EVENTS_PER_SECOND)),
            ("burst", quota(Quotas::MIN_BURST, Quotas::MAX_BURST)),
        ]
    };
    let project = object([
        ("id", project_id()),
        ("egress_allow", list(text())),
        ("secrets_in_reads", truth()),
        ("quotas", object(quotas())),
        ("strict_event_types", truth()),
        ("created_at", time()),
    ]);
    let networks = json!({"type": ["array", "null"], "maxItems": MAX_EGRESS_NETWORKS, "uniqueItems": true,
        "items": {"type": "string", "minLength": 1}});
    let settable = || {
        [
            ("egress_allow", says(networks.clone(), "Networks that may be reached although they are not public.")),
            ("secrets_in_reads", nullable(truth())),
            ("quotas", nullable(optional(&[], quotas()))),
            ("strict_event_types", nullable(truth())),
        ]
    };
    let mut new = optional(&["id"], settable());
    new["properties"]["id"] = project_id();
    vec![
        ("Project", project),
        ("ProjectPage", page(reference("Project"))),
        ("NewProject", new),
        ("ProjectChanges", optional(&[], settable())),
    ]
}

fn example() -> Value {
    json!({"id": "shop", "egress_allow": [], "secrets_in_reads": false,
        "quotas": {"events_per_second": null, "burst": null}, "strict_event_types": false, "created_at": MADE_AT})
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, "The project cannot be deleted", detail)
}

fn operations() -> Vec<Operation> {
    let its_id = || [Parameter::path("id", project_id(), "The project's id.")];
    let no_project = || [crate::projects::stored::no_project()];
    let every_field = json!({"egress_allow": ["10.1.0.0/16"], "secrets_in_reads": false,
        "quotas": {"events_per_second": 1000, "burst": 5000}, "strict_event_types": true});
    let mut all_of_it = every_field.clone();
    all_of_it["id"] = json!("tenant-2");
    let too_many = "there are at most 10000 projects; delete one that is not needed any more";
    let same = [("id", "$request.path.id")];
    vec![
        Operation::new(Method::GET, ALL, "listProjects", TAG, "All projects, in order of their ids")
            .with(paging())
            .answering(
                Answer::json(200, "A page.", reference("ProjectPage"), json!({"data": [example()], "next": null}))
                    .linked(["listProjects"], &[("after", "$response.body#/next")])
                    .linked(["getProject"], &[("id", "$response.body#/data/0/id")]),
            ),
        Operation::new(Method::POST, ALL, "createProject", TAG, "Make a project")
            .saying("It has no keys yet: make one with `POST /v1/api-keys?project=…`.")
            .reading(RequestBody::json(
                reference("NewProject"),
                vec![("minimal", json!({"id": "tenant-1"})), ("every field", all_of_it)],
            ))
            .answering(
                Answer::json(201, "The project.", reference("Project"), example())
                    .header("Location", "Its path.")
                    .linked(["getProject", "updateProject", "deleteProject"], &[("id", "$response.body#/id")])
                    .linked(["createApiKey", "listApiKeys"], &[("project", "$response.body#/id")]),
            )
            .refusing([
                Problem::invalid("$.id", "is required"),
                Problem::conflict("project-exists", "there is a project shop already; change that one", "shop"),
                Problem::new(StatusCode::CONFLICT, "too-many-projects", "There are too many projects", too_many),
            ]),
        Operation::new(Method::GET, ONE, "getProject", TAG, "A project")
            .with(its_id())
            .answering(Answer::json(200, "The project.", reference("Project"), example()))
            .refusing(no_project()),
        Operation::new(Method::PATCH, ONE, "updateProject", TAG, "Change a project")
            .saying("JSON merge patch: absent fields stay, null resets; `egress_allow` is replaced whole.")
            .with(its_id())
            .reading(RequestBody::json(
                reference("ProjectChanges"),
                vec![("no networks", json!({"egress_allow": []})), ("every field", every_field)],
            ))
            .answering(
                Answer::json(200, "The project as it is then.", reference("Project"), example())
                    .linked(["getProject"], &same),
            )
            .refusing(no_project())
            .refusing([
                Problem::invalid("$.egress_allow", "must be an array of networks, not a string"),
                set_by_option("the option `egress_allow` sets this project's networks, at every start"),
            ]),
        Operation::new(Method::DELETE, ONE, "deleteProject", TAG, "Delete a project without webhooks")
            .saying("Its keys and event types go with it.")
            .with(its_id())
            .answering(Answer::nothing("Deleted.").linked(["getProject"], &same))
            .refusing(no_project())
            .refusing([
                conflict("project-has-webhooks", "the project has 3 webhooks; delete them first"),
                conflict("first-project", "the project default is made anew at every start, so it cannot be deleted"),
            ]),
    ]
}

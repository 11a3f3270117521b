//! OpenAPI 3.1 of what a process serves, made from its tables of routes and from what each resource says of itself.
//!
//! Method, path, scopes and the names of parameters come from [`RouteInfo`]; errors are examples of [`Problem`], made by the
//! constructors that the handlers use, from which status, code and headers are read. Schemas stand beside the types they
//! describe and use their bounds; tests hold every answer and every accepted request to them.

mod answer;
mod document;
mod problems;
pub mod schema;

use http::Method;
use serde_json::Value;

use crate::problem::Problem;
use crate::route::RouteInfo;

pub use answer::{Answer, Link};
pub use document::{document, router};
pub use problems::{ErrorForm, PROBLEM_DETAILS};

/// What one service puts into the document.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Its routes.
    pub routes: Vec<RouteInfo>,
    /// What is said of each of them. A route without, or this without a route, is left out; tests hold that there is none.
    pub operations: Vec<Operation>,
    /// The schemas that they name.
    pub schemas: Vec<(&'static str, Value)>,
}

/// What is said of a route beside its [`RouteInfo`].
#[derive(Clone, Debug)]
pub struct Operation {
    /// The route's method.
    pub method: Method,
    /// The route's path.
    pub path: &'static str,
    /// What generated clients call it.
    pub id: &'static str,
    /// Which group it is shown in.
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// More about it.
    pub description: Option<&'static str>,
    /// Its parameters, wherever they stand.
    pub parameters: Vec<Parameter>,
    /// Its request's body, if it reads one.
    pub body: Option<RequestBody>,
    /// Its successes.
    pub answers: Vec<Answer>,
    /// An example of each of its errors, but those that every route has.
    pub problems: Vec<Problem>,
    /// How its errors are written.
    pub form: &'static ErrorForm,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// In the path.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

impl In {
    /// Its name in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            In::Path => "path",
            In::Query => "query",
            In::Header => "header",
        }
    }
}

/// A parameter. Those in the path are required, all others optional.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: In,
    /// What it may be.
    pub schema: Value,
    /// What it does.
    pub description: &'static str,
}

impl Parameter {
    /// A parameter in the path.
    pub fn path(name: &'static str, schema: Value, description: &'static str) -> Self {
        Self { name, place: In::Path, schema, description }
    }

    /// A parameter in the query.
    pub fn query(name: &'static str, schema: Value, description: &'static str) -> Self {
        Self { name, place: In::Query, schema, description }
    }

    /// A header.
    pub fn header(name: &'static str, schema: Value, description: &'static str) -> Self {
        Self { name, place: In::Header, schema, description }
    }
}

/// A request's body.
#[derive(Clone, Debug)]
pub struct RequestBody {
    /// Whether there must be one.
    pub required: bool,
    /// By content type.
    pub contents: Vec<Content>,
}

/// A body of one content type.
#[derive(Clone, Debug)]
pub struct Content {
    /// The content type.
    pub media_type: &'static str,
    /// What it may be.
    pub schema: Value,
    /// Bodies that are accepted, each with a name.
    pub examples: Vec<(&'static str, Value)>,
}

impl RequestBody {
    /// A body in JSON that must be there.
    pub fn json(schema: Value, examples: Vec<(&'static str, Value)>) -> Self {
        let content = Content { media_type: "application/json", schema, examples };
        Self { required: true, contents: vec![content] }
    }

    /// The same, which may be left out.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

impl Operation {
    /// What is said of the route with this method and path.
    pub fn new(method: Method, path: &'static str, id: &'static str, tag: &'static str, summary: &'static str) -> Self {
        let (description, body) = (None, None);
        let (parameters, answers, problems) = (Vec::new(), Vec::new(), Vec::new());
        let form = &PROBLEM_DETAILS;
        Self { method, path, id, tag, summary, description, parameters, body, answers, problems, form }
    }

    /// With more words.
    #[must_use]
    pub fn saying(self, description: &'static str) -> Self {
        Self { description: Some(description), ..self }
    }

    /// With these parameters.
    #[must_use]
    pub fn with(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// With this body.
    #[must_use]
    pub fn reading(self, body: RequestBody) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With this success.
    #[must_use]
    pub fn answering(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// With these errors.
    #[must_use]
    pub fn refusing(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// With errors in another form than problem details.
    #[must_use]
    pub fn in_form(self, form: &'static ErrorForm) -> Self {
        Self { form, ..self }
    }
}

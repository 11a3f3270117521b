//! A success of an operation.

use serde_json::{Map, Value, json};

/// A success.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// What it says.
    pub description: &'static str,
    /// Its body in JSON, if it has one.
    pub schema: Option<Value>,
    /// A body.
    pub example: Option<Value>,
    /// Headers, each with what it says.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What can be done with what it brings.
    pub links: Vec<Link>,
}

/// What can be done with an answer: another operation, with parameters from this one's request or answer.
#[derive(Clone, Debug)]
pub struct Link {
    /// The other operation.
    pub operation: &'static str,
    /// Its parameters, and where their values are, as runtime expressions such as `$response.body#/id`.
    pub parameters: Vec<(&'static str, &'static str)>,
}

impl Answer {
    /// An answer with a body.
    pub fn json(status: u16, description: &'static str, schema: Value, example: Value) -> Self {
        let (schema, example) = (Some(schema), Some(example));
        Self { status, description, schema, example, headers: Vec::new(), links: Vec::new() }
    }

    /// 204, without a body.
    pub fn nothing(description: &'static str) -> Self {
        Self { status: 204, description, schema: None, example: None, headers: Vec::new(), links: Vec::new() }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }

    /// With links to operations that all take the same parameters.
    #[must_use]
    pub fn linked<const N: usize>(
        mut self,
        operations: [&'static str; N],
        parameters: &[(&'static str, &'static str)],
    ) -> Self {
        self.links.extend(operations.map(|operation| Link { operation, parameters: parameters.to_vec() }));
        self
    }

    /// As the document has it, with the links to the operations that are `known`.
    pub(super) fn to_value(&self, known: impl Fn(&str) -> bool) -> Value {
        let mut response = Map::new();
        response.insert("description".to_owned(), self.description.into());
        if !self.headers.is_empty() {
            let header = |description: &str| json!({"description": description, "schema": {"type": "string"}});
            let headers = self.headers.iter().map(|(name, says)| ((*name).to_owned(), header(says)));
            response.insert("headers".to_owned(), Value::Object(headers.collect()));
        }
        if let Some(schema) = &self.schema {
            let content = json!({"application/json": {"schema": schema, "example": self.example}});
            response.insert("content".to_owned(), content);
        }
        let links = self.links.iter().filter(|link| known(link.operation));
        let links: Map<String, Value> = links.map(|link| (link.operation.to_owned(), link.to_value())).collect();
        if !links.is_empty() {
            response.insert("links".to_owned(), Value::Object(links));
        }
        Value::Object(response)
    }
}

impl Link {
    fn to_value(&self) -> Value {
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, from)| ((*name).to_owned(), Value::from(*from))).collect();
        json!({"operationId": self.operation, "parameters": parameters})
    }
}

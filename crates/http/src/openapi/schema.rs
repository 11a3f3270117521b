//! Small pieces of JSON Schema, so that those beside the resources read like lists of fields.

use fanfare_core::event::{EventType, Source};
use fanfare_core::ids::{EventId, ProjectId};
use serde_json::{Map, Value, json};

/// The schema of this name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object with these fields, all of them and no others.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let required = json!(required);
    let fields: Map<String, Value> = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "required": required, "properties": fields, "additionalProperties": false})
}

/// An object that may have these fields, and must have those that are `required`.
pub fn optional<const N: usize>(required: &[&str], fields: [(&str, Value); N]) -> Value {
    let fields: Map<String, Value> = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let mut object = json!({"type": "object", "properties": fields, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// An object with further fields, which it must have.
pub fn and<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    for (name, schema) in fields {
        object["properties"][name] = schema;
        if let Some(required) = object["required"].as_array_mut() {
            required.push(name.into());
        }
    }
    object
}

/// An object with further fields, which it may have.
pub fn and_maybe<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    for (name, schema) in fields {
        object["properties"][name] = schema;
    }
    object
}

/// The same, or null.
pub fn nullable(mut schema: Value) -> Value {
    if schema.get("$ref").is_some() || schema.get("type").is_none() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    schema
}

/// The same with words about it.
pub fn says(mut schema: Value, description: &str) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("description".to_owned(), description.into());
    }
    schema
}

/// A list of these.
pub fn list(of: Value) -> Value {
    let mut list = json!({"type": "array"});
    list["items"] = of;
    list
}

/// A page of a list: `{"data": […], "next"}`.
pub fn page(of: Value) -> Value {
    let next = says(nullable(text()), "What `after` is to be for the next page; null on the last.");
    object([("data", list(of)), ("next", next)])
}

/// Any text.
pub fn text() -> Value {
    json!({"type": "string"})
}

/// True or false.
pub fn truth() -> Value {
    json!({"type": "boolean"})
}

/// One of these texts.
pub fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

/// A whole number from `least` to `most`.
pub fn whole(least: u64, most: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// A whole number from 0.
pub fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// RFC 3339.
pub fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// A UUID.
pub fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// An event's id.
pub fn event_id() -> Value {
    json!({"type": "string", "description": EventId::ALLOWED, "pattern": "^[!-~]{1,256}$"})
}

/// An event type.
pub fn event_type() -> Value {
    let pattern = r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){0,15}$";
    json!({"type": "string", "description": EventType::ALLOWED, "maxLength": 256, "pattern": pattern})
}

/// A source, a subject.
pub fn source() -> Value {
    let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$";
    json!({"type": "string", "description": Source::ALLOWED, "minLength": 1, "maxLength": 256, "pattern": pattern})
}

/// A project's id.
pub fn project_id() -> Value {
    json!({"type": "string", "description": ProjectId::ALLOWED, "pattern": "^[a-z0-9-]{1,40}$"})
}

//! JSON Schemas of events' data: compiled once, bounded in what they can cost.
//!
//! Schemas come from a project's own people and are run on every event of theirs, in a process that others share. So a schema
//! has a bounded size; its references are to its own `$defs` and none leads back to itself, which bounds how often its parts
//! are looked at; its patterns are those of an engine without backtracking; and nothing is ever fetched.

use std::collections::HashMap;
use std::fmt;

use jsonschema::paths::LocationSegment;
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::normalise::path::{push_index, push_key};

/// The most bytes of a schema as JSON: 64 KiB.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The most values in a schema once each reference stands for what it names.
const MAX_EXPANDED: usize = 10_000;
/// The most bytes that a pattern may take when it is compiled.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A compiled schema.
pub struct Schema(Validator);

/// Where data breaks its schema, and how. The message does not hold the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// A JSON path below the root that was given, such as `$.data.items[3]`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Schema {
    /// Compiles a schema; without `$schema` it is one of the draft 2020-12.
    ///
    /// # Errors
    /// In words, when it is none, is too large, or has references that are not allowed.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let Value::Object(root) = schema else { return Err("must be an object, a JSON Schema".to_owned()) };
        let size = schema.to_string().len();
        if size > MAX_SCHEMA_BYTES {
            return Err(format!("has {size} bytes; at most {MAX_SCHEMA_BYTES} (64 KiB) are allowed"));
        }
        References { root, sizes: HashMap::new() }.expanded(schema)?;
        let options = jsonschema::options().with_pattern_options(
            PatternOptions::regex().size_limit(MAX_PATTERN_BYTES).dfa_size_limit(MAX_PATTERN_BYTES),
        );
        let built = options.build(schema).map_err(|error| format!("is not a JSON Schema: {}", error.masked()))?;
        Ok(Self(built))
    }

    /// Checks a value that stands at `root` in what was sent.
    ///
    /// # Errors
    /// The first place where it breaks the schema.
    pub fn check(&self, value: &Value, root: &str) -> Result<(), Violation> {
        self.0.validate(value).map_err(|error| {
            let mut path = root.to_owned();
            for segment in error.instance_path() {
                match segment {
                    LocationSegment::Property(name) => {
                        let quoted = Value::from(&*name).to_string();
                        push_key(&mut path, quoted.trim_matches('"'));
                    }
                    LocationSegment::Index(index) => push_index(&mut path, index),
                }
            }
            Violation { path, message: format!("does not meet the type's schema: {}", error.masked()) }
        })
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

/// Counts a schema's values, each reference as what it names.
struct References<'s> {
    root: &'s Map<String, Value>,
    /// By the text of a reference; `None` while it is being followed.
    sizes: HashMap<&'s str, Option<usize>>,
}

impl<'s> References<'s> {
    fn expanded(&mut self, value: &'s Value) -> Result<usize, String> {
        let mut size = 1_usize;
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    size += match (name.as_str(), value) {
                        ("$ref", Value::String(to)) => self.follow(to)?,
                        ("$dynamicRef" | "$recursiveRef", Value::String(_)) => {
                            return Err(format!("{name} is not allowed; use $ref to `#/$defs/`"));
                        }
                        ("$id" | "id", Value::String(_)) if !std::ptr::eq(fields, self.root) => {
                            return Err("$id is only allowed at the top".to_owned());
                        }
                        _ => self.expanded(value)?,
                    };
                    bounded(size)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    size += self.expanded(item)?;
                    bounded(size)?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(size)
    }

    fn follow(&mut self, to: &'s str) -> Result<usize, String> {
        match self.sizes.get(to) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(format!("the reference {to} leads back to itself, which is not allowed")),
            None => {}
        }
        let named = ["$defs", "definitions"].iter().find_map(|at| {
            let name = to.strip_prefix("#/")?.strip_prefix(at)?.strip_prefix('/')?;
            let plain = !name.contains(['/', '~', '%']);
            self.root.get(*at).filter(|_| plain)?.get(name)
        });
        let named = named.ok_or_else(|| {
            format!("the reference {to} is not allowed; references are to plain names in the schema's own `#/$defs/`")
        })?;
        self.sizes.insert(to, None);
        let size = self.expanded(named)?;
        self.sizes.insert(to, Some(size));
        Ok(size)
    }
}

fn bounded(size: usize) -> Result<(), String> {
    if size <= MAX_EXPANDED {
        return Ok(());
    }
    Err(format!("has more than {MAX_EXPANDED} values once its references stand for what they name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_has_its_path_and_not_the_value() {
        let schema = json!({
            "$defs": {"item": {"type": "object", "properties": {"the count": {"type": "integer"}}}},
            "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
            "required": ["items"],
        });
        let schema = Schema::compile(&schema).unwrap();
        assert_eq!(schema.check(&json!({"items": [{"the count": 1}]}), "$.data"), Ok(()));
        let broken = schema.check(&json!({"items": [{}, {"the count": "hidden"}]}), "$.data").unwrap_err();
        assert_eq!(broken.path, "$.data.items[1][\"the count\"]");
        assert!(!broken.message.contains("hidden") && broken.message.contains("integer"), "{}", broken.message);
        let missing = schema.check(&json!({}), "$[2].data").unwrap_err();
        assert!(missing.path == "$[2].data" && missing.message.contains("items"), "{missing:?}");
    }

    #[test]
    fn a_schema_that_could_cost_without_bound_is_refused() {
        let mut doubling = Map::new();
        for level in 0..40 {
            let next = format!("#/$defs/l{}", level + 1);
            doubling.insert(format!("l{level}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
        }
        doubling.insert("l40".to_owned(), json!({"type": "object"}));
        for (schema, says) in [
            (json!(true), "must be an object"),
            (json!({"type": "no such type"}), "is not a JSON Schema"),
            (json!({"pattern": "("}), "is not a JSON Schema"),
            (json!({"pattern": r"(a)\1"}), "is not a JSON Schema"),
            (json!({"$ref": "#"}), "is not allowed"),
            (json!({"$ref": "https://example.com/schema.json"}), "is not allowed"),
            (json!({"$ref": "file:///etc/hostname"}), "is not allowed"),
            (json!({"$ref": "#/$defs/none"}), "is not allowed"),
            (json!({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}), "leads back to itself"),
            (json!({"$dynamicRef": "#a"}), "$dynamicRef is not allowed"),
            (json!({"properties": {"a": {"$id": "https://example.com/"}}}), "only allowed at the top"),
            (json!({"$ref": "#/$defs/l0", "$defs": doubling}), "more than 10000 values"),
            (json!({"$comment": "x".repeat(MAX_SCHEMA_BYTES)}), "at most 65536"),
        ] {
            let message = Schema::compile(&schema).unwrap_err();
            assert!(message.contains(says), "{schema}: {message}");
        }
    }
}

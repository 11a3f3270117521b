//! Reads the catalogue's data files into entries.
//!
//! The schemas share fragments. Each entry gets those that it uses, so that its schema stands for itself wherever it is
//! copied to.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};

use super::{CatalogueEntry, EventScope};
use crate::event::EventType;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DEFINITION: &str = "#/$defs/";

/// An entry as the file of types has it: without its sample, its schema without the fragments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(rename = "type")]
    event_type: EventType,
    scope: EventScope,
    title: String,
    description: String,
    source_pointer: Option<String>,
    subject_pointer: Option<String>,
    schema: Map<String, Value>,
}

/// The entries of `types`, with fragments from `definitions` and samples from `samples`.
///
/// # Errors
/// When a file is not what it should be, or an entry lacks its sample or a fragment, or has two samples.
pub(super) fn read(types: &str, definitions: &str, samples: &[&str]) -> Result<Vec<CatalogueEntry>, serde_json::Error> {
    let types: Vec<Listed> = serde_json::from_str(types)?;
    let definitions: Map<String, Value> = serde_json::from_str(definitions)?;
    let mut samples = merged(samples)?;
    let entry = |listed: Listed| {
        let name = &listed.event_type;
        let sample = samples
            .shift_remove(name.as_str())
            .ok_or_else(|| serde_json::Error::custom(format_args!("no sample of {name}, or listed twice")))?;
        Ok(CatalogueEntry {
            schema: whole_schema(&listed, &definitions)?,
            sample,
            event_type: listed.event_type,
            scope: listed.scope,
            title: listed.title,
            description: listed.description,
            source_pointer: listed.source_pointer,
            subject_pointer: listed.subject_pointer,
        })
    };
    let entries = types.into_iter().map(entry).collect::<Result<Vec<_>, serde_json::Error>>()?;
    match samples.keys().next() {
        Some(name) => Err(serde_json::Error::custom(format_args!("a sample of {name}, which is not listed"))),
        None => Ok(entries),
    }
}

/// The samples of all files.
fn merged(files: &[&str]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut samples = Map::new();
    for file in files {
        let more: Map<String, Value> = serde_json::from_str(file)?;
        for (name, sample) in more {
            if samples.contains_key(&name) {
                return Err(serde_json::Error::custom(format_args!("two samples of {name}")));
            }
            samples.insert(name, sample);
        }
    }
    Ok(samples)
}

/// An entry's schema with the fragments it uses, directly or through others.
fn whole_schema(listed: &Listed, definitions: &Map<String, Value>) -> Result<Value, serde_json::Error> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Value> = listed.schema.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                // Nothing but a reference begins like this.
                let Some(name) = text.strip_prefix(DEFINITION) else { continue };
                let (name, fragment) = definitions
                    .get_key_value(name)
                    .ok_or_else(|| serde_json::Error::custom(format_args!("no definition of {name}")))?;
                if found.insert(name) {
                    open.push(fragment);
                }
            }
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), DIALECT.into());
    schema.insert("title".to_owned(), listed.title.clone().into());
    schema.extend(listed.schema.clone());
    let used = definitions.iter().filter(|(name, _)| found.contains(name));
    let used: Map<String, Value> = used.map(|(name, fragment)| (name.clone(), fragment.clone())).collect();
    if !used.is_empty() {
        schema.insert("$defs".to_owned(), used.into());
    }
    Ok(schema.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_schema(schema: &str) -> String {
        format!(
            r#"[{{"type":"a","scope":"number","title":"A","description":"b.","source_pointer":null,"subject_pointer":null,"schema":{schema}}}]"#
        )
    }

    #[test]
    fn a_schema_gets_the_fragments_it_uses_and_no_others() {
        let types = with_schema(r##"{"properties":{"x":{"$ref":"#/$defs/one"}}}"##);
        let definitions = r##"{"one":{"items":[{"$ref":"#/$defs/two"}]},"two":{"$ref":"#/$defs/one"},"three":{}}"##;
        let entries = read(&types, definitions, &[r#"{"a":{}}"#]).unwrap();
        let used: Vec<_> = entries[0].schema["$defs"].as_object().unwrap().keys().collect();
        assert_eq!(used, ["one", "two"]);
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let missing = with_schema(r##"{"$ref":"#/$defs/gone"}"##);
        for (types, samples, named) in [
            (with_schema("{}"), &["{}"][..], "no sample of a"),
            (with_schema("{}"), &[r#"{"a":{}}"#, r#"{"b":{}}"#], "a sample of b"),
            (with_schema("{}"), &[r#"{"a":{}}"#, r#"{"a":{}}"#], "two samples of a"),
            (missing, &[r#"{"a":{}}"#], "no definition of gone"),
        ] {
            let error = read(&types, "{}", samples).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}

//! The fields of an event type, as create and update read them.

use fanfare_core::event::EventType;
use fanfare_core::own_type::OwnType;
use fanfare_core::schema::Schema;
use fanfare_http::Problem;
use serde_json::Value;

use crate::input::body::{kind, member, take, text};
use crate::input::{Given, Object, Wrong};

const SETTABLE: [&str; 5] = ["type", "title", "description", "schema", "sample"];
/// The most characters of a title.
pub(crate) const MAX_TITLE: usize = 100;
/// The most characters of a description.
pub(crate) const MAX_DESCRIPTION: usize = 512;
/// The most bytes of a sample as JSON: 64 KiB.
const MAX_SAMPLE_BYTES: usize = 64 * 1024;

/// What the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new type: `type`, `title` and `sample` are required.
    Create,
    /// A change, by JSON merge patch at the top: `schema` and `sample` are replaced whole.
    Update,
}

/// The fields.
#[derive(Debug)]
pub(crate) struct TypeFields {
    /// Its name.
    pub(crate) name: Given<EventType>,
    title: Given<String>,
    description: Given<String>,
    schema: Given<Value>,
    sample: Given<Value>,
}

impl TypeFields {
    /// Reads all fields and checks each.
    ///
    /// # Errors
    /// 400 with every field that is wrong.
    pub(crate) fn read(object: &Object, purpose: Purpose) -> Result<Self, Problem> {
        let mut fields = Self {
            name: Given::Absent,
            title: Given::Absent,
            description: Given::Absent,
            schema: Given::Absent,
            sample: Given::Absent,
        };
        let mut wrong = Wrong::new();
        for (field, value) in object.fields() {
            let at = member("$", field);
            match field {
                "type" if purpose == Purpose::Update => wrong.at(at, "is read-only"),
                "type" | "title" | "sample" if value.is_null() => wrong.at(at, "must not be null"),
                "type" => fields.name = take(value, &at, &mut wrong, name),
                "title" => fields.title = take(value, &at, &mut wrong, |value| words(value, MAX_TITLE)),
                "description" => {
                    fields.description = take(value, &at, &mut wrong, |value| words(value, MAX_DESCRIPTION));
                }
                "schema" => {
                    fields.schema =
                        take(value, &at, &mut wrong, |value| Schema::compile(value).map(|_compiled| value.clone()));
                }
                "sample" => fields.sample = take(value, &at, &mut wrong, sample),
                "created_at" | "updated_at" | "scope" | "source_pointer" | "subject_pointer" => {
                    wrong.at(at, "is read-only");
                }
                field => wrong.unknown(at, field, &SETTABLE),
            }
        }
        if purpose == Purpose::Create {
            for required in ["type", "title", "sample"].into_iter().filter(|required| !object.has(required)) {
                wrong.at(member("$", required), "is required");
            }
        }
        wrong.refuse()?;
        Ok(fields)
    }

    /// The type with the fields that are given; its sample meets its schema.
    ///
    /// # Errors
    /// 400 when the sample does not.
    pub(crate) fn merged(&self, current: &OwnType) -> Result<OwnType, Problem> {
        let changed = OwnType {
            title: self.title.or(&current.title),
            description: self.description.merged_option(&current.description),
            schema: self.schema.merged_option(&current.schema),
            sample: self.sample.or(&current.sample),
            ..current.clone()
        };
        if let Some(schema) = &changed.schema {
            let compiled = Schema::compile(schema).map_err(|message| Problem::invalid("$.schema", message))?;
            let checked = compiled.check(&changed.sample, "$.sample");
            checked.map_err(|broken| Problem::invalid(broken.path, broken.message))?;
        }
        Ok(changed)
    }
}

fn name(value: &Value) -> Result<EventType, String> {
    EventType::new(text(value)?).map_err(|_| format!("must be {}", EventType::ALLOWED))
}

fn words(value: &Value, most: usize) -> Result<String, String> {
    let text = text(value)?;
    let fits = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("must be 1 to {most} characters without control characters")) }
}

fn sample(value: &Value) -> Result<Value, String> {
    match value {
        Value::Object(_) | Value::Array(_) if value.to_string().len() <= MAX_SAMPLE_BYTES => Ok(value.clone()),
        Value::Object(_) | Value::Array(_) => Err(format!("may have at most {MAX_SAMPLE_BYTES} bytes (64 KiB)")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("must be an object or an array, as an event's data is, not {}", kind(value)))
        }
    }
}

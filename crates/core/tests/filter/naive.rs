//! The rules of filters said a second time, over parsed values and without a thought about cost.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// Where in the filter a condition is, by the numbers of its fields, and its path.
pub(crate) type Failure = (Vec<usize>, String);

pub(crate) fn ask(filter: &Value, data: &Value) -> Result<(), Failure> {
    of_value(filter.as_object().unwrap(), Some(data), &[], "")
}

fn of_value(fields: &Map<String, Value>, data: Option<&Value>, at: &[usize], path: &str) -> Result<(), Failure> {
    match data {
        Some(Value::Array(_)) => {
            let mut items = Vec::new();
            flatten(data, &mut items);
            if items.is_empty() {
                return of_object(fields, None, at, path);
            }
            let answers: Vec<_> = items.iter().map(|item| of_object(fields, item.as_object(), at, path)).collect();
            let failures = answers.into_iter().collect::<Vec<_>>();
            if failures.iter().any(Result::is_ok) {
                return Ok(());
            }
            Err(failures.into_iter().filter_map(Result::err).max().unwrap())
        }
        other => of_object(fields, other.and_then(Value::as_object), at, path),
    }
}

fn of_object(
    fields: &Map<String, Value>,
    data: Option<&Map<String, Value>>,
    at: &[usize],
    path: &str,
) -> Result<(), Failure> {
    for (number, (key, wanted)) in fields.iter().enumerate() {
        let at = [at, &[number]].concat();
        let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'$');
        let quoted = Value::from(key.as_str()).to_string();
        let path = match plain {
            true if path.is_empty() => key.clone(),
            true => format!("{path}.{key}"),
            false => format!("{path}[{quoted}]"),
        };
        let value = data.and_then(|data| data.get(key));
        let met = match wanted {
            Value::Array(alternatives) if key == "$or" => {
                alternatives.iter().any(|fields| of_object(fields.as_object().unwrap(), data, &[], "").is_ok())
            }
            Value::Array(conditions) => conditions.iter().any(|condition| meets(condition, value)),
            fields => {
                of_value(fields.as_object().unwrap(), value, &at, &path)?;
                true
            }
        };
        if !met {
            return Err((at, path));
        }
    }
    Ok(())
}

fn flatten<'v>(value: Option<&'v Value>, into: &mut Vec<&'v Value>) {
    match value {
        Some(Value::Array(items)) => items.iter().for_each(|item| flatten(Some(item), into)),
        Some(value) => into.push(value),
        None => {}
    }
}

fn meets(condition: &Value, value: Option<&Value>) -> bool {
    if let Some(exists) = condition.get("exists") {
        return exists.as_bool() == Some(value.is_some());
    }
    let mut values = Vec::new();
    flatten(value, &mut values);
    values.iter().filter(|value| !value.is_object()).any(|value| passes(condition, value))
}

fn passes(condition: &Value, value: &Value) -> bool {
    let Some((operator, operand)) = condition.as_object().and_then(|condition| condition.iter().next()) else {
        return same(condition, value);
    };
    match operator.as_str() {
        "numeric" => {
            let pairs = operand.as_array().unwrap().chunks(2);
            value.is_number()
                && pairs.into_iter().all(|pair| {
                    let order = compare(value, &pair[1]);
                    match pair[0].as_str().unwrap() {
                        "=" => order.is_eq(),
                        "<" => order.is_lt(),
                        "<=" => order.is_le(),
                        ">" => order.is_gt(),
                        _ => order.is_ge(),
                    }
                })
        }
        "anything-but" => match operand {
            Value::Array(values) => !values.iter().any(|other| same(other, value)),
            Value::Object(inner) => {
                let (operator, operand) = inner.iter().next().unwrap();
                let list = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                !list.iter().any(|operand| text_passes(operator, operand, value))
            }
            other => !same(other, value),
        },
        operator => text_passes(operator, operand, value),
    }
}

fn text_passes(operator: &str, operand: &Value, value: &Value) -> bool {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let Some(text) = value.as_str() else { return false };
    let (wanted, ignoring_case) = match operand {
        Value::String(wanted) => (wanted.as_str(), false),
        operand => (operand["equals-ignore-case"].as_str().unwrap(), true),
    };
    let (text, wanted) = if ignoring_case { (fold(text), fold(wanted)) } else { (text.to_owned(), wanted.to_owned()) };
    match operator {
        "prefix" => text.starts_with(&wanted),
        "suffix" => text.ends_with(&wanted),
        "equals-ignore-case" => fold(&text) == fold(&wanted),
        "wildcard" => glob(&wanted, &text),
        operator => panic!("{operator}"),
    }
}

fn glob(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => text.is_empty(),
        Some('*') => {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| glob(characters.as_str(), &text[at..]))
        }
        Some(character) => {
            let literal = if character == '\\' { characters.next().unwrap() } else { character };
            text.strip_prefix(literal).is_some_and(|rest| glob(characters.as_str(), rest))
        }
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.is_number(), other.is_number()) {
        (true, true) => compare(one, other).is_eq(),
        _ => one == other,
    }
}

/// Whole numbers exactly; where one has a fraction, as doubles, which the numbers of these tests all are.
fn compare(one: &Value, other: &Value) -> Ordering {
    let whole = |value: &Value| -> Option<i128> {
        let number = value.as_number().unwrap();
        number.as_i128().or_else(|| number.as_f64().filter(|n| n.fract().abs() < f64::MIN_POSITIVE).map(|n| n as i128))
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().unwrap().partial_cmp(&other.as_f64().unwrap()).unwrap(),
    }
}

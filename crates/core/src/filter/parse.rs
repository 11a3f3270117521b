//! From a filter's JSON form to what is asked of data.
//!
//! The first thing that is wrong ends it, with the path of the place in the filter. No message holds a value: a filter may
//! name customers.

use serde_json::{Map, Value};

use super::condition::{Conditions, Range, Test, Values};
use super::evaluate::{Field, Fields};
use super::number::Number;
use super::text::{TextTest, fold, raw};
use super::{FilterError, MAX_CONDITIONS, MAX_FILTER_BYTES, MAX_FILTER_DEPTH};
use crate::normalise::path::{push_index, push_key};

const OR: &str = "$or";
const OPERATORS: &str = "exists, prefix, suffix, equals-ignore-case, wildcard, numeric, anything-but";
const TEXT_OPERATORS: [&str; 4] = ["prefix", "suffix", "equals-ignore-case", "wildcard"];

type Parsed<T> = Result<T, FilterError>;

/// The fields of a filter, and the paths of its conditions by their number.
pub(super) fn parse(json: &Value, path: &str) -> Parsed<(Fields, Box<[Box<str>]>)> {
    let mut parser =
        Parser { path: path.to_owned(), field: String::new(), paths: Vec::new(), conditions: 0, alternatives: 0 };
    if json.to_string().len() > MAX_FILTER_BYTES {
        return Err(parser.wrong(format!("must have at most {MAX_FILTER_BYTES} bytes as compact JSON")));
    }
    let fields = parser.fields(json, 1)?;
    Ok((fields, parser.paths.into_boxed_slice()))
}

struct Parser {
    /// Where in the filter.
    path: String,
    /// Where in the data: `.message.type`.
    field: String,
    /// Of the conditions so far.
    paths: Vec<Box<str>>,
    conditions: usize,
    /// How many `$or` this is in.
    alternatives: usize,
}

impl Parser {
    fn wrong(&self, message: impl Into<String>) -> FilterError {
        FilterError { path: self.path.clone(), message: message.into() }
    }

    /// Parses what is at a member of the filter.
    fn member<T>(&mut self, key: &str, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let length = self.path.len();
        push_key(&mut self.path, &raw(key));
        let parsed = parse(self)?;
        self.path.truncate(length);
        Ok(parsed)
    }

    /// Parses each item of an array of the filter.
    fn items<T>(&mut self, items: &[Value], mut parse: impl FnMut(&mut Self, &Value) -> Parsed<T>) -> Parsed<Vec<T>> {
        let length = self.path.len();
        let mut parsed = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            push_index(&mut self.path, index);
            parsed.push(parse(self, item)?);
            self.path.truncate(length);
        }
        Ok(parsed)
    }

    fn fields(&mut self, value: &Value, depth: usize) -> Parsed<Fields> {
        let Value::Object(members) = value else {
            return Err(self.wrong(format!("must be an object of fields, not {}", kind(value))));
        };
        if depth > MAX_FILTER_DEPTH {
            return Err(self.wrong(format!("must have at most {MAX_FILTER_DEPTH} levels of fields")));
        }
        if members.is_empty() {
            return Err(self.wrong("must have at least one field"));
        }
        let mut fields = Vec::with_capacity(members.len());
        for (key, value) in members {
            let length = self.field.len();
            push_key(&mut self.field, &raw(key));
            fields.push(self.member(key, |parser| parser.field(key, value, depth))?);
            self.field.truncate(length);
        }
        Ok(Fields(fields.into()))
    }

    fn field(&mut self, key: &str, value: &Value, depth: usize) -> Parsed<Field> {
        match value {
            Value::Array(items) if key == OR => self.either(items, depth),
            _ if key == OR => Err(self.wrong(format!("must be an array of objects of fields, not {}", kind(value)))),
            Value::Array(items) => {
                let number = self.number();
                Ok(Field::Value { key: raw(key), number, conditions: self.conditions(items)? })
            }
            Value::Object(_) => Ok(Field::Nested { key: raw(key), fields: self.fields(value, depth + 1)? }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Err(self.wrong(format!(
                "must be an array of conditions, such as [\"text\"] or [{{\"exists\": true}}], or an object of fields, not {}",
                kind(value)
            ))),
        }
    }

    fn either(&mut self, items: &[Value], depth: usize) -> Parsed<Field> {
        if items.len() < 2 {
            return Err(self.wrong("must have at least two alternatives"));
        }
        let number = self.number();
        self.alternatives += 1;
        let length = self.field.len();
        let alternatives = self.items(items, |parser, item| parser.fields(item, depth + 1))?;
        self.field.truncate(length);
        self.alternatives -= 1;
        Ok(Field::Either { number, alternatives: alternatives.into() })
    }

    /// The number of the condition at the field where this is, whose path is noted. Alternatives have that of their `$or`.
    fn number(&mut self) -> usize {
        if self.alternatives == 0 {
            self.paths.push(self.field.strip_prefix('.').unwrap_or(&self.field).into());
        }
        self.paths.len().saturating_sub(1)
    }

    fn conditions(&mut self, items: &[Value]) -> Parsed<Conditions> {
        if items.is_empty() {
            return Err(self.wrong("must have at least one condition"));
        }
        let mut conditions = Conditions::default();
        self.items(items, |parser, item| parser.condition(item, &mut conditions))?;
        conditions.finish();
        Ok(conditions)
    }

    fn condition(&mut self, item: &Value, conditions: &mut Conditions) -> Parsed<()> {
        match item {
            Value::Object(operator) => {
                let (name, operand) = self.operator(operator)?;
                self.member(name, |parser| parser.operation(name, operand, conditions))
            }
            Value::Array(_) => Err(self.wrong("must be a value or a condition, not an array")),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.value(item, &mut conditions.values)
            }
        }
    }

    /// The one operator of an object, with what it is applied to.
    fn operator<'v>(&self, operator: &'v Map<String, Value>) -> Parsed<(&'v str, &'v Value)> {
        let mut members = operator.iter();
        match (members.next(), members.next()) {
            (Some((name, operand)), None) => Ok((name, operand)),
            (None, _) | (Some(_), Some(_)) => Err(self.wrong(format!("must have one operator: one of {OPERATORS}"))),
        }
    }

    fn operation(&mut self, name: &str, operand: &Value, conditions: &mut Conditions) -> Parsed<()> {
        match name {
            "exists" => {
                self.count()?;
                match operand {
                    Value::Bool(true) => conditions.present = true,
                    Value::Bool(false) => conditions.absent = true,
                    other => return Err(self.wrong(format!("must be true or false, not {}", kind(other)))),
                }
            }
            "numeric" => self.numeric(operand, conditions)?,
            "anything-but" => {
                let test = self.anything_but(operand)?;
                conditions.tests.push(test);
            }
            name if TEXT_OPERATORS.contains(&name) => {
                let test = self.text_test(name, operand)?;
                conditions.tests.push(Test::Text(test));
            }
            _ => return Err(self.wrong(format!("is not known; operators are {OPERATORS}"))),
        }
        Ok(())
    }

    fn count(&mut self) -> Parsed<()> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(self.wrong(format!("is one too many: a filter has at most {MAX_CONDITIONS} conditions")));
        }
        Ok(())
    }

    /// Adds an exact value.
    fn value(&mut self, value: &Value, values: &mut Values) -> Parsed<()> {
        self.count()?;
        match value {
            Value::Null => values.null = true,
            Value::Bool(true) => values.yes = true,
            Value::Bool(false) => values.no = true,
            Value::Number(number) => values.numbers.push(Number::new(number)),
            Value::String(text) => values.texts.push(raw(text)),
            Value::Array(_) | Value::Object(_) => {
                return Err(self.wrong(format!("must be a string, a number, true, false or null, not {}", kind(value))));
            }
        }
        Ok(())
    }

    fn anything_but(&mut self, operand: &Value) -> Parsed<Test> {
        let (mut values, mut texts) = (Values::default(), Vec::new());
        match operand {
            Value::Array(items) if items.is_empty() => return Err(self.wrong("must have at least one value")),
            Value::Array(items) => drop(self.items(items, |parser, item| parser.value(item, &mut values))?),
            Value::Object(operator) => {
                let (name, operand) = self.operator(operator)?;
                texts = self.member(name, |parser| parser.text_tests(name, operand))?;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self.value(operand, &mut values)?,
        }
        Ok(Test::AnythingBut { values, texts })
    }

    /// What texts must not pass: one operand, or a list of them.
    fn text_tests(&mut self, name: &str, operand: &Value) -> Parsed<Vec<TextTest>> {
        if !TEXT_OPERATORS.contains(&name) {
            return Err(self.wrong(format!("is not known; operators here are {}", TEXT_OPERATORS.join(", "))));
        }
        match operand {
            Value::Array(items) if items.is_empty() => Err(self.wrong("must have at least one string")),
            Value::Array(items) => self.items(items, |parser, item| parser.text_test(name, item)),
            operand => Ok(vec![self.text_test(name, operand)?]),
        }
    }

    fn text_test(&mut self, name: &str, operand: &Value) -> Parsed<TextTest> {
        self.count()?;
        match (name, operand) {
            ("prefix", Value::String(text)) => Ok(TextTest::Prefix(raw(text))),
            ("suffix", Value::String(text)) => Ok(TextTest::Suffix(raw(text))),
            ("prefix", Value::Object(inner)) => self.ignoring_case(inner).map(TextTest::PrefixIgnoreCase),
            ("suffix", Value::Object(inner)) => self.ignoring_case(inner).map(TextTest::SuffixIgnoreCase),
            ("equals-ignore-case", Value::String(text)) => Ok(TextTest::IgnoreCase(folded(text))),
            ("wildcard", Value::String(text)) => self.wildcard(text),
            ("prefix" | "suffix", other) => {
                Err(self.wrong(format!("must be a string or {{\"equals-ignore-case\": …}}, not {}", kind(other))))
            }
            (_, other) => Err(self.wrong(format!("must be a string, not {}", kind(other)))),
        }
    }

    fn ignoring_case(&mut self, inner: &Map<String, Value>) -> Parsed<Box<str>> {
        let mut members = inner.iter();
        match (members.next(), members.next()) {
            (Some((name, Value::String(text))), None) if name == "equals-ignore-case" => Ok(folded(text)),
            (Some((name, other)), None) if name == "equals-ignore-case" => {
                self.member(name, |parser| Err(parser.wrong(format!("must be a string, not {}", kind(other)))))
            }
            (Some(_) | None, _) => Err(self.wrong("must be a string or have equals-ignore-case alone")),
        }
    }

    /// A text with `*` for anything, where `\*` is an asterisk and `\\` a backslash.
    fn wildcard(&self, text: &str) -> Parsed<TextTest> {
        let mut pieces = vec![String::new()];
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let literal = match character {
                '*' if characters.peek() == Some(&'*') => return Err(self.wrong("must not have ** in it")),
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    Some(_) | None => return Err(self.wrong("may have a backslash only as \\* or \\\\")),
                },
                other => other,
            };
            pieces.last_mut().into_iter().for_each(|piece| piece.push(literal));
        }
        Ok(TextTest::Wildcard(pieces.iter().map(|piece| raw(piece)).collect()))
    }

    /// `["=", 5]`, `[">", 0]` or `[">", 0, "<=", 5]`.
    fn numeric(&mut self, operand: &Value, conditions: &mut Conditions) -> Parsed<()> {
        const FORM: &str = "must be a comparison and a number, such as [\"=\", 5], or two of them, such as \
            [\">\", 0, \"<=\", 5]";
        self.count()?;
        let Value::Array(items) = operand else { return Err(self.wrong(FORM)) };
        if items.len() != 2 && items.len() != 4 {
            return Err(self.wrong(FORM));
        }
        let mut range = Range::default();
        for pair in [0, 2].into_iter().filter(|pair| *pair < items.len()) {
            let (comparison, bound) = (&items[pair], &items[pair + 1]);
            let number = match bound {
                Value::Number(number) => Number::new(number),
                other => return self.item(pair + 1, format!("must be a number, not {}", kind(other))),
            };
            let (side, within) = match comparison.as_str() {
                Some("=") if items.len() == 2 => {
                    conditions.values.numbers.push(number);
                    return Ok(());
                }
                Some("=") => return self.item(pair, "must not be = in a range"),
                Some(">") => (&mut range.lower, false),
                Some(">=") => (&mut range.lower, true),
                Some("<") => (&mut range.upper, false),
                Some("<=") => (&mut range.upper, true),
                Some(_) | None => return self.item(pair, "must be one of =, <, <=, > and >="),
            };
            if side.replace((number, within)).is_some() {
                return self.item(
                    pair,
                    "must be the other bound: a range has a lower one (> or >=) and an upper one (< or <=)",
                );
            }
        }
        if range.is_empty() {
            return Err(self.wrong("must have room between its bounds"));
        }
        conditions.tests.push(Test::Numeric(range));
        Ok(())
    }

    /// What is wrong with one item of the array where this is.
    fn item(&mut self, index: usize, message: impl Into<String>) -> Parsed<()> {
        push_index(&mut self.path, index);
        Err(self.wrong(message))
    }
}

fn folded(text: &str) -> Box<str> {
    fold(text.chars()).collect::<String>().into()
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

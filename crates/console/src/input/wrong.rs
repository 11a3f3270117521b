//! The wrong fields of a request, collected.

use fanfare_http::Problem;
use fanfare_http::problem::FieldError;

/// How alike two names must be (Jaro-Winkler, 0 to 1) for the one to be offered in place of the other. `urls` and `url` are at
/// 0.94, `retry` and `retry_schedule` at 0.87, `name` and `events` at 0.
const ALIKE: f64 = 0.75;
/// The most wrong fields that are named in one answer: a body full of unknown names must not be answered by a larger one.
const MOST: usize = 100;

/// The wrong fields found so far.
#[derive(Debug, Default)]
pub(crate) struct Wrong(Vec<FieldError>);

impl Wrong {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` is wrong. The message says what is allowed and never holds the value, which may be a secret.
    pub(crate) fn at(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(FieldError::new(field, message));
        }
    }

    /// Notes that `name`, found at `field`, is not one of the `known` names.
    pub(crate) fn unknown(&mut self, field: impl Into<String>, name: &str, known: &[&str]) {
        let message = match nearest(name, known) {
            Some(right) => format!("is not known; did you mean `{right}`?"),
            None => format!("is not known; allowed are {}", known.join(", ")),
        };
        self.at(field, message);
    }

    /// Refuses the request if anything is wrong with it.
    ///
    /// # Errors
    /// 400 with every wrong field.
    pub(crate) fn refuse(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut problem = Problem::invalid_fields(self.0);
        if problem.errors.len() > 1 {
            let names: Vec<&str> = problem.errors.iter().take(10).map(|error| error.field.as_str()).collect();
            problem.detail = format!("{} fields are wrong: {}", problem.errors.len(), names.join(", "));
        }
        Err(problem)
    }
}

/// The known name that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|right| (strsim::jaro_winkler(name, right), *right))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, right)| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_mended_and_a_foreign_one_is_not() {
        let known = ["url", "events", "source", "description", "retry_schedule", "timeout_seconds"];
        for (wrong, right) in
            [("urls", "url"), ("event", "events"), ("retry", "retry_schedule"), ("timeout", "timeout_seconds")]
        {
            assert_eq!(nearest(wrong, &known), Some(right), "{wrong}");
        }
        assert_eq!(nearest("zzz", &known), None);
    }
}

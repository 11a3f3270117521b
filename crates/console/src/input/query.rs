//! A request's query, as parameters that are taken one by one.

use fanfare_http::Problem;
use url::form_urlencoded;

use super::Wrong;

/// The parameters of a request, decoded, in the order they were sent.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    wrong: Wrong,
}

impl Query {
    /// Reads a query; parameters that are not `known` are noted as wrong.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Self {
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        let mut wrong = Wrong::new();
        for (name, _) in &parameters {
            if !known.contains(&name.as_str()) {
                wrong.unknown(name.as_str(), name, known);
            }
        }
        Self { parameters, wrong }
    }

    /// The one value of a parameter, parsed. Given twice, or not as `parse` takes it, it is noted as wrong.
    pub(crate) fn one<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let mut values = self.parameters.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        let value = values.next()?;
        let parsed = if values.next().is_some() { Err("may be given once".to_owned()) } else { parse(value) };
        parsed.map_err(|message| self.wrong.at(name, message)).ok()
    }

    /// All values of a parameter that may be given again, and as a list with commas; each that is wrong is noted.
    pub(crate) fn many<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let values = self.parameters.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
        let mut found = Vec::new();
        for value in values.flat_map(|value| value.split(',')) {
            match parse(value.trim()) {
                Ok(value) => found.push(value),
                Err(message) => self.wrong.at(name, message),
            }
        }
        found
    }

    /// Notes that a parameter is wrong.
    pub(crate) fn at(&mut self, name: &str, message: impl Into<String>) {
        self.wrong.at(name, message);
    }

    /// Refuses the request if any parameter is wrong.
    ///
    /// # Errors
    /// 400 with every wrong parameter.
    pub(crate) fn refuse(self) -> Result<(), Problem> {
        self.wrong.refuse()
    }
}

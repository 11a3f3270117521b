//! Normalisation: the one JSON text of a value that survives `JSON.parse` + `JSON.stringify` unchanged.
//!
//! Many receivers verify a signature over the body they parsed and wrote again. With this text both they and those who
//! verify the raw body succeed. The one exception are integers beyond ±2^53, which stay digit for digit. Data is
//! normalised once, on acceptance; nothing changes its bytes afterwards.

mod fault;
mod order;
pub(crate) mod path;
mod pointer;
mod scan;
mod walk;
mod write;

use bytes::Bytes;

pub(crate) use fault::{Fault, FaultKind};
pub(crate) use pointer::string_at;
pub(crate) use scan::Scanner;
pub(crate) use walk::{Container, Visitor, skip, walk};

/// The deepest nesting of arrays and objects that is accepted.
pub const MAX_DEPTH: usize = 64;

/// Why a text has no normal form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct NormaliseError {
    /// Where, as a JSON path such as `$.items[3].name`. Of a very long key only the beginning is shown.
    pub path: String,
    /// What is wrong; lowercase, no final period. Faults of the syntax come with line and column.
    pub message: String,
    /// Whether the text is not JSON at all, rather than JSON that has no normal form.
    pub malformed: bool,
}

/// Normalises one JSON value. `path` is the JSON path of the value itself, for error messages (`$` or `$.data`).
///
/// The result is compact, with JavaScript's number forms, no escapes but those that `JSON.stringify` writes, and object
/// members in JavaScript's order: array indexes first, ascending, a repeated key in its first place with its last value.
///
/// # Errors
/// When the text is not one JSON value, has a lone surrogate, a number out of range, or more than [`MAX_DEPTH`] levels.
pub fn normalise(json: &[u8], path: &str) -> Result<Bytes, NormaliseError> {
    // The part before the first byte that is not UTF-8 is walked all the same, for the path of the fault.
    let text = json.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let broken = text.len() < json.len();
    let mut scan = Scanner::new(text);
    scan.skip_whitespace();
    let result = normalise_value(&mut scan, path).and_then(|normal| match scan.end() {
        Ok(()) if broken => Err((path.to_owned(), scan.fault(FaultKind::UnexpectedEnd))),
        Ok(()) => Ok(normal),
        Err(fault) => Err((path.to_owned(), fault)),
    });
    result.map_err(|(path, mut fault)| {
        if broken && fault.kind == FaultKind::UnexpectedEnd {
            fault.kind = FaultKind::InvalidUtf8;
        }
        NormaliseError { path, message: fault.message(text), malformed: fault.is_malformed() }
    })
}

/// Normalises the value at the cursor and leaves the cursor behind it; a fault comes with its JSON path, which begins with
/// `path`.
pub(crate) fn normalise_value(scan: &mut Scanner<'_>, path: &str) -> Result<Bytes, (String, Fault)> {
    let mut writer = write::Writer::new(scan.text(), scan.at());
    match walk::walk(scan, &mut writer) {
        Ok(()) => Ok(writer.finish(scan.at())),
        Err(fault) => {
            let mut path = path.to_owned();
            writer.push_path(&mut path);
            Err((path, fault))
        }
    }
}

//! The grammar of JSON values, walked without recursion: what is done with the parts is the visitor's.
//!
//! Writing and skipping share this walk, so a text that one of them takes for JSON is JSON for the other.

use super::fault::Fault;
use super::scan::Scanner;

/// The two kinds of value that hold others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Array,
    Object,
}

/// What is done with the parts of a value. Offsets are those of the scanner's text.
pub(crate) trait Visitor {
    /// The innermost container that is open.
    fn inside(&self) -> Option<Container>;
    /// Whitespace was stepped over.
    fn space(&mut self, from: usize, to: usize);
    /// A container opens; its bracket is at `at`.
    fn open(&mut self, container: Container, at: usize) -> Result<(), Fault>;
    /// Steps over a member's key, whose opening quote is at the cursor.
    fn key(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault>;
    /// Steps over a string, whose opening quote is at the cursor.
    fn string(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault>;
    /// Steps over a number.
    fn number(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault>;
    /// Steps over `true`, `false` or `null`, of which the first letter is at the cursor.
    fn literal(&mut self, scan: &mut Scanner<'_>, word: &'static str) -> Result<(), Fault> {
        scan.literal(word)
    }
    /// An item or member of the innermost container ended before `at`.
    fn item(&mut self, at: usize);
    /// The innermost container ends; its bracket is at `at`.
    fn close(&mut self, at: usize);
}

/// Walks the value at the cursor and leaves the cursor behind it. No whitespace is before it.
pub(crate) fn walk(scan: &mut Scanner<'_>, visitor: &mut impl Visitor) -> Result<(), Fault> {
    loop {
        match scan.peek() {
            Some(b'"') => visitor.string(scan)?,
            Some(b'-' | b'0'..=b'9') => visitor.number(scan)?,
            Some(b't') => visitor.literal(scan, "true")?,
            Some(b'f') => visitor.literal(scan, "false")?,
            Some(b'n') => visitor.literal(scan, "null")?,
            Some(b'[') => {
                visitor.open(Container::Array, scan.at())?;
                scan.bump();
                space(scan, visitor);
                if scan.peek() != Some(b']') {
                    continue;
                }
                visitor.close(scan.at());
                scan.bump();
            }
            Some(b'{') => {
                visitor.open(Container::Object, scan.at())?;
                scan.bump();
                space(scan, visitor);
                if scan.peek() != Some(b'}') {
                    key(scan, visitor, "a key or }")?;
                    continue;
                }
                visitor.close(scan.at());
                scan.bump();
            }
            Some(_) | None => return Err(scan.expected("a value")),
        }
        if !next(scan, visitor)? {
            return Ok(());
        }
    }
}

/// After a value: closes what ends with it, and says whether another value is to come.
fn next(scan: &mut Scanner<'_>, visitor: &mut impl Visitor) -> Result<bool, Fault> {
    while let Some(container) = visitor.inside() {
        visitor.item(scan.at());
        space(scan, visitor);
        let (bracket, expected) = match container {
            Container::Array => (b']', ", or ]"),
            Container::Object => (b'}', ", or }"),
        };
        if scan.take(b',') {
            space(scan, visitor);
            if container == Container::Object {
                key(scan, visitor, "a key")?;
            }
            return Ok(true);
        }
        if scan.peek() != Some(bracket) {
            return Err(scan.expected(expected));
        }
        visitor.close(scan.at());
        scan.bump();
    }
    Ok(false)
}

fn key(scan: &mut Scanner<'_>, visitor: &mut impl Visitor, expected: &'static str) -> Result<(), Fault> {
    if scan.peek() != Some(b'"') {
        return Err(scan.expected(expected));
    }
    visitor.key(scan)?;
    space(scan, visitor);
    if !scan.take(b':') {
        return Err(scan.expected(":"));
    }
    space(scan, visitor);
    Ok(())
}

fn space(scan: &mut Scanner<'_>, visitor: &mut impl Visitor) {
    let from = scan.at();
    scan.skip_whitespace();
    if scan.at() > from {
        visitor.space(from, scan.at());
    }
}

/// Steps over the value at the cursor, however deep it is, and returns its text.
pub(crate) fn skip<'a>(scan: &mut Scanner<'a>) -> Result<&'a str, Fault> {
    let start = scan.at();
    walk(scan, &mut Skip { open: Vec::new() })?;
    Ok(scan.since(start))
}

/// The visitor that looks at the syntax only. One byte for each level; there are no more levels than bytes in the text.
struct Skip {
    open: Vec<Container>,
}

impl Visitor for Skip {
    fn inside(&self) -> Option<Container> {
        self.open.last().copied()
    }

    fn space(&mut self, _from: usize, _to: usize) {}

    fn open(&mut self, container: Container, _at: usize) -> Result<(), Fault> {
        self.open.push(container);
        Ok(())
    }

    fn key(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        scan.skip_string()
    }

    fn string(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        scan.skip_string()
    }

    fn number(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        scan.number().map(|_plain| ())
    }

    fn item(&mut self, _at: usize) {}

    fn close(&mut self, _at: usize) {
        self.open.pop();
    }
}

//! The visitor that writes the normal form of the value it is walked over.
//!
//! What is in normal form already is not touched part by part: it is a run of the input, copied when something differs or
//! the value ends. So an event that comes in normal form is scanned once and copied once.

use bytes::Bytes;

use super::MAX_DEPTH;
use super::fault::{Fault, FaultKind};
use super::order::final_order;
use super::path::{push_index, push_key};
use super::scan::Scanner;
use super::walk::{Container, Visitor};

/// No plain integer of so many characters is out of a double's range: 1.8e308 has 309 digits.
const ALWAYS_FINITE: usize = 308;

/// Writes one value. Places are offsets in what is written, the run included.
pub(super) struct Writer<'a> {
    text: &'a str,
    /// What was written, up to the run.
    out: Vec<u8>,
    /// Where in the text the run begins: from here to the cursor all is to be written as it is.
    run: usize,
    frames: Vec<Frame>,
    /// The members so far of all objects that are open, the outer ones first.
    members: Vec<Member>,
}

/// A container that is open.
struct Frame {
    container: Container,
    /// The place behind its opening bracket.
    start: usize,
    /// How many members of outer objects precede its own.
    members: usize,
    /// How many items have ended.
    items: usize,
}

/// A member of an object that is open: the places of its key, quotes included, and of the end of its value.
struct Member {
    key: usize,
    key_end: usize,
    /// Zero while the value is being walked.
    end: usize,
}

impl<'a> Writer<'a> {
    /// A writer of the value that begins at `start` in `text`.
    pub(super) fn new(text: &'a str, start: usize) -> Self {
        Self { text, out: Vec::new(), run: start, frames: Vec::new(), members: Vec::new() }
    }

    /// What was written, up to `at`.
    pub(super) fn finish(mut self, at: usize) -> Bytes {
        if self.out.is_empty() {
            return Bytes::copy_from_slice(self.slice(self.run, at));
        }
        self.flush(at);
        // Whitespace that was left out is room in the buffer; the bytes may be kept for long, so it is given back.
        Bytes::from(self.out.into_boxed_slice())
    }

    /// Appends to `path` where the walk stands.
    pub(super) fn push_path(&self, path: &mut String) {
        for (depth, frame) in self.frames.iter().enumerate() {
            match frame.container {
                Container::Array => push_index(path, frame.items),
                Container::Object => {
                    let until = self.frames.get(depth + 1).map_or(self.members.len(), |inner| inner.members);
                    let own = self.members.get(frame.members..until).unwrap_or(&[]);
                    if let Some(member) = own.last().filter(|member| member.end == 0) {
                        push_key(path, &String::from_utf8_lossy(self.key_of(member)));
                    }
                }
            }
        }
    }

    fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.text.as_bytes().get(from..to).unwrap_or(&[])
    }

    /// The place of an offset in the run.
    fn place(&self, at: usize) -> usize {
        self.out.len() + (at - self.run)
    }

    /// Copies the run up to `at`; a new run begins there.
    fn flush(&mut self, at: usize) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.text.len() - self.run);
        }
        self.out.extend_from_slice(self.slice(self.run, at));
        self.run = at;
    }

    /// Writes `with` in place of the text from `from` to `to`.
    fn replace(&mut self, from: usize, to: usize, with: &[u8]) {
        self.flush(from);
        self.out.extend_from_slice(with);
        self.run = to;
    }

    /// A member's key in normal form, without its quotes. It is all in `out` or all in the run: see [`Visitor::key`].
    fn key_of(&self, member: &Member) -> &[u8] {
        let (from, to) = (member.key + 1, member.key_end.saturating_sub(1));
        match from.checked_sub(self.out.len()) {
            None => self.out.get(from..to).unwrap_or(&[]),
            Some(offset) => self.slice(self.run + offset, self.run + (to - self.out.len())),
        }
    }

    /// Puts the members of the object that ends at `at` in their final order.
    fn order(&mut self, frame: &Frame, at: usize) {
        let members = self.members.get(frame.members..).unwrap_or(&[]);
        let Some(order) = final_order(members.len(), |n| self.key_of(&members[n])) else { return };
        self.flush(at);
        let mut ordered = Vec::with_capacity(self.out.len() - frame.start);
        for n in order {
            let member = &self.members[frame.members + n];
            if !ordered.is_empty() {
                ordered.push(b',');
            }
            ordered.extend_from_slice(&self.out[member.key..member.end]);
        }
        self.out.truncate(frame.start);
        self.out.extend_from_slice(&ordered);
    }
}

impl Visitor for Writer<'_> {
    fn inside(&self) -> Option<Container> {
        self.frames.last().map(|frame| frame.container)
    }

    fn space(&mut self, from: usize, to: usize) {
        self.replace(from, to, b"");
    }

    fn open(&mut self, container: Container, at: usize) -> Result<(), Fault> {
        if self.frames.len() == MAX_DEPTH {
            return Err(Fault { at, kind: FaultKind::TooDeep });
        }
        let start = self.place(at) + 1;
        self.frames.push(Frame { container, start, members: self.members.len(), items: 0 });
        Ok(())
    }

    fn key(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        let key = self.place(scan.at());
        let run = self.run;
        self.string(scan)?;
        if self.run != run {
            // An escape was rewritten, so the key's beginning is in `out`: its end has to be there too, for `key_of`.
            self.flush(scan.at());
        }
        self.members.push(Member { key, key_end: self.place(scan.at()), end: 0 });
        Ok(())
    }

    fn string(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        scan.bump();
        while scan.plain()? == b'\\' {
            let from = scan.at();
            let escape = scan.escape()?;
            if !escape.normal {
                let mut buffer = [0; 8];
                let normal = write_character(escape.character, &mut buffer);
                self.replace(from, scan.at(), normal);
            }
        }
        scan.bump();
        Ok(())
    }

    fn number(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        let from = scan.at();
        let plain = scan.number()?;
        let token = scan.since(from);
        let fault = Fault { at: from, kind: FaultKind::OutOfRange };
        if plain {
            // Digit for digit: within ±2^53 that is what JavaScript writes, beyond it the sender's digits count.
            if token == "-0" {
                self.replace(from, scan.at(), b"0");
            } else if token.len() > ALWAYS_FINITE && !token.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(fault);
            }
            return Ok(());
        }
        let value = token.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or(fault)?;
        let mut buffer = ryu_js::Buffer::new();
        let normal = buffer.format_finite(value);
        if normal != token {
            self.replace(from, scan.at(), normal.as_bytes());
        }
        Ok(())
    }

    fn item(&mut self, at: usize) {
        let end = self.place(at);
        if let Some(frame) = self.frames.last_mut() {
            frame.items += 1;
            match frame.container {
                Container::Array => {}
                Container::Object => {
                    if let Some(member) = self.members.last_mut() {
                        member.end = end;
                    }
                }
            }
        }
    }

    fn close(&mut self, at: usize) {
        let Some(frame) = self.frames.pop() else { return };
        match frame.container {
            Container::Array => {}
            Container::Object => {
                self.order(&frame, at);
                self.members.truncate(frame.members);
            }
        }
    }
}

/// Writes a character as `JSON.stringify` writes it in a string.
fn write_character(character: char, buffer: &mut [u8; 8]) -> &[u8] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match character {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0'..'\u{20}' => {
            let code = character as usize;
            *buffer = [b'\\', b'u', b'0', b'0', HEX[code >> 4], HEX[code & 15], 0, 0];
            &buffer[..6]
        }
        _ => character.encode_utf8(buffer).as_bytes(),
    }
}

//! The tokens of JSON (RFC 8259), read from a text at a cursor.
//!
//! One place knows what a string, an escape and a number look like; whoever walks, writes or skips a value uses it, so
//! that all of them accept the same texts.

use std::borrow::Cow;

use super::fault::{Fault, FaultKind};

/// A cursor in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// An escape that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Escape {
    /// The character it stands for.
    pub(crate) character: char,
    /// Whether `JSON.stringify` writes that character as it was written here.
    pub(crate) normal: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The cursor's byte offset.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to the cursor; both are at the bounds of tokens.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or("")
    }

    /// The byte at the cursor.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over the byte at the cursor, which is ASCII.
    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    /// Steps over `byte` and says whether it was there.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The fault of not finding `what` at the cursor.
    pub(crate) fn expected(&self, what: &'static str) -> Fault {
        self.fault(if self.at >= self.text.len() { FaultKind::UnexpectedEnd } else { FaultKind::Expected(what) })
    }

    pub(crate) fn fault(&self, kind: FaultKind) -> Fault {
        Fault { at: self.at, kind }
    }

    /// Steps over whitespace and makes sure that nothing else follows.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.skip_whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// Steps over `true`, `false` or `null`, of which the first letter is at the cursor.
    pub(crate) fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        for byte in word.bytes() {
            if !self.take(byte) {
                return Err(self.expected(word));
            }
        }
        Ok(())
    }

    /// Steps over a number and says whether it is a plain integer, without fraction and exponent.
    pub(crate) fn number(&mut self) -> Result<bool, Fault> {
        let mut plain = true;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            plain = false;
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            plain = false;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(plain)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a digit")) }
    }

    /// Steps over characters that stand for themselves in a string, up to a quote, a backslash, or a fault.
    pub(crate) fn plain(&mut self) -> Result<u8, Fault> {
        let bytes = self.text.as_bytes();
        // Eight at a time: this is where most of the time goes in an event that is in normal form already.
        while let Some(chunk) = bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let special = special_bytes(u64::from_le_bytes(*chunk));
            if special != 0 {
                self.at += (special.trailing_zeros() / 8) as usize;
                break;
            }
            self.at += 8;
        }
        loop {
            match self.peek() {
                Some(stop @ (b'"' | b'\\')) => return Ok(stop),
                Some(0..0x20) => return Err(self.fault(FaultKind::Control)),
                Some(_) => self.at += 1,
                None => return Err(self.fault(FaultKind::UnexpectedEnd)),
            }
        }
    }

    /// Reads the escape whose backslash is at the cursor.
    pub(crate) fn escape(&mut self) -> Result<Escape, Fault> {
        let start = self.at;
        let Some(unit) = self.code_unit()? else {
            let character = match self.text.as_bytes().get(start + 1) {
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'/') => return Ok(Escape { character: '/', normal: false }),
                Some(b'\\') => '\\',
                _ => '"',
            };
            return Ok(Escape { character, normal: true });
        };
        let lone = Fault { at: start, kind: FaultKind::LoneSurrogate };
        let scalar = match unit {
            0xd800..=0xdbff => {
                let pair = self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u");
                match if pair { self.code_unit()? } else { None } {
                    Some(low @ 0xdc00..=0xdfff) => 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
                    Some(_) | None => return Err(lone),
                }
            }
            _ => unit,
        };
        let character = char::from_u32(scalar).ok_or(lone)?;
        let short = matches!(character, '\u{8}' | '\u{c}' | '\n' | '\r' | '\t');
        let lowercase = !self.since(start).bytes().any(|byte| byte.is_ascii_uppercase());
        Ok(Escape { character, normal: character < ' ' && !short && lowercase })
    }

    /// Steps over one escape; the UTF-16 unit if it is a `\u` one.
    fn code_unit(&mut self) -> Result<Option<u32>, Fault> {
        self.bump();
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.bump();
                Ok(None)
            }
            Some(b'u') => {
                self.bump();
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
                    unit = unit * 16 + digit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
                    self.bump();
                }
                Ok(Some(unit))
            }
            _ => Err(self.expected("an escape such as \\n")),
        }
    }

    /// Reads one character of a string, as it is or escaped. `None` at the text's end or a broken escape.
    pub(crate) fn character(&mut self) -> Option<char> {
        if self.peek()? == b'\\' {
            return self.escape().ok().map(|escape| escape.character);
        }
        let character = self.text.get(self.at..)?.chars().next()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// Steps over the string whose opening quote is at the cursor; lone surrogates pass.
    pub(crate) fn skip_string(&mut self) -> Result<(), Fault> {
        self.bump();
        while self.plain()? == b'\\' {
            self.code_unit()?;
        }
        self.bump();
        Ok(())
    }

    /// Reads the string whose opening quote is at the cursor.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.bump();
        let mut start = self.at;
        let mut owned: Option<String> = None;
        while self.plain()? == b'\\' {
            let run = self.since(start);
            let escape = self.escape()?;
            let text = owned.get_or_insert_default();
            text.push_str(run);
            text.push(escape.character);
            start = self.at;
        }
        let run = self.since(start);
        self.bump();
        Ok(match owned {
            None => Cow::Borrowed(run),
            Some(mut text) => {
                text.push_str(run);
                Cow::Owned(text)
            }
        })
    }
}

/// Marks, by the high bit of each, the bytes of `word` that are a quote, a backslash, or below 0x20.
///
/// The lowest mark is exact; ones above it may be false, because of the borrow ("Determine if a word has a byte less than
/// n", Bit Twiddling Hacks). Only the lowest one is used.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    let zeroes = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & HIGHS;
    let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    controls | zeroes(word ^ (ONES * u64::from(b'"'))) | zeroes(word ^ (ONES * u64::from(b'\\')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_special_byte_is_found_where_it_is(bytes in any::<[u8; 8]>()) {
            let naive = bytes.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
            let marks = special_bytes(u64::from_le_bytes(bytes));
            let found = (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize);
            prop_assert_eq!(found, naive);
        }

        #[test]
        fn strings_read_as_serde_json_reads_them(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let mut scan = Scanner::new(&written);
            prop_assert_eq!(scan.string().unwrap(), text);
            prop_assert_eq!(scan.at(), written.len());
        }
    }
}

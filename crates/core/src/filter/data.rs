//! An event's data as filters look at it: a flat list of its values, each with where it stands and where its next one is.
//!
//! It is made in one pass, at the first look, and shared by all filters that look at the event. Values are slices of the
//! data; what a filter does not ask for is stepped over.

use std::cell::OnceCell;

use super::condition::Scalar;
use super::number::Decimal;
use crate::normalise::{Container, Fault, FaultKind, MAX_DEPTH, Scanner, Visitor, walk};

/// How many bytes of JSON there are to a value, at least, in the samples of the catalogue.
const BYTES_PER_NODE: usize = 12;

/// An event's data, read when a filter first looks at it.
#[derive(Debug)]
pub struct FilterData<'a> {
    json: &'a [u8],
    tree: OnceCell<Option<Tree<'a>>>,
}

impl<'a> FilterData<'a> {
    /// Of data that is normalised ([`crate::normalise::normalise`]), as every event's is; nothing is read yet.
    pub fn new(json: &'a [u8]) -> Self {
        Self { json, tree: OnceCell::new() }
    }

    /// The values; `None` if it is not JSON.
    pub(super) fn tree(&self) -> Option<&Tree<'a>> {
        self.tree.get_or_init(|| Tree::read(self.json)).as_ref()
    }
}

/// The values of a JSON text, in the order they begin; the first is the whole.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
}

/// Where a value is in a [`Tree`].
pub(super) type Place = usize;

/// What is at one place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// Its members are told by [`Tree::member`].
    Object,
    /// Its items begin at the next place.
    Array,
    /// No others are in it.
    Scalar(Scalar<'a>),
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Where it is in the text; of texts and keys what is between the quotes.
    from: u32,
    to: u32,
    /// The place behind it and all that is in it.
    next: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    /// A member's key; its value follows.
    Key,
    Text,
    Number,
    True,
    False,
    Null,
}

impl<'a> Tree<'a> {
    fn read(json: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        // Offsets are kept in 32 bits; data is smaller than that by far.
        u32::try_from(text.len()).ok()?;
        let mut reader = Reader { nodes: Vec::with_capacity(text.len() / BYTES_PER_NODE), open: Vec::new() };
        let mut scan = Scanner::new(text);
        scan.skip_whitespace();
        walk(&mut scan, &mut reader).ok()?;
        scan.end().ok()?;
        Some(Self { text, nodes: reader.nodes })
    }

    /// The place of the whole.
    pub(super) fn root(&self) -> Place {
        0
    }

    /// What is at a place.
    pub(super) fn at(&self, place: Place) -> Found<'a> {
        let Some(node) = self.nodes.get(place) else { return Found::Scalar(Scalar::Null) };
        match node.kind {
            Kind::Object => Found::Object,
            Kind::Array => Found::Array,
            Kind::Text | Kind::Key => Found::Scalar(Scalar::Text(self.slice(node))),
            Kind::Number => Found::Scalar(Scalar::Number(Decimal::read(self.slice(node)))),
            Kind::True => Found::Scalar(Scalar::True),
            Kind::False => Found::Scalar(Scalar::False),
            Kind::Null => Found::Scalar(Scalar::Null),
        }
    }

    /// The place behind the value at `place`.
    pub(super) fn next(&self, place: Place) -> Place {
        self.nodes.get(place).map_or(usize::MAX, |node| index(node.next))
    }

    /// The value of the member with this raw key of the object at `object`.
    pub(super) fn member(&self, object: Place, key: &str) -> Option<Place> {
        let end = self.next(object);
        let mut at = object + 1;
        while at < end {
            let value = at + 1;
            if self.nodes.get(at).is_some_and(|node| self.slice(node) == key) {
                return Some(value);
            }
            at = self.next(value);
        }
        None
    }

    fn slice(&self, node: &Node) -> &'a str {
        self.text.get(index(node.from)..index(node.to)).unwrap_or("")
    }
}

fn index(offset: u32) -> usize {
    // A place or offset that this machine has made fits.
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn offset(at: usize) -> u32 {
    // `Tree::read` takes no text that is longer.
    u32::try_from(at).unwrap_or(u32::MAX)
}

struct Reader {
    nodes: Vec<Node>,
    /// The places of the containers that are open.
    open: Vec<Place>,
}

impl Reader {
    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        let next = offset(self.nodes.len() + 1);
        self.nodes.push(Node { kind, from: offset(from), to: offset(to), next });
    }

    fn push_quoted(&mut self, kind: Kind, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        let from = scan.at() + 1;
        scan.skip_string()?;
        self.push(kind, from, scan.at().saturating_sub(1));
        Ok(())
    }
}

impl Visitor for Reader {
    fn inside(&self) -> Option<Container> {
        let kind = self.nodes.get(*self.open.last()?)?.kind;
        Some(if kind == Kind::Array { Container::Array } else { Container::Object })
    }

    fn space(&mut self, _from: usize, _to: usize) {}

    fn open(&mut self, container: Container, at: usize) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(Fault { at, kind: FaultKind::TooDeep });
        }
        self.open.push(self.nodes.len());
        let kind = match container {
            Container::Array => Kind::Array,
            Container::Object => Kind::Object,
        };
        self.push(kind, at, at);
        Ok(())
    }

    fn key(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        self.push_quoted(Kind::Key, scan)
    }

    fn string(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        self.push_quoted(Kind::Text, scan)
    }

    fn number(&mut self, scan: &mut Scanner<'_>) -> Result<(), Fault> {
        let from = scan.at();
        scan.number()?;
        self.push(Kind::Number, from, scan.at());
        Ok(())
    }

    fn literal(&mut self, scan: &mut Scanner<'_>, word: &'static str) -> Result<(), Fault> {
        let from = scan.at();
        scan.literal(word)?;
        let kind = match word {
            "true" => Kind::True,
            "false" => Kind::False,
            _ => Kind::Null,
        };
        self.push(kind, from, scan.at());
        Ok(())
    }

    fn item(&mut self, _at: usize) {}

    fn close(&mut self, at: usize) {
        let next = offset(self.nodes.len());
        if let Some(node) = self.open.pop().and_then(|place| self.nodes.get_mut(place)) {
            node.to = offset(at + 1);
            node.next = next;
        }
    }
}

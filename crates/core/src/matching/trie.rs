//! The patterns with wildcards, as one tree: below the root a branch for each project, below that one for each segment.
//!
//! Walking it along an event's type costs by the type's segments and the branches that match them, whatever else there
//! is. All edges are in one table: a node of its own table each would cost more memory than everything else.

use hashbrown::HashMap;

use crate::pattern::{ANY, EventPattern, REST};

use super::postings::Place;
use super::symbols::{Symbol, Symbols};

/// The most segments that a type or a pattern has.
const MAX_SEGMENTS: usize = 16;

/// A node's number, valid until it is released as often as it was acquired. The root is 0 and no pattern ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node(u32);

const ROOT: Node = Node(0);

/// What leads from a node to one of its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// A text: from the root a project, further down a segment.
    Named(Symbol),
    /// `*`.
    Any,
}

/// The tree. A node lives while a pattern ends there or further down.
#[derive(Debug, Default)]
pub(super) struct Trie {
    edges: HashMap<(Node, Step), Node>,
    nodes: Vec<Entry>,
    free: Vec<Node>,
}

#[derive(Debug)]
struct Entry {
    parent: Node,
    step: Step,
    /// Patterns that end here, and children.
    uses: usize,
}

impl Node {
    /// The place of a node's entry; the root has none.
    fn index(self) -> usize {
        self.0 as usize - 1
    }
}

impl Trie {
    /// The place of a pattern with wildcards, with one use more.
    pub(super) fn acquire(&mut self, project: Symbol, pattern: &EventPattern, symbols: &mut Symbols) -> Place {
        let text = pattern.as_str();
        let (path, rest) = match text.strip_suffix(REST) {
            Some(path) => (path.strip_suffix('.').unwrap_or(path), true),
            None => (text, false),
        };
        let mut node = match self.edges.get(&(ROOT, Step::Named(project))) {
            Some(node) => *node,
            None => {
                let named = symbols.acquire_again(project);
                self.add(ROOT, Step::Named(named))
            }
        };
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            node = self.child_or_add(node, segment, symbols);
        }
        self.nodes[node.index()].uses += 1;
        if rest { Place::Rest(node) } else { Place::End(node) }
    }

    /// Ends one use of a node that [`Trie::acquire`] returned; nodes that nothing needs any more are freed.
    pub(super) fn release(&mut self, node: Node, symbols: &mut Symbols) {
        let mut node = node;
        while node != ROOT {
            let entry = &mut self.nodes[node.index()];
            entry.uses -= 1;
            if entry.uses > 0 {
                return;
            }
            let (parent, step) = (entry.parent, entry.step);
            self.edges.remove(&(parent, step));
            self.free.push(node);
            match step {
                Step::Named(symbol) => symbols.release(symbol),
                Step::Any => {}
            }
            node = parent;
        }
    }

    /// Calls `visit` with every place whose pattern matches the type.
    pub(super) fn walk(&self, project: Symbol, event_type: &str, symbols: &Symbols, visit: &mut impl FnMut(Place)) {
        let Some(node) = self.edges.get(&(ROOT, Step::Named(project))) else { return };
        let mut segments = [None; MAX_SEGMENTS];
        let mut count = 0;
        // A type has at most as many segments as there is room for.
        for (place, segment) in segments.iter_mut().zip(event_type.split('.')) {
            *place = symbols.get(segment);
            count += 1;
        }
        self.descend(*node, &segments[..count], visit);
    }

    /// Goes on from a node along the segments that are left; a segment without a number has no branch of its own.
    fn descend(&self, node: Node, segments: &[Option<Symbol>], visit: &mut impl FnMut(Place)) {
        let Some((segment, left)) = segments.split_first() else {
            visit(Place::End(node));
            return;
        };
        visit(Place::Rest(node));
        let named = segment.and_then(|symbol| self.edges.get(&(node, Step::Named(symbol))));
        let any = self.edges.get(&(node, Step::Any));
        for child in named.into_iter().chain(any) {
            self.descend(*child, left, visit);
        }
    }

    fn child_or_add(&mut self, node: Node, segment: &str, symbols: &mut Symbols) -> Node {
        let step = if segment == ANY { Some(Step::Any) } else { symbols.get(segment).map(Step::Named) };
        if let Some(child) = step.and_then(|step| self.edges.get(&(node, step))) {
            return *child;
        }
        let step = if segment == ANY { Step::Any } else { Step::Named(symbols.acquire(segment)) };
        self.add(node, step)
    }

    /// Adds a child, which uses its parent and does not yet have a use of its own.
    fn add(&mut self, parent: Node, step: Step) -> Node {
        if parent != ROOT {
            self.nodes[parent.index()].uses += 1;
        }
        let entry = Entry { parent, step, uses: 0 };
        let node = match self.free.pop() {
            Some(node) => {
                self.nodes[node.index()] = entry;
                node
            }
            None => {
                self.nodes.push(entry);
                Node(u32::try_from(self.nodes.len()).expect("2^32 nodes would need over 100 GiB"))
            }
        };
        self.edges.insert((parent, step), node);
        node
    }

    /// How many nodes are in use.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.edges.len()
    }
}

//! Which webhooks stand at a place of the index, those for any source apart from those limited to one.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::ids::WebhookId;

use super::symbols::Symbol;
use super::trie::Node;

/// A place where webhooks stand: what one pattern of one project comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Subscribed to exactly this type.
    Exact {
        /// The project.
        project: Symbol,
        /// The type's whole text.
        event_type: Symbol,
    },
    /// Subscribed to the types that end at this node of the trie.
    End(Node),
    /// Subscribed to the types that have one or more segments past this node.
    Rest(Node),
}

/// The webhooks by place and source.
#[derive(Debug, Default)]
pub(super) struct Postings {
    lists: HashMap<(Place, Option<Symbol>), List>,
}

/// The webhooks of one place and source. Mostly it is one; many are kept ordered, so that one of them is removed without
/// looking at the others.
#[derive(Debug)]
enum List {
    One(WebhookId),
    #[expect(clippy::box_collection, reason = "the set itself would make every list of one a third larger")]
    Many(Box<BTreeSet<WebhookId>>),
}

impl Postings {
    /// Adds a webhook that is limited to `source`, or to none.
    pub(super) fn insert(&mut self, place: Place, source: Option<Symbol>, webhook: WebhookId) {
        match self.lists.entry((place, source)) {
            Entry::Vacant(vacant) => {
                vacant.insert(List::One(webhook));
            }
            Entry::Occupied(mut list) => match list.get_mut() {
                List::One(first) => {
                    let both = BTreeSet::from([*first, webhook]);
                    list.insert(List::Many(Box::new(both)));
                }
                List::Many(webhooks) => {
                    webhooks.insert(webhook);
                }
            },
        }
    }

    /// Removes a webhook that was added with the same place and source.
    pub(super) fn remove(&mut self, place: Place, source: Option<Symbol>, webhook: WebhookId) {
        let Entry::Occupied(mut list) = self.lists.entry((place, source)) else { return };
        let emptied = match list.get_mut() {
            List::One(first) => *first == webhook,
            List::Many(webhooks) => webhooks.remove(&webhook) && webhooks.is_empty(),
        };
        if emptied {
            list.remove();
        }
    }

    /// Appends the webhooks for any source and, if the event has one that is known, those limited to it.
    pub(super) fn collect(&self, place: Place, source: Option<Symbol>, found: &mut Vec<WebhookId>) {
        self.append(place, None, found);
        if source.is_some() {
            self.append(place, source, found);
        }
    }

    fn append(&self, place: Place, source: Option<Symbol>, found: &mut Vec<WebhookId>) {
        match self.lists.get(&(place, source)) {
            None => {}
            Some(List::One(webhook)) => found.push(*webhook),
            Some(List::Many(webhooks)) => found.extend(webhooks.iter().copied()),
        }
    }

    /// How many lists there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }
}

//! Which webhooks an event goes to: an index whose cost does not grow with the webhooks that do not match.
//!
//! A subscription to an exact type is found by one lookup of (project, type, source or any), a pattern by walking the
//! project's trie of segments along the event's type. What was indexed of a webhook is kept with its id, so that
//! replacing and removing it touch nothing else.

mod postings;
mod symbols;
mod trie;

#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::event::EventHeader;
use crate::filter::FilterData;
use crate::ids::WebhookId;
use crate::meta;
use crate::pattern::EventPattern;
use crate::webhook::{Webhook, WebhookKind};

use postings::{Place, Postings};
use symbols::{Symbol, Symbols};
use trie::Trie;

/// Why an event did not go to a webhook of its project.
///
/// Written as `{"reason": "type"}`, with `condition` beside the reason `filter`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum NonMatch {
    /// The webhook was made after the event was matched.
    NotYetCreated,
    /// Its owner had deactivated it.
    Inactive,
    /// It is not subscribed to the type.
    Type,
    /// It is limited to another source.
    Source,
    /// The event's data does not meet its filter.
    Filter {
        /// The path of the first condition that was not met, such as `message.type`; `None` where the data is not known.
        condition: Option<Box<str>>,
    },
}

/// Why the event does not go to this webhook of its project; `None` if it does. The rule that the index must agree with.
///
/// Of several reasons it is the first of inactive, type, source, filter. [`NonMatch::NotYetCreated`] is not its business:
/// what asks it holds the webhook already.
///
/// Without the event's `data`, which is kept for less long than what became of the event, a webhook with a filter is taken
/// to be one that the event did not go to: only who knows that already may ask without.
pub fn non_match(webhook: &Webhook, event: &EventHeader, data: Option<&FilterData<'_>>) -> Option<NonMatch> {
    if !webhook.active {
        return Some(NonMatch::Inactive);
    }
    if !webhook.subscribes_to(&event.event_type) {
        return Some(NonMatch::Type);
    }
    if webhook.source.is_some() && webhook.source != event.source {
        return Some(NonMatch::Source);
    }
    let filter = webhook.filter.as_ref()?;
    match data {
        Some(data) => filter.failing(data).map(|condition| NonMatch::Filter { condition: Some(condition.into()) }),
        None => Some(NonMatch::Filter { condition: None }),
    }
}

/// The index over the active webhooks of all projects. Filters are not its business: they are asked of what it finds.
///
/// Memory grows with the active webhooks and their patterns alone; whatever a webhook added is freed with it. Measured by
/// `benches/matching.rs` on 2 cores, with 1,000,000 webhooks over 10,000 projects and one that matches: one exact type
/// each took 192 bytes a webhook and 0.33 µs a match, one type and a source each 256 bytes and 0.94 µs, one pattern with
/// a wildcard each 250 bytes and 1.2 µs.
#[derive(Debug, Default)]
pub struct MatchIndex {
    symbols: Symbols,
    trie: Trie,
    postings: Postings,
    indexed: HashMap<WebhookId, Indexed>,
}

/// What is indexed of one webhook: all that its removal has to undo.
#[derive(Debug)]
struct Indexed {
    project: Symbol,
    source: Option<Symbol>,
    places: Places,
}

/// Where a webhook is found, each place once. Most webhooks have one, which needs no allocation of its own.
#[derive(Debug)]
enum Places {
    One(Place),
    Several(Box<[Place]>),
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Places::One(place) => std::slice::from_ref(place),
            Places::Several(places) => places,
        }
    }
}

impl From<Vec<Place>> for Places {
    fn from(places: Vec<Place>) -> Self {
        match places[..] {
            [place] => Places::One(place),
            _ => Places::Several(places.into_boxed_slice()),
        }
    }
}

impl MatchIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a webhook, or replaces what is indexed of it.
    pub fn insert(&mut self, webhook: &Webhook) {
        self.remove(webhook.id);
        if !webhook.active {
            return;
        }
        let project = self.symbols.acquire(webhook.project.as_str());
        let source = webhook.source.as_ref().map(|source| self.symbols.acquire(source.as_str()));
        let places = match webhook.kind {
            WebhookKind::Kapso => {
                let mut patterns: Vec<&EventPattern> = webhook.events.iter().collect();
                patterns.retain(|pattern| pattern.as_str() != meta::RAW_TYPE);
                patterns.sort_unstable();
                patterns.dedup();
                // Different patterns have different places, so none is posted, and later removed, twice.
                patterns.into_iter().map(|pattern| self.place(project, pattern)).collect()
            }
            WebhookKind::Meta => vec![Place::Exact { project, event_type: self.symbols.acquire(meta::RAW_TYPE) }],
        };
        for place in &places {
            self.postings.insert(*place, source, webhook.id);
        }
        self.indexed.insert(webhook.id, Indexed { project, source, places: places.into() });
    }

    /// Forgets a webhook.
    pub fn remove(&mut self, webhook: WebhookId) {
        let Some(indexed) = self.indexed.remove(&webhook) else { return };
        for place in indexed.places.as_slice() {
            self.postings.remove(*place, indexed.source, webhook);
            match *place {
                Place::Exact { project: _, event_type } => self.symbols.release(event_type),
                Place::End(node) | Place::Rest(node) => self.trie.release(node, &mut self.symbols),
            }
        }
        self.symbols.release(indexed.project);
        indexed.source.into_iter().for_each(|source| self.symbols.release(source));
    }

    /// Appends to `found` the webhooks that the event goes to, each once, in order of their id.
    ///
    /// Nothing is allocated but room in `found`.
    pub fn matches(&self, event: &EventHeader, found: &mut Vec<WebhookId>) {
        let Some(project) = self.symbols.get(event.project.as_str()) else { return };
        let source = event.source.as_ref().and_then(|source| self.symbols.get(source.as_str()));
        let before = found.len();
        if let Some(event_type) = self.symbols.get(event.event_type.as_str()) {
            self.postings.collect(Place::Exact { project, event_type }, source, found);
        }
        // Patterns do not take raw bodies in.
        if meta::is_raw(&event.event_type) {
            found[before..].sort_unstable();
            return;
        }
        self.trie.walk(project, event.event_type.as_str(), &self.symbols, &mut |place| {
            self.postings.collect(place, source, found);
        });
        found[before..].sort_unstable();
        // A webhook found by two of its patterns stands there twice.
        let mut kept = before;
        for next in before..found.len() {
            if kept == before || found[kept - 1] != found[next] {
                found[kept] = found[next];
                kept += 1;
            }
        }
        found.truncate(kept);
    }

    fn place(&mut self, project: Symbol, pattern: &EventPattern) -> Place {
        match pattern.exact() {
            Some(event_type) => Place::Exact { project, event_type: self.symbols.acquire(event_type.as_str()) },
            None => self.trie.acquire(project, pattern, &mut self.symbols),
        }
    }
}

//! Whether a webhook is alone: which one had a delivery last, and when another did.

use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::ids::WebhookId;

/// So long nobody else may have had a delivery.
const ALONE: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Company {
    latest: Option<WebhookId>,
    /// When one had a delivery last that was another's than the latest.
    other: Option<Monotonic>,
}

impl Company {
    /// A delivery has come for a webhook. True if all have been for it for a while.
    pub(super) fn is_alone(&mut self, webhook: WebhookId, now: Monotonic) -> bool {
        if self.latest.is_some_and(|latest| latest != webhook) {
            self.other = Some(now);
        }
        self.latest = Some(webhook);
        self.other.is_none_or(|other| now.since(other) >= ALONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_alone_until_another_comes_and_again_after_a_while() {
        let at = |seconds| Monotonic(Duration::from_secs(seconds));
        let [one, other] = [1, 2].map(|number| WebhookId::from_bytes([number; 16]));
        let mut company = Company::default();
        assert!(company.is_alone(one, at(1)) && company.is_alone(one, at(2)));
        assert!(!company.is_alone(other, at(3)) && !company.is_alone(one, at(4)) && !company.is_alone(one, at(13)));
        assert!(company.is_alone(one, at(14)));
    }
}

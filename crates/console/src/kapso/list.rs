//! Lists of webhooks, oldest first: `url_contains`, `kind`, `active`, `created_after`, `created_before`, and pages by number.

use std::sync::Arc;

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::Group;
use fanfare_core::webhook::WebhookKind;
use fanfare_http::Problem;
use fanfare_runtime::registry::ServedWebhook;
use serde::Serialize;

use super::pages::{Meta, PageNumber};
use super::view::{KapsoWebhook, is_active};
use crate::api::Api;
use crate::input::Query;
use crate::paging;

/// The parameters' names.
pub(crate) const KNOWN: &[&str] =
    &["page", "per_page", "url_contains", "kind", "active", "created_after", "created_before"];

/// A page of webhooks. No `Debug`, as [`KapsoWebhook`].
#[derive(Serialize)]
pub(crate) struct WebhookPage {
    data: Vec<KapsoWebhook>,
    meta: Meta,
}

/// Which webhooks are wanted.
struct Filter<'n> {
    number: Option<&'n str>,
    url_contains: Option<String>,
    kind: Option<WebhookKind>,
    active: Option<bool>,
    created_after: Option<Timestamp>,
    created_before: Option<Timestamp>,
}

/// A page of the project's webhooks, or of those of one number. `shown` says how each is shown.
///
/// # Errors
/// 400 with every wrong parameter, 503.
pub(super) async fn page(
    api: &Api,
    project: &ProjectId,
    number: Option<&str>,
    query: Option<&str>,
    shown: impl Fn(&ServedWebhook) -> Result<KapsoWebhook, Problem>,
) -> Result<WebhookPage, Problem> {
    let mut query = Query::read(query, KNOWN);
    let page = PageNumber::read(&mut query);
    let filter = Filter {
        number,
        url_contains: query.one("url_contains", |text| Ok(text.to_lowercase())),
        kind: query.one("kind", kind),
        active: query.one("active", paging::truth),
        created_after: query.one("created_after", time),
        created_before: query.one("created_before", time),
    };
    query.refuse()?;
    api.fresh(Group::Config).await?;
    api.fresh(Group::State).await?;
    let mut wanted = api.console.registry.webhooks_of(project, None, usize::MAX);
    wanted.retain(|served| filter.wants(api, served));
    let data: Result<Vec<KapsoWebhook>, Problem> =
        wanted.iter().skip(page.skip()).take(page.per_page).map(Arc::as_ref).map(shown).collect();
    Ok(WebhookPage { data: data?, meta: Meta::new(page, wanted.len()) })
}

impl Filter<'_> {
    fn wants(&self, api: &Api, served: &ServedWebhook) -> bool {
        let webhook = &served.webhook;
        let active = || {
            let health = api.console.registry.health(webhook.id);
            is_active(webhook, health.as_ref().map(|served| &served.health))
        };
        self.number.is_none_or(|number| webhook.source.as_ref().is_some_and(|source| source.as_str() == number))
            && self.kind.is_none_or(|kind| kind == webhook.kind)
            && self.created_after.is_none_or(|after| webhook.created_at >= after)
            && self.created_before.is_none_or(|before| webhook.created_at <= before)
            && self.url_contains.as_ref().is_none_or(|part| webhook.url.as_str().to_lowercase().contains(part.as_str()))
            && self.active.is_none_or(|wanted| wanted == active())
    }
}

fn kind(text: &str) -> Result<WebhookKind, String> {
    let kinds = [WebhookKind::Kapso, WebhookKind::Meta];
    kinds.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| "must be `kapso` or `meta`".to_owned())
}

/// A time, or a day, which stands for its beginning in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    // A plus sign that the client did not encode arrives as a space.
    let text = text.replace(' ', "+");
    let day = || Timestamp::parse(&format!("{text}T00:00:00Z"));
    Timestamp::parse(&text).or_else(|error| day().map_err(|_| error)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_taken() {
        assert_eq!(time("2025-12-06"), time("2025-12-06T00:00:00Z"));
        assert_eq!(time("2025-12-06T02:00:00 02:00"), time("2025-12-06"));
        assert!(time("yesterday").is_err() && time("2025-13-06").is_err());
    }
}

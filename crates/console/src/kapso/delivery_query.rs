//! The filters of `GET /webhook_deliveries`, and the place in the list that is asked for.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::DeliveryStatus;
use fanfare_core::event::EventType;
use fanfare_core::payload;
use fanfare_history::{DeliveryFilter, MAX_COUNTED, WindowStart};
use fanfare_http::Problem;
use url::form_urlencoded;

use super::pages::{self, MAX_PER_PAGE, PageNumber};
use crate::input::Query;
use crate::paging::{self, AfterDelivery, Cursor as _};

/// The parameters' names.
pub(crate) const KNOWN: &[&str] =
    &["status", "event", "webhook_id", "errors_only", "period", "limit", "before", "after", "page", "per_page"];
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a delivery is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KapsoStatus {
    /// On its way, or waiting for whatever reason.
    Pending,
    /// Received.
    Delivered,
    /// Over, and not received.
    Failed,
}

impl KapsoStatus {
    const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// What it is called.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// What a delivery of this status is called.
    pub(super) fn of(status: DeliveryStatus) -> Self {
        match status {
            DeliveryStatus::Pending | DeliveryStatus::Waiting | DeliveryStatus::Gated => Self::Pending,
            DeliveryStatus::Delivered => Self::Delivered,
            DeliveryStatus::Exhausted
            | DeliveryStatus::Expired
            | DeliveryStatus::Discarded
            | DeliveryStatus::Quarantined => Self::Failed,
        }
    }

    fn statuses(self) -> &'static [DeliveryStatus] {
        match self {
            Self::Pending => &[DeliveryStatus::Pending, DeliveryStatus::Waiting, DeliveryStatus::Gated],
            Self::Delivered => &[DeliveryStatus::Delivered],
            Self::Failed => &[
                DeliveryStatus::Exhausted,
                DeliveryStatus::Expired,
                DeliveryStatus::Discarded,
                DeliveryStatus::Quarantined,
            ],
        }
    }
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which deliveries.
    pub(super) filter: DeliveryFilter,
    /// Where the page begins.
    pub(super) start: WindowStart,
    /// How many, and by which number if by number.
    pub(super) page: PageNumber,
    /// Whether nothing can be both what is asked for.
    pub(super) nothing: bool,
    /// The parameters but for the place, for the addresses of the pages beside.
    pub(super) parameters: String,
}

/// Reads a query.
///
/// # Errors
/// 400 with every wrong parameter.
pub(super) fn read(text: Option<&str>, now: Timestamp) -> Result<Asked, Problem> {
    let mut query = Query::read(text, KNOWN);
    let limit = query.one("limit", |text| pages::number(text, MAX_PER_PAGE));
    let page = PageNumber::read(&mut query);
    let per_page = limit.unwrap_or(page.per_page);
    let page = PageNumber { per_page, ..page };
    let status = query.one("status", status);
    let errors_only = query.one("errors_only", paging::truth).unwrap_or(false);
    let since = query.one("period", period).unwrap_or(DAY);
    let filter = DeliveryFilter {
        webhook: query.one("webhook_id", |text| text.parse().map_err(|_| "must be a webhook's id: a UUID".to_owned())),
        event: None,
        event_type: query.one("event", event_type),
        statuses: statuses(status, errors_only),
        since: Some(now.before(since)),
        until: None,
        errors_only,
        after: None,
        limit: per_page,
    };
    let cursor =
        |text: &str| AfterDelivery::decode(text).ok_or_else(|| "is not a cursor that this list gave".to_owned());
    let (after, before) = (query.one("after", cursor), query.one("before", cursor));
    let start = match (after, before) {
        (Some(_), Some(_)) => {
            query.at("before", "cannot be given together with `after`");
            WindowStart::Skip(0)
        }
        (Some(AfterDelivery(cursor)), None) => WindowStart::After(cursor),
        (None, Some(AfterDelivery(cursor))) => WindowStart::Before(cursor),
        (None, None) => WindowStart::Skip(page.skip()),
    };
    if start == WindowStart::Skip(page.skip()) && page.skip() >= MAX_COUNTED {
        let message = format!("goes past the first {MAX_COUNTED} deliveries; go on with `after`, or ask for fewer");
        query.at("page", message);
    }
    query.refuse()?;
    let nothing = errors_only && status == Some(KapsoStatus::Delivered);
    Ok(Asked { filter, start, page, nothing, parameters: parameters(text.unwrap_or_default()) })
}

/// The statuses that are looked for; empty for all.
fn statuses(status: Option<KapsoStatus>, errors_only: bool) -> Vec<DeliveryStatus> {
    match (status, errors_only) {
        (Some(status), _) => status.statuses().to_vec(),
        (None, true) => [KapsoStatus::Pending.statuses(), KapsoStatus::Failed.statuses()].concat(),
        (None, false) => Vec::new(),
    }
}

/// The query without what says where the page begins.
fn parameters(query: &str) -> String {
    let kept = form_urlencoded::parse(query.as_bytes());
    let kept = kept.filter(|(name, _)| !["before", "after", "page"].contains(&name.as_ref()));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
}

fn status(text: &str) -> Result<KapsoStatus, String> {
    let found = KapsoStatus::ALL.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| "must be pending, delivered or failed".to_owned())
}

/// A type, also by its name in v1.
fn event_type(text: &str) -> Result<EventType, String> {
    let in_v1 = payload::type_named_in_v1(text);
    in_v1.map_or_else(|| EventType::new(text).map_err(|_| format!("must be {}", EventType::ALLOWED)), Ok)
}

fn period(text: &str) -> Result<Duration, String> {
    match text {
        "24h" => Ok(24 * HOUR),
        "7d" => Ok(7 * DAY),
        "30d" => Ok(30 * DAY),
        _ => Err("must be 24h, 7d or 30d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::DEFAULT_PER_PAGE;
    use super::*;

    fn asked(query: &str) -> Result<Asked, Vec<String>> {
        let now = Timestamp::from_seconds(100 * 24 * 60 * 60);
        read(Some(query), now).map_err(|problem| problem.errors.into_iter().map(|error| error.field).collect())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let asked = asked("").unwrap();
        assert_eq!(asked.filter.since, Some(Timestamp::from_seconds(99 * 24 * 60 * 60)));
        assert_eq!((asked.start, asked.page.per_page), (WindowStart::Skip(0), DEFAULT_PER_PAGE));
        assert!(asked.filter.statuses.is_empty() && !asked.nothing);
    }

    #[test]
    fn every_filter_is_read_and_kept_for_the_pages_beside() {
        let cursor = AfterDelivery(7).encode();
        let query = format!("status=failed&event=whatsapp.config.created&period=7d&limit=5&after={cursor}");
        let asked = asked(&query).unwrap();
        assert_eq!(asked.filter.statuses.len(), 4);
        assert_eq!(asked.filter.event_type.unwrap().as_str(), "whatsapp.phone_number.created");
        assert_eq!((asked.start, asked.filter.limit), (WindowStart::After(7), 5));
        assert_eq!(asked.parameters, "status=failed&event=whatsapp.config.created&period=7d&limit=5");
        let second = super::read(Some("page=3&per_page=50"), Timestamp::EPOCH).unwrap();
        assert_eq!(second.start, WindowStart::Skip(100));
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, field) in [
            ("status=gated", "status"),
            ("event=a..b", "event"),
            ("webhook_id=x", "webhook_id"),
            ("errors_only=perhaps", "errors_only"),
            ("period=1y", "period"),
            ("limit=101", "limit"),
            ("page=0", "page"),
            ("page=5001&per_page=20", "page"),
            ("per_page=0", "per_page"),
            ("after=!", "after"),
            ("x=1", "x"),
        ] {
            assert_eq!(asked(query).unwrap_err(), [field], "{query}");
        }
    }
}

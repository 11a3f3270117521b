//! The filters of `GET /v1/deliveries`.

use fanfare_core::delivery::DeliveryStatus;
use fanfare_core::event::EventType;
use fanfare_core::ids::EventId;
use fanfare_history::DeliveryFilter;
use fanfare_http::Problem;

use crate::input::Query;
use crate::input::wrong::nearest;
use crate::paging::{self, AfterDelivery};

/// The parameters' names.
pub(crate) const KNOWN: &[&str] =
    &["webhook_id", "event_id", "event_type", "status", "since", "until", "limit", "after"];
/// Every status under its name in the API.
pub(crate) const STATUSES: [(&str, DeliveryStatus); 8] = [
    ("pending", DeliveryStatus::Pending),
    ("waiting", DeliveryStatus::Waiting),
    ("gated", DeliveryStatus::Gated),
    ("delivered", DeliveryStatus::Delivered),
    ("exhausted", DeliveryStatus::Exhausted),
    ("expired", DeliveryStatus::Expired),
    ("discarded", DeliveryStatus::Discarded),
    ("quarantined", DeliveryStatus::Quarantined),
];

/// Reads a query. `status` may be repeated and may be a list with commas; the rest may be given once.
///
/// # Errors
/// 400 with every wrong parameter.
pub(crate) fn read(query: Option<&str>) -> Result<DeliveryFilter, Problem> {
    let mut query = Query::read(query, KNOWN);
    let filter = DeliveryFilter {
        webhook: query.one("webhook_id", |text| text.parse().map_err(|_| "must be a webhook's id: a UUID".to_owned())),
        event: query.one("event_id", |text| EventId::new(text).map_err(|_| format!("must be {}", EventId::ALLOWED))),
        event_type: query
            .one("event_type", |text| EventType::new(text).map_err(|_| format!("must be {}", EventType::ALLOWED))),
        statuses: query.many("status", status),
        since: query.one("since", paging::time),
        until: query.one("until", paging::time),
        errors_only: false,
        after: paging::after::<AfterDelivery>(&mut query).map(|after| after.0),
        limit: paging::limit(&mut query),
    };
    paging::in_order(&mut query, filter.since, filter.until);
    query.refuse()?;
    Ok(filter)
}

fn status(text: &str) -> Result<DeliveryStatus, String> {
    let found = STATUSES.iter().find(|(name, _)| *name == text).map(|(_, status)| *status);
    found.ok_or_else(|| {
        let names = STATUSES.map(|(name, _)| name);
        match nearest(text, &names) {
            Some(right) => format!("is not a status; did you mean `{right}`?"),
            None => format!("is not a status; allowed are {}", names.join(", ")),
        }
    })
}

#[cfg(test)]
mod tests {
    use fanfare_core::clock::Timestamp;

    use super::*;

    #[test]
    fn every_status_is_known_by_the_name_that_the_api_shows() {
        for (name, status) in STATUSES {
            assert_eq!(serde_json::to_value(status).unwrap(), name);
            assert_eq!(super::status(name), Ok(status));
        }
    }

    #[test]
    fn statuses_may_be_repeated_and_listed_and_times_have_offsets() {
        let query = "status=delivered,exhausted&status=gated&since=2025-12-06T07:00:00+02:00&limit=100";
        let filter = read(Some(query)).unwrap();
        assert_eq!(filter.statuses, [DeliveryStatus::Delivered, DeliveryStatus::Exhausted, DeliveryStatus::Gated]);
        assert_eq!(filter.since, Some(Timestamp::parse("2025-12-06T05:00:00Z").unwrap()));
        assert_eq!((filter.limit, filter.after), (100, None));
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, field) in [
            ("webhook_id=x", "webhook_id"),
            ("event_id=a%20b", "event_id"),
            ("event_type=a..b", "event_type"),
            ("status=deliverd", "status"),
            ("status=", "status"),
            ("since=yesterday", "since"),
            ("until=2025", "until"),
            ("since=2025-12-06T00:00:00Z&until=2025-12-06T00:00:00Z", "since"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=1&limit=2", "limit"),
            ("after=!", "after"),
            ("webhook=x", "webhook"),
        ] {
            let problem = read(Some(query)).unwrap_err();
            let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, [field], "{query}");
        }
        let two = read(Some("limit=0&status=nope")).unwrap_err();
        assert_eq!(two.errors.len(), 2, "both are named at once");
        let hint = read(Some("webhook=x")).unwrap_err();
        assert!(hint.errors[0].message.contains("`webhook_id`"), "{:?}", hint.errors);
    }
}

//! A receiver that is down for ten hours, with a hundred thousand deliveries for it.

use std::time::Duration;

use fanfare_delivery::DeliveryConfig;
use fanfare_sim::Outage;

const EVENTS: usize = 100_000;
const HOURS: Duration = Duration::from_secs(10 * 60 * 60);

#[test]
fn ten_hours_with_a_hundred_thousand_deliveries_are_probes_then_a_paced_release_and_each_is_received_once() {
    let outage = Outage { events: EVENTS, burst: 1000, lasts: HOURS, answers_in: Duration::from_millis(20) };
    let config = DeliveryConfig::default();
    let weathered = outage.play(7, &config, Duration::from_secs(30 * 60));
    let back = weathered.succeeded.first().copied().unwrap_or_default();
    println!(
        "{} requests failed, back at work {:?} after the receiver, all received in {:?}, at most {} leases at once",
        weathered.failed.len(),
        back.saturating_sub(HOURS),
        weathered.ended_by.saturating_sub(HOURS),
        weathered.most_leased,
    );
    assert!(weathered.all_ended, "not all has ended by {:?}", weathered.ended_by);
    assert_eq!((weathered.received, weathered.succeeded.len()), (EVENTS, EVENTS), "all, and none twice");

    // Down: what opened the breaker, then one probe at a time, 16 to 24 seconds apart, after five that came sooner.
    let opened = weathered.failed.iter().filter(|at| **at < Duration::from_secs(60)).count();
    let probes = weathered.failed.len() - opened;
    assert!(opened <= 64, "{opened} requests until the breaker held");
    assert!((1500..=2250).contains(&probes), "{probes} probes in ten hours");
    assert_eq!(weathered.most_probes_at_once, 1);

    // Back: within a probe's interval; then one request at a time, and one more for each that is answered, up to the limit.
    assert!(back < HOURS + Duration::from_secs(25), "back only at {back:?}");
    for (at_once, answered) in &weathered.pace {
        assert!(*at_once <= (*answered).clamp(1, config.lane_limit), "{at_once} at once after {answered} answers");
    }
    // What is held of it does not grow with what waits.
    assert!(weathered.most_leased <= 4 * config.lane_limit + config.max_in_flight, "{} leases", weathered.most_leased);
}

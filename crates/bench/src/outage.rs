//! The scenario "outage": a receiver that is down for minutes while its events go on, comes back, and then comes and goes.
//!
//! While it is down it answers 503 at once, as a proxy does in front of a dead service, so that every request to it counts.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Failure;
use crate::options::Options;
use crate::process::{Fanfare, now};
use crate::receiver::{Arrival, Receivers};
use crate::rig::Answer;
use crate::sender::{Kind, Stream};
use crate::series::{self, Second};

/// Deliveries published while it is down, and for how many seconds it is, unless the options say so.
pub(crate) const DELIVERIES: usize = 20_000;
pub(crate) const SECONDS: u64 = 120;
/// How long it takes for each while it is up.
const TAKES: Duration = Duration::from_millis(20);
/// How long it is up before.
const BEFORE: Duration = Duration::from_secs(10);
/// How long it may take until it has everything that was published so far.
const CATCH_UP: Duration = Duration::from_secs(240);
/// How often it comes and goes in the end, and how long it stays each time.
const FLAPS: usize = 4;
const FLAP: Duration = Duration::from_secs(5);
const SECOND: u64 = 1_000_000;

/// A stretch of time in which it was up or down all the time.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) up: bool,
    pub(crate) seconds: Vec<Second>,
    /// When it got the first request, and when it first took one, in microseconds from its beginning.
    pub(crate) first_request: Option<u64>,
    pub(crate) first_taken: Option<u64>,
}

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    /// Up, down, up again, then down and up in turn.
    pub(crate) stretches: Vec<Stretch>,
    /// How long it took to get everything published so far, if it got there.
    pub(crate) caught_up_in: Option<Duration>,
    pub(crate) published: usize,
    pub(crate) received: usize,
    /// Deliveries that it took more than once.
    pub(crate) twice: usize,
    pub(crate) peak_memory: u64,
}

/// How many events a second are published.
pub(crate) fn rate(options: &Options) -> u32 {
    let down = options.duration_or(SECONDS).as_secs().max(1);
    let deliveries = options.deliveries.unwrap_or(DELIVERIES) as u64;
    options.rate_or(u32::try_from(deliveries.div_ceil(down)).unwrap_or(u32::MAX))
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Outage, Failure> {
    let up = Arc::new(AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let receiver =
        Receivers::start(
            1,
            move |_| {
                if is_up.load(Ordering::Relaxed) { Answer::After(TAKES, 200) } else { Answer::Now(503) }
            },
        );
    let receiver = receiver.await?;
    let fanfare = Fanfare::start(options.engine).await?;
    fanfare.create_webhook(&receiver.url(0)).await?;
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") };
    let rate = rate(options);
    let down = options.duration_or(SECONDS);
    let longest = BEFORE + down + CATCH_UP + FLAP * u32::try_from(2 * FLAPS)?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let sending = stream.open_loop(0, rate, longest, stopped);
    let playing = async {
        let mut moments = vec![(true, now())];
        let turn = |moments: &mut Vec<(bool, u64)>, is_up| {
            up.store(is_up, Ordering::Relaxed);
            moments.push((is_up, now()));
        };
        tokio::time::sleep(BEFORE).await;
        turn(&mut moments, false);
        tokio::time::sleep(down).await;
        turn(&mut moments, true);
        let published_by = |elapsed: u64| elapsed * u64::from(rate) / SECOND;
        let back = now();
        // As many as have been published, but for what is on its way.
        let caught_up = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(100));
            while (receiver.taken() as u64) < published_by(now() - moments[0].1).saturating_sub(u64::from(rate)) {
                ticks.tick().await;
            }
        };
        let caught_up = tokio::time::timeout(CATCH_UP, caught_up).await.is_ok();
        let caught_up_in = caught_up.then(|| Duration::from_micros(now() - back));
        for _ in 0..FLAPS {
            for is_up in [false, true] {
                turn(&mut moments, is_up);
                tokio::time::sleep(FLAP).await;
            }
        }
        stop.send_replace(true);
        moments.push((true, now()));
        Ok::<_, Failure>((moments, caught_up_in))
    };
    let (sent, (moments, caught_up_in)) = tokio::try_join!(sending, playing)?;
    let published = sent.published.len();
    // What is still missing then shows in the count.
    let _ = tokio::time::timeout(CATCH_UP, receiver.wait_for(published)).await;

    let arrivals = receiver.arrivals();
    let mut taken: HashMap<usize, usize> = HashMap::new();
    arrivals
        .iter()
        .filter(|arrival| arrival.is_taken())
        .for_each(|arrival| *taken.entry(arrival.number).or_default() += 1);
    Ok(Outage {
        stretches: moments.windows(2).map(|bounds| stretch(&arrivals, bounds[0], bounds[1].1)).collect(),
        caught_up_in,
        published,
        received: taken.len(),
        twice: taken.values().filter(|count| **count > 1).count(),
        peak_memory: fanfare.peak_memory()?,
    })
}

fn stretch(arrivals: &[Arrival], (up, begin): (bool, u64), end: u64) -> Stretch {
    let within = |arrival: &&Arrival| (begin..end).contains(&arrival.at);
    let first = |which: fn(&Arrival) -> bool| {
        arrivals.iter().filter(within).find(|arrival| which(arrival)).map(|arrival| arrival.at - begin)
    };
    Stretch {
        up,
        seconds: series::seconds(arrivals, begin, end),
        first_request: first(|_| true),
        first_taken: first(Arrival::is_taken),
    }
}

//! The scenario "adaptive": a receiver that serves so many at once and answers 429 to more, what it can serve changes, and
//! more is published than it can take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::Failure;
use crate::options::Options;
use crate::process::{Fanfare, now};
use crate::receiver::Receivers;
use crate::rig::Answer;
use crate::sender::{Kind, Stream};
use crate::series::{self, Second};

/// How many it serves at once in each part, and how long it takes for each.
pub(crate) const SERVES: [usize; 4] = [8, 16, 8, 4];
pub(crate) const TAKES: Duration = Duration::from_millis(50);
/// How long each part lasts, in seconds, and how many events a second are published, unless the options say so.
pub(crate) const SECONDS: u64 = 25;
pub(crate) const RATE: u32 = 400;
/// After so many seconds of a part the lane is to have found its limit.
pub(crate) const SETTLED: usize = 10;

/// One part: how many it served at once, and its seconds.
pub(crate) type Part = (usize, Vec<Second>);

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Vec<Part>, Failure> {
    let serves = Arc::new(AtomicUsize::new(SERVES[0]));
    let serving = Arc::clone(&serves);
    let receiver = Receivers::start(1, move |got| {
        if got.at_once > serving.load(Ordering::Relaxed) { Answer::Now(429) } else { Answer::After(TAKES, 200) }
    });
    let receiver = receiver.await?;
    let fanfare = Fanfare::start(options.engine).await?;
    fanfare.create_webhook(&receiver.url(0)).await?;
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") };
    let duration = options.duration_or(SECONDS);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let sending = stream.open_loop(0, options.rate_or(RATE), duration * 2 * u32::try_from(SERVES.len())?, stopped);
    let changing = async {
        let mut moments = vec![now()];
        for now_serves in SERVES {
            serves.store(now_serves, Ordering::Relaxed);
            tokio::time::sleep(duration).await;
            moments.push(now());
        }
        stop.send_replace(true);
        Ok::<_, Failure>(moments)
    };
    let (_, moments) = tokio::try_join!(sending, changing)?;
    let arrivals = receiver.arrivals();
    let parts = SERVES.into_iter().zip(moments.windows(2));
    // The last second of each is cut short by the next.
    let whole =
        |seconds: Vec<Second>| seconds.into_iter().take(usize::try_from(duration.as_secs()).unwrap_or(0)).collect();
    Ok(parts.map(|(serves, bounds)| (serves, whole(series::seconds(&arrivals, bounds[0], bounds[1])))).collect())
}

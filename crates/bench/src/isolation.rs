//! The scenario "isolation": what sick receivers do to well ones.
//!
//! 200 webhooks, each with a receiver and an event type of its own, get events in turn at a steady rate. First all receivers
//! are well. Then, in the same processes, two of five fall ill: some never answer, some fail, some are slow, some reset the
//! connection. What is compared is the other three of five, the same ones both times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::Failure;
use crate::numbers::Spread;
use crate::options::Options;
use crate::process::{Fanfare, now};
use crate::receiver::{Arrival, Receivers};
use crate::rig::Answer;
use crate::sender::{Kind, Published, Stream, to_the_end};

/// How many webhooks there are.
pub(crate) const WEBHOOKS: usize = 200;
/// How long each part sends, in seconds, and how many events a second, unless the options say so.
pub(crate) const SECONDS: u64 = 40;
pub(crate) const RATE: u32 = 500;
/// How long it sends before anything is measured: connections are made, caches filled.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long deliveries that are on their way when a part ends may take.
const DRAIN: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_secs(2);

/// What a receiver that has fallen ill does. Each has a tenth of the webhooks, spread evenly over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Illness {
    Hangs,
    Fails,
    IsSlow,
    Resets,
}

impl Illness {
    pub(crate) const ALL: [Self; 4] = [Self::Hangs, Self::Fails, Self::IsSlow, Self::Resets];

    fn of(receiver: usize) -> Option<Self> {
        match receiver % 10 {
            0 => Some(Self::Hangs),
            2 => Some(Self::Fails),
            4 => Some(Self::IsSlow),
            6 => Some(Self::Resets),
            _ => None,
        }
    }

    fn answer(self) -> Answer {
        match self {
            Self::Hangs => Answer::Never,
            Self::Fails => Answer::Now(500),
            Self::IsSlow => Answer::After(SLOW, 200),
            Self::Resets => Answer::Reset,
        }
    }

    /// In a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hangs => "hanging",
            Self::Fails => "failing",
            Self::IsSlow => "slow",
            Self::Resets => "resetting",
        }
    }
}

/// What one part gave.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Of the well ones, from acceptance to receipt.
    pub(crate) well: Spread,
    /// How many of theirs were accepted.
    pub(crate) accepted: usize,
    /// How many of theirs they got a second while it sent.
    pub(crate) per_second: f64,
    pub(crate) held_back: usize,
    /// Requests that the ill ones got a second, by illness, as long as this part and its drain took.
    pub(crate) to_the_ill: [f64; 4],
    /// Of one core.
    pub(crate) processor: f64,
    /// Of all processes together at the most, as seen once a second.
    pub(crate) memory: u64,
}

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Isolation {
    pub(crate) all_well: Part,
    pub(crate) some_ill: Part,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Isolation, Failure> {
    let (rate, duration) = (options.rate_or(RATE), options.duration_or(SECONDS));
    let ill = Arc::new(AtomicBool::new(false));
    let falling_ill = Arc::clone(&ill);
    let receivers = Receivers::start(WEBHOOKS, move |got| match Illness::of(got.receiver) {
        Some(illness) if falling_ill.load(Ordering::Relaxed) => illness.answer(),
        Some(_) | None => Answer::Now(200),
    });
    let receivers = receivers.await?;
    let fanfare = Fanfare::start(options.engine).await?;
    for receiver in 0..WEBHOOKS {
        fanfare.create(json!({"url": receivers.url(receiver), "events": [Kind::in_turn(receiver)]})).await?;
    }
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::InTurn(WEBHOOKS) };
    let mut first = stream.open_loop(0, rate, WARM_UP, to_the_end()).await?.published.len();
    let mut parts = Vec::new();
    for is_ill in [false, true] {
        ill.store(is_ill, Ordering::Relaxed);
        let part = part(&fanfare, &receivers, stream, first, (rate, duration)).await?;
        first += usize::try_from(duration.as_secs())? * rate as usize;
        parts.push(part);
    }
    match <[Part; 2]>::try_from(parts) {
        Ok([all_well, some_ill]) => Ok(Isolation { all_well, some_ill }),
        Err(_) => Err("there are two parts".into()),
    }
}

async fn part(
    fanfare: &Fanfare,
    receivers: &Receivers,
    stream: Stream,
    first: usize,
    (rate, duration): (u32, Duration),
) -> Result<Part, Failure> {
    let (begin, processor) = (now(), fanfare.processor_time()?);
    let mut memory = 0;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let sending = stream.open_loop(first, rate, duration, to_the_end());
    tokio::pin!(sending);
    let sent = loop {
        tokio::select! {
            sent = &mut sending => break sent?,
            _ = seconds.tick() => memory = fanfare.memory()?.max(memory),
        }
    };
    let (end, processor) = (now(), fanfare.processor_time()?.saturating_sub(processor));
    let is_well = |number: usize| Illness::of(number % WEBHOOKS).is_none();
    let well: Vec<Published> = sent.published.into_iter().filter(|published| is_well(published.number)).collect();
    let of_part = |arrival: &Arrival| is_well(arrival.number) && arrival.number >= first;
    let received = |until: u64| {
        let arrivals = receivers.arrivals();
        arrivals.iter().filter(|arrival| of_part(arrival) && arrival.at <= until).count()
    };
    let in_time = received(end);
    let drained = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while received(u64::MAX) < well.len() {
            ticks.tick().await;
        }
    };
    // What is still missing then shows in the count.
    let _ = tokio::time::timeout(DRAIN, drained).await;
    let arrivals = receivers.arrivals();
    let took = Duration::from_micros(now() - begin).as_secs_f64();
    let to_the_ill = Illness::ALL.map(|illness| {
        let its = |arrival: &&Arrival| arrival.at >= begin && Illness::of(arrival.receiver) == Some(illness);
        per_second(arrivals.iter().filter(its).count(), took)
    });
    let took = Duration::from_micros(end - begin).as_secs_f64();
    Ok(Part {
        well: Spread::to_receipt(receivers, &well, |published| published.accepted),
        accepted: well.len(),
        per_second: per_second(in_time, took),
        held_back: sent.held_back,
        to_the_ill,
        processor: processor.as_secs_f64() / took,
        memory,
    })
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

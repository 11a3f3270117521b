//! Receivers of a known capacity, on a clock of their own.

use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const MOST: usize = 32;

/// A receiver that works on so many requests at once and refuses what is more, with a sender that always has more to send.
struct Receiver {
    limit: ConcurrencyLimit,
    now: Duration,
    /// Ends of requests under way, soonest first: when, when begun, and what comes of it.
    under_way: BinaryHeap<std::cmp::Reverse<(Duration, Duration, bool)>>,
    working: usize,
    capacity: usize,
    takes: Duration,
    answers: u32,
    refusals: u32,
}

impl Receiver {
    fn new(capacity: usize, takes_millis: u64) -> Self {
        Self {
            limit: ConcurrencyLimit::new(MOST),
            now: Duration::from_secs(1),
            under_way: BinaryHeap::new(),
            working: 0,
            capacity,
            takes: Duration::from_millis(takes_millis),
            answers: 0,
            refusals: 0,
        }
    }

    fn run(&mut self, seconds: u64) {
        (self.answers, self.refusals) = (0, 0);
        let until = self.now + Duration::from_secs(seconds);
        while self.now < until {
            while self.under_way.len() < self.limit.get() {
                let accepted = self.working < self.capacity;
                self.working += usize::from(accepted);
                let takes = if accepted { self.takes } else { Duration::from_millis(2) };
                self.under_way.push(std::cmp::Reverse((self.now + takes, self.now, accepted)));
            }
            let running = self.under_way.len();
            let Some(std::cmp::Reverse((ended, begun, accepted))) = self.under_way.pop() else { return };
            self.now = ended;
            self.working -= usize::from(accepted);
            self.answers += 1;
            self.refusals += u32::from(!accepted);
            let (outcome, status) =
                if accepted { (OutcomeClass::Success, 200) } else { (OutcomeClass::RateLimited, 429) };
            self.limit.answered(&Answered {
                outcome,
                status: Some(status),
                begun: Monotonic(begun),
                ended: Monotonic(ended),
                running,
            });
        }
    }

    fn refused_share(&self) -> f64 {
        f64::from(self.refusals) / f64::from(self.answers)
    }
}

#[test]
fn stays_near_what_the_receiver_takes_with_hardly_a_refusal() {
    let mut receiver = Receiver::new(8, 50);
    receiver.run(5);
    for second in 0..60 {
        receiver.run(1);
        let limit = receiver.limit.get();
        assert!((6..=10).contains(&limit), "second {second}: {limit}");
    }
    receiver.run(60);
    assert!(receiver.refused_share() < 0.02, "{}", receiver.refused_share());
}

#[test]
fn follows_a_receiver_that_becomes_twice_as_able_or_half() {
    let mut receiver = Receiver::new(8, 50);
    receiver.run(10);
    receiver.capacity = 16;
    receiver.run(15);
    assert!((12..=18).contains(&receiver.limit.get()), "{}", receiver.limit.get());
    receiver.capacity = 4;
    receiver.run(3);
    assert!((3..=5).contains(&receiver.limit.get()), "{}", receiver.limit.get());
    receiver.run(60);
    assert!(receiver.refused_share() < 0.02, "{}", receiver.refused_share());
}

#[test]
fn comes_to_the_most_within_a_few_rounds_where_nothing_is_too_much() {
    let mut receiver = Receiver::new(1000, 50);
    receiver.run(1);
    assert_eq!(receiver.limit.get(), MOST);
    receiver.limit = ConcurrencyLimit::recovering(MOST);
    receiver.run(1);
    assert_eq!(receiver.limit.get(), MOST, "after an outage too");
}

#[test]
fn one_that_does_not_answer_gets_one_at_a_time() {
    let mut limit = ConcurrencyLimit::new(MOST);
    for n in 1..10u64 {
        let answered = Answered {
            outcome: OutcomeClass::Timeout,
            status: None,
            begun: Monotonic(Duration::from_secs(10 * n)),
            ended: Monotonic(Duration::from_secs(10 * n + 10)),
            running: limit.get(),
        };
        limit.answered(&answered);
    }
    assert_eq!(limit.get(), 1);
    assert!(!limit.is_at_rest());
}

#[test]
fn what_was_asked_before_a_fall_makes_it_fall_no_further() {
    let mut limit = ConcurrencyLimit::new(MOST);
    let refused = |begun, ended| Answered {
        outcome: OutcomeClass::RateLimited,
        status: Some(429),
        begun: Monotonic(Duration::from_millis(begun)),
        ended: Monotonic(Duration::from_millis(ended)),
        running: 8,
    };
    for n in 0..8 {
        limit.answered(&refused(n, 100 + n));
    }
    assert_eq!(limit.get(), 6, "from 8 once");
    limit.answered(&refused(101, 120));
    assert_eq!(limit.get(), 5);
}

#[test]
fn falls_when_answers_become_slower_with_more_at_once() {
    // Each further request makes all of them slower: a queue behind one worker.
    let mut limit = ConcurrencyLimit::new(MOST);
    let mut now = Duration::from_secs(1);
    for n in 0..4000 {
        let running = if n < 200 { 4 } else { limit.get() };
        let takes = Duration::from_millis(20 * running as u64);
        let answered = Answered {
            outcome: OutcomeClass::Success,
            status: Some(200),
            begun: Monotonic(now),
            ended: Monotonic(now + takes),
            running,
        };
        limit.answered(&answered);
        now += takes / u32::try_from(running).unwrap();
        assert!(limit.get() >= 4);
    }
    assert!((4..=12).contains(&limit.get()), "{}", limit.get());
}

#[test]
fn one_that_is_slow_however_many_it_gets_is_left_alone() {
    let mut receiver = Receiver::new(1000, 2000);
    receiver.run(60);
    assert_eq!(receiver.limit.get(), MOST);
}

proptest! {
    #[test]
    fn stays_within_one_and_the_most(
        most in 0usize..100,
        answers in proptest::collection::vec((0usize..13, 0u64..5000, 0u64..30_000, 0usize..200), 1..300),
    ) {
        let mut limit = ConcurrencyLimit::new(most);
        for (outcome, begun, takes, running) in answers {
            limit.answered(&Answered {
                outcome: OutcomeClass::ALL[outcome],
                status: Some(503),
                begun: Monotonic(Duration::from_millis(begun)),
                ended: Monotonic(Duration::from_millis(begun + takes)),
                running,
            });
            prop_assert!((1..=most.max(1)).contains(&limit.get()));
        }
    }
}

//! The lanes' promises, by property tests.

use std::collections::HashMap;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Monotonic;
use fanfare_core::concurrency::{Answered, ConcurrencyLimit};
use fanfare_core::ids::{ProjectId, WebhookId};
use proptest::prelude::*;

use super::{Admission, Bounds, Lanes, Origin};

fn webhook(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

/// Each webhook of its own project.
fn project(number: u8) -> ProjectId {
    ProjectId::new(format!("p-{number}")).unwrap()
}

fn bounds(limit: usize, held: usize) -> Bounds {
    Bounds { limit, held }
}

/// Just become ready, at the beginning of time.
const YOUNG: (Duration, Monotonic) = (Duration::ZERO, Monotonic(Duration::ZERO));

#[derive(Clone, Debug)]
enum Step {
    Admit(u8),
    FromGate(u8),
    Sent(u8),
    Left(u8),
    Lose(u8, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0u8..5).prop_flat_map(|webhook| {
        prop_oneof![
            5 => Just(Step::Admit(webhook)),
            1 => Just(Step::FromGate(webhook)),
            3 => Just(Step::Sent(webhook)),
            3 => Just(Step::Left(webhook)),
            1 => any::<u32>().prop_map(move |item| Step::Lose(webhook, item)),
        ]
    });
    proptest::collection::vec(step, 0..300)
}

/// What the lanes should be, kept in the plainest way.
#[derive(Default)]
struct Model {
    waiting: HashMap<u8, Vec<(Origin, u32)>>,
    running: HashMap<u8, Vec<Origin>>,
    settling: HashMap<u8, Vec<Origin>>,
}

impl Model {
    /// Those that came from the queue; the others have no part in the shares.
    fn held(&self, webhook: u8) -> usize {
        let queued = |origins: Option<&Vec<Origin>>| {
            origins.map_or(0, |origins| origins.iter().filter(|origin| **origin == Origin::Queue).count())
        };
        let waiting = self.waiting.get(&webhook).into_iter().flatten();
        waiting.filter(|(origin, _)| *origin == Origin::Queue).count()
            + queued(self.running.get(&webhook))
            + queued(self.settling.get(&webhook))
    }

    fn held_in_all(&self) -> usize {
        (0..5).map(|webhook| self.held(webhook)).sum()
    }

    fn entered(&mut self, webhook: u8, origin: Origin, item: u32, limit: usize, admission: &Admission<u32>) {
        let running = self.running.entry(webhook).or_default();
        if running.len() < limit {
            assert_eq!(*admission, Admission::Start(item));
            running.push(origin);
        } else {
            assert_eq!(*admission, Admission::Waits);
            self.waiting.entry(webhook).or_default().push((origin, item));
        }
    }
}

proptest! {
    #[test]
    fn lanes_send_in_order_within_their_limits_and_their_share(
        steps in steps(), limit in 1usize..4, held in 1usize..40,
    ) {
        let mut lanes = Lanes::new(bounds(limit, held));
        let mut model = Model::default();
        for (item, step) in (0u32..).zip(steps) {
            match step {
                Step::Admit(number) => {
                    let (of_lane, kept, most) = (model.held(number), held / 8, (held - held / 4).max(1));
                    let free = held.saturating_sub(model.held_in_all());
                    let has_room = if of_lane < 2 {
                        free > 0 && of_lane < most + kept
                    } else {
                        of_lane + kept < free && of_lane * 2 + kept < most
                    };
                    let admission = lanes.admit(webhook(number), &project(number), YOUNG, item);
                    if has_room {
                        model.entered(number, Origin::Queue, item, limit, &admission);
                    } else {
                        prop_assert_eq!(admission, Admission::Surplus(item));
                    }
                }
                Step::FromGate(number) => {
                    let admission = lanes.admit_from_gate(webhook(number), &project(number), item);
                    model.entered(number, Origin::Gate, item, limit, &admission);
                }
                Step::Sent(number) if model.running.get(&number).is_some_and(|running| !running.is_empty()) => {
                    let next = lanes.sent(webhook(number));
                    let running = model.running.entry(number).or_default();
                    model.settling.entry(number).or_default().push(running.remove(0));
                    let waiting = model.waiting.entry(number).or_default();
                    if waiting.is_empty() {
                        prop_assert_eq!(next, Vec::<u32>::new());
                    } else {
                        let (origin, first) = waiting.remove(0);
                        prop_assert_eq!(next, vec![first]);
                        running.push(origin);
                    }
                }
                Step::Left(number) if model.settling.get(&number).is_some_and(|settling| !settling.is_empty()) => {
                    let origin = model.settling.entry(number).or_default().remove(0);
                    lanes.left(webhook(number), origin);
                }
                Step::Lose(number, lost) => {
                    let taken = lanes.take_waiting(webhook(number), |item| *item % 3 == lost % 3);
                    let waiting = model.waiting.entry(number).or_default();
                    let is_lost = |(_, item): &&(Origin, u32)| *item % 3 == lost % 3;
                    let expected: Vec<u32> = waiting.iter().filter(is_lost).map(|(_, item)| *item).collect();
                    waiting.retain(|(_, item)| *item % 3 != lost % 3);
                    prop_assert_eq!(taken, expected);
                }
                Step::Sent(_) | Step::Left(_) => {}
            }
            prop_assert_eq!(lanes.held, model.held_in_all());
        }
        let mut waiting = lanes.close();
        let mut expected: Vec<u32> = model.waiting.values().flatten().map(|(_, item)| *item).collect();
        waiting.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(waiting, expected);
        prop_assert_eq!(lanes.admit(webhook(0), &project(0), YOUNG, 7), Admission::Closed(7));
    }

    /// However much is being worked off from behind gates, what is ready for other webhooks gets through.
    #[test]
    fn gates_that_are_worked_off_take_no_room_from_the_queue(gates in 1u8..100, each in 1u32..64) {
        let mut lanes = Lanes::new(bounds(32, 1000));
        for gate in 0..gates {
            for item in 0..each {
                let _ = lanes.admit_from_gate(webhook(gate), &project(gate), item);
            }
        }
        prop_assert_eq!(lanes.admit(webhook(200), &project(200), YOUNG, 1), Admission::Start(1));
    }

/// However many webhooks answer nothing at all, one that has sent nothing yet gets through.
    #[test]
    fn there_is_always_room_for_a_newcomer(hogs in 1u8..100, offered in 1usize..200) {
        let mut lanes = Lanes::new(bounds(32, 1000));
        for _ in 0..offered {
            for hog in 0..hogs {
                let _ = lanes.admit(webhook(hog), &project(hog), YOUNG, 0u32);
            }
        }
        prop_assert_eq!(lanes.admit(webhook(200), &project(200), YOUNG, 1), Admission::Start(1));
    }
}

#[test]
fn one_busy_webhook_may_use_a_third_of_the_worker() {
    let mut lanes = Lanes::new(bounds(32, 1000));
    let admitted = (0..1000)
        .filter(|n| !matches!(lanes.admit(webhook(1), &project(1), YOUNG, *n), Admission::Surplus(..)))
        .count();
    assert_eq!(admitted, 313);
}

#[test]
fn lanes_that_fill_one_after_the_other_leave_room_for_many_that_hold_nothing_yet() {
    let mut lanes = Lanes::new(bounds(32, 960));
    let busy = project(1);
    let id = |n: u16| WebhookId::from_uuid(uuid::Uuid::from_u128(n.into()));
    for lane in 0..40 {
        for n in 0..500 {
            let _ = lanes.admit(id(lane), &busy, YOUNG, n);
        }
    }
    let admitted =
        (100..300).filter(|n| !matches!(lanes.admit(id(*n), &busy, YOUNG, 0), Admission::Surplus(..))).count();
    assert!(admitted >= 100, "{admitted} of the same project");
    let others =
        (2..122).filter(|n| !matches!(lanes.admit(webhook(*n), &project(*n), YOUNG, 0), Admission::Surplus(..)));
    assert_eq!(others.count(), 120, "one busy project leaves an eighth to the others");
}

#[test]
fn a_lane_that_takes_more_starts_more_and_one_that_takes_less_starts_none() {
    let mut lanes = Lanes::new(bounds(32, 1000));
    let id = webhook(1);
    let started = (0..40).filter(|n| matches!(lanes.admit(id, &project(1), YOUNG, *n), Admission::Start(_))).count();
    assert_eq!(started, ConcurrencyLimit::FIRST);
    let answered = |lanes: &mut Lanes<u32>, outcome, second| {
        let at = Monotonic(Duration::from_secs(second));
        let running = lanes.running(id);
        lanes.answered(id, &Answered { outcome, status: None, begun: at, ended: at, running });
        lanes.sent(id)
    };
    assert_eq!(answered(&mut lanes, OutcomeClass::Success, 1), [8, 9], "its own place, and one more");
    assert_eq!(answered(&mut lanes, OutcomeClass::Timeout, 2), Vec::<u32>::new());
    assert_eq!(lanes.limit(id), 4);
    lanes.recovering(id);
    assert_eq!(lanes.limit(id), 1);
}

#[test]
fn a_lane_that_is_held_back_starts_nothing_and_then_one_at_a_time() {
    let mut lanes = Lanes::new(bounds(8, 64));
    let until = |seconds| Monotonic(Duration::from_secs(seconds));
    assert_eq!(lanes.admit(webhook(1), &project(1), YOUNG, 0), Admission::Start(0));
    assert_eq!(lanes.admit(webhook(1), &project(1), YOUNG, 1), Admission::Start(1));
    assert!(lanes.hold_back(webhook(1), until(9)));
    assert!(!lanes.hold_back(webhook(1), until(7)), "it is held back already");
    assert_eq!(lanes.held_back_until(webhook(1)), Some(until(9)));
    for item in 2..6 {
        assert_eq!(lanes.admit(webhook(1), &project(1), YOUNG, item), Admission::Waits);
    }
    assert_eq!(lanes.admit(webhook(2), &project(1), YOUNG, 9), Admission::Start(9), "another webhook");
    assert!(lanes.sent(webhook(1)).is_empty() && lanes.sent(webhook(1)).is_empty());
    assert_eq!(lanes.go_on(webhook(1)), [2]);
    assert_eq!((lanes.held_back(), lanes.sent(webhook(1))), (0, vec![3]));
    // What comes to a lane goes behind what waits in it.
    lanes.hold_back(webhook(1), until(20));
    assert!(lanes.sent(webhook(1)).is_empty());
    assert_eq!(lanes.admit(webhook(1), &project(1), YOUNG, 6), Admission::Waits);
    assert_eq!((lanes.go_on(webhook(1)), lanes.sent(webhook(1))), (vec![4], vec![5]));
}

/// A batch may be leased for it before it is seen that it has no room; then it is waited for.
#[test]
fn a_lane_that_is_alone_is_crowded_until_it_has_room_or_is_fast_no_more() {
    let at = |millis| Monotonic(Duration::from_millis(millis));
    let (id, project) = (webhook(1), project(1));
    // It holds one all the while, and has had an answer every millisecond up to 10.4 s.
    let filled = |took: u64, ready_for: Duration, now| {
        let mut lanes = Lanes::new(bounds(32, 96));
        let _ = lanes.admit(id, &project, YOUNG, 0);
        for answer in 0..100 {
            let (begun, ended) = (at(10_300 + answer - took), at(10_300 + answer));
            lanes.answered(id, &Answered { outcome: OutcomeClass::Success, status: None, begun, ended, running: 1 });
        }
        let admitted = (1..65).filter(|n| lanes.admit(id, &project, (ready_for, now), *n) != Admission::Surplus(*n));
        let admitted = admitted.count();
        (lanes, admitted)
    };
    let young = super::behind::BEHIND / 2;
    let (mut lanes, admitted) = filled(5, young, at(10_400));
    assert!(admitted > 40 && lanes.is_crowded(at(10_400)), "{admitted}");
    let left = (1..).find(|_| lanes.left(id, Origin::Queue) && !lanes.is_crowded(at(10_400)));
    assert_eq!(left, Some(admitted + 1 - 29), "it has room for one more when it holds 29");
    let (mut lanes, _) = filled(5, young, at(10_400));
    assert!(!lanes.is_crowded(at(10_700)), "it has fallen silent");
    let less = [filled(60, young, at(10_400)).1, filled(5, young, at(10_700)).1];
    assert_eq!(less, [29; 2], "of a slow receiver, of a silent one");
    let late = super::behind::BEHIND * 2;
    let (mut lanes, admitted) = filled(5, late, at(10_400));
    assert!(admitted > 40, "late for a moment: {admitted}");
    lanes.lanes.get_mut(&id).unwrap().speed.begins(at(11_400));
    assert_eq!(lanes.admit(id, &project, (late, at(11_400)), 99), Admission::Surplus(99), "it is late all the time");
}

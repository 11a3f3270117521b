//! What matching costs in a large installation: 1,000,000 webhooks over 10,000 projects, every event going to one of
//! them. Prints the time of a match, and before that the memory that the index takes per webhook.
//!
//! `cargo bench -p fanfare-core --bench matching`; on Linux, since memory is read from `/proc/self/status`.

#![expect(clippy::print_stderr, reason = "the memory per webhook is one of the two results")]

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;

use criterion::Criterion;
use fanfare_core::clock::Timestamp;
use fanfare_core::egress::WebhookUrl;
use fanfare_core::event::{EventHeader, EventType, Source};
use fanfare_core::ids::{EventId, ProjectId, WebhookId};
use fanfare_core::matching::MatchIndex;
use fanfare_core::pattern::EventPattern;
use fanfare_core::retry::RetrySchedule;
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::{AttemptTimeout, PayloadVersion, Webhook, WebhookKind};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

const PROJECTS: u32 = 10_000;
const WEBHOOKS_PER_PROJECT: u32 = 100;
/// Enough different events that the caches hold neither them nor what they look up.
const EVENTS: usize = 1 << 16;

/// What the webhook with this number within its project subscribes to, and an event that goes to it alone.
struct Scenario {
    name: &'static str,
    pattern: fn(u32) -> String,
    source: fn(u32, u32) -> Option<String>,
    event_type: fn(u32) -> String,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "exact type",
        pattern: |number| format!("orders.kind-{number}.updated"),
        source: |_, _| None,
        event_type: |number| format!("orders.kind-{number}.updated"),
    },
    Scenario {
        name: "exact type and a source each",
        pattern: |_| "whatsapp.message.received".to_owned(),
        source: |project, number| Some(format!("1{project:05}{number:09}")),
        event_type: |_| "whatsapp.message.received".to_owned(),
    },
    Scenario {
        name: "wildcards",
        pattern: |number| match number % 3 {
            0 => format!("orders.kind-{number}.*"),
            1 => format!("*.kind-{number}.updated"),
            _ => format!("orders.kind-{number}.**"),
        },
        source: |_, _| None,
        event_type: |number| format!("orders.kind-{number}.updated"),
    },
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    // All are kept until the end: memory that one frees would be used, and not counted, for the next.
    let indexes: Vec<MatchIndex> = SCENARIOS.iter().map(build).collect();
    for (scenario, index) in SCENARIOS.iter().zip(&indexes) {
        bench(&mut criterion, scenario, index);
    }
    criterion.final_summary();
}

fn build(scenario: &Scenario) -> MatchIndex {
    let mut rng = StdRng::seed_from_u64(1);
    let template = template(&mut rng);
    let before = resident_bytes();
    let mut index = MatchIndex::new();
    for project in 0..PROJECTS {
        let project_id = project_id(project);
        for number in 0..WEBHOOKS_PER_PROJECT {
            index.insert(&Webhook {
                id: random_id(&mut rng),
                project: project_id.clone(),
                events: vec![EventPattern::new(&(scenario.pattern)(number)).expect("a pattern by its scenario")],
                source: source(scenario, project, number),
                ..template.clone()
            });
        }
    }
    let webhooks = u64::from(PROJECTS) * u64::from(WEBHOOKS_PER_PROJECT);
    let per_webhook = resident_bytes().saturating_sub(before) / webhooks;
    eprintln!("{}: {per_webhook} bytes per webhook, {webhooks} webhooks", scenario.name);
    index
}

fn bench(criterion: &mut Criterion, scenario: &Scenario, index: &MatchIndex) {
    let mut rng = StdRng::seed_from_u64(2);
    let events: Vec<EventHeader> = (0..EVENTS)
        .map(|_| {
            let (project, number) = (rng.random_range(0..PROJECTS), rng.random_range(0..WEBHOOKS_PER_PROJECT));
            event(project, &(scenario.event_type)(number), source(scenario, project, number))
        })
        .collect();
    let mut found = Vec::new();
    for event in &events {
        found.clear();
        index.matches(event, &mut found);
        assert_eq!(found.len(), 1, "{event:?} goes to one webhook");
    }
    let mut next = events.iter().cycle();
    criterion.bench_function(&format!("match one of 1M webhooks: {}", scenario.name), |bencher| {
        bencher.iter(|| {
            found.clear();
            index.matches(black_box(next.next().expect("a cycle does not end")), &mut found);
            black_box(found.len())
        });
    });
}

fn project_id(number: u32) -> ProjectId {
    ProjectId::new(format!("project-{number}")).expect("within what is allowed")
}

fn source(scenario: &Scenario, project: u32, number: u32) -> Option<Source> {
    (scenario.source)(project, number).map(|text| Source::new(text).expect("within what is allowed"))
}

fn random_id(rng: &mut StdRng) -> WebhookId {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    WebhookId::from_bytes(bytes)
}

/// A webhook of which each one indexed differs in id, project, pattern and source.
fn template(rng: &mut StdRng) -> Webhook {
    let (key, _) = SealingKey::generate(rng);
    Webhook {
        id: random_id(rng),
        project: project_id(0),
        url: WebhookUrl::parse("https://receiver.example/hook").expect("a webhook url"),
        events: Vec::new(),
        source: None,
        filter: None,
        description: None,
        active: true,
        inactive_since: None,
        headers: Vec::new(),
        kind: WebhookKind::default(),
        payload_version: PayloadVersion::default(),
        retry_schedule: RetrySchedule::default(),
        timeout: AttemptTimeout::default(),
        inactivity_minutes: None,
        rate_limit: None,
        secret: key.seal("not looked at", "", rng),
        secret_last4: "k at".to_owned(),
        previous_secret: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn event(project: u32, event_type: &str, source: Option<Source>) -> EventHeader {
    EventHeader {
        project: project_id(project),
        id: EventId::new("evt").expect("within what is allowed"),
        event_type: EventType::new(event_type).expect("a type by its scenario"),
        source,
        subject: None,
        time: Timestamp::EPOCH,
        expires_at: None,
        accepted_at: Timestamp::EPOCH,
        extensions: BTreeMap::new(),
    }
}

/// The resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(0, |kibibytes: u64| kibibytes * 1024)
}

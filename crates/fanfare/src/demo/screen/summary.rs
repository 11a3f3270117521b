//! The end of the picture: the table, the timings, and where to go next.

use std::io;
use std::time::Duration;

use super::super::cast::{CUSTOM_EVENT, RECEIVERS};
use super::super::ledger::{Cell, Ledger};
use super::style::Paint;
use super::{Screen, millis};

/// How long things took.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Timings {
    /// From publishing to the first POST at a receiver, the middle one.
    pub(in super::super) median_first: Duration,
    /// The same, the slowest.
    pub(in super::super) slowest_first: Duration,
    /// From publishing the first event to the last delivery's success.
    pub(in super::super) all: Duration,
}

/// What the commands at the end need.
#[derive(Clone, Debug)]
pub(in super::super) struct NextSteps<'a> {
    /// The API's address.
    pub(in super::super) api: &'a str,
    /// That of metrics and health.
    pub(in super::super) admin: &'a str,
    /// The API key.
    pub(in super::super) key: &'a str,
}

impl Timings {
    /// Read off the ledger; `None` before everything has arrived.
    pub(in super::super) fn of(ledger: &Ledger) -> Option<Self> {
        let (mut firsts, mut all) = (Vec::new(), Duration::ZERO);
        let start = ledger.first_published()?;
        for receiver in 0..RECEIVERS.len() {
            for event in 0..ledger.events().len() {
                let Some(cell) = ledger.cell(receiver, event) else { continue };
                firsts.push(ledger.since_published(event, cell.first_at?)?);
                all = all.max(cell.success_at?.since(start));
            }
        }
        firsts.sort();
        Some(Self { median_first: *firsts.get(firsts.len() / 2)?, slowest_first: *firsts.last()?, all })
    }
}

impl Screen {
    /// Receivers by events: how many POSTs each delivery took, and whether it arrived; then the sums.
    pub(in super::super) fn table(&mut self, ledger: &Ledger) -> io::Result<()> {
        let heads: String = RECEIVERS.iter().map(|part| format!("{:>11}", part.name)).collect();
        let heads = self.style.paint(Paint::Strong, &heads);
        self.line(format_args!("  {:<29}{heads}", ""))?;
        for (at, event) in ledger.events().iter().enumerate() {
            let mut row = format!("  {:<29}", event.event_type);
            for receiver in 0..RECEIVERS.len() {
                row.push_str(&self.cell(ledger.cell(receiver, at)));
            }
            self.line(row)?;
        }
        self.line(format_args!("  {}", "-".repeat(29 + 11 * RECEIVERS.len())))?;
        let mut rows = [("delivered", String::new()), ("attempts", String::new()), ("verified", String::new())];
        for receiver in 0..RECEIVERS.len() {
            let (expected, sum) = ledger.totals(receiver);
            rows[0].1.push_str(&format!("{:>11}", format!("{} of {expected}", sum.successes)));
            rows[1].1.push_str(&format!("{:>11}", sum.attempts));
            rows[2].1.push_str(&format!("{:>11}", format!("{} of {}", sum.verified, sum.attempts)));
        }
        rows.into_iter().try_for_each(|(name, cells)| self.line(format_args!("  {name:<29}{cells}")))
    }

    fn cell(&self, cell: Option<&Cell>) -> String {
        let (paint, text) = match cell {
            None => (Paint::Faint, ".".to_owned()),
            Some(cell) if cell.successes == 1 && cell.attempts == 1 => (Paint::Good, "1 POST".to_owned()),
            Some(cell) if cell.successes == 1 => (Paint::Good, format!("{} POSTs", cell.attempts)),
            Some(cell) if cell.successes == 0 => (Paint::Bad, "MISSING".to_owned()),
            Some(cell) => (Paint::Bad, format!("{} TIMES", cell.successes)),
        };
        self.style.paint(paint, &format!("{text:>11}"))
    }

    /// How long things took.
    pub(in super::super) fn timings(&mut self, timings: Timings) -> io::Result<()> {
        let Timings { median_first, slowest_first, all } = timings;
        self.line("")?;
        self.fact(
            "First",
            &format!("POST after {} (median), {} (slowest)", millis(median_first), millis(slowest_first)),
        )?;
        self.fact("All", &format!("delivered after {}, the waits between retries included", millis(all)))
    }

    /// What to try on the running demo.
    pub(in super::super) fn next_steps(&mut self, steps: &NextSteps<'_>) -> io::Result<()> {
        let NextSteps { api, admin, key } = steps;
        self.section("It keeps running: try it")?;
        let data = r#"{"order": {"id": "A-1002"}}"#;
        let publish = format!("-d '{{\"type\": \"{CUSTOM_EVENT}\", \"data\": {data}}}'");
        let authenticate = format!("-H 'X-API-Key: {key}'");
        let commands: [(&str, Vec<String>); 4] = [
            (
                "Publish an event and watch it arrive here:",
                vec![
                    format!("{api}/v1/events"),
                    authenticate.clone(),
                    "-H 'Content-Type: application/json'".to_owned(),
                    publish,
                ],
            ),
            ("See the deliveries:", vec![format!("'{api}/v1/deliveries?limit=5'"), authenticate.clone()]),
            ("See the webhooks:", vec![format!("{api}/v1/webhooks"), authenticate]),
            ("See the metrics:", vec![format!("{admin}/metrics")]),
        ];
        for (what, arguments) in commands {
            self.note(what)?;
            self.line(format_args!("    curl {}", arguments.join(" \\\n      ")))?;
            self.line("")?;
        }
        self.note("Ctrl-C ends it.")?;
        self.line("")
    }
}

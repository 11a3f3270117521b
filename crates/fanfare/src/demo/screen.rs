//! The demo's picture: lines of at most 80 columns, in colour on a terminal, plain where it is read by something else.

mod style;
mod summary;

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

pub(super) use style::Style;
pub(super) use summary::{NextSteps, Timings};

use super::cast::{Part, RECEIVERS};
use super::receiver::Arrival;
use style::Paint;

/// Where the demo writes.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    style: Style,
}

impl Screen {
    /// The standard output.
    pub(super) fn stdout() -> Self {
        Self { out: Box::new(io::stdout()), style: Style::of_stdout() }
    }

    /// Anything else, plain.
    #[cfg(test)]
    pub(super) fn plain(out: Box<dyn Write + Send>) -> Self {
        Self { out, style: Style::plain() }
    }

    /// The title and what this is.
    pub(super) fn opening(&mut self, api: &str, data_dir: &str) -> io::Result<()> {
        let title = self.style.paint(Paint::Strong, &format!("Fanfare {}", env!("CARGO_PKG_VERSION")));
        self.line("")?;
        self.line(format_args!("  {title} demo: events in over HTTP, signed webhooks out"))?;
        self.line("")?;
        self.fact("API", api)?;
        self.fact("Data", &format!("{data_dir} (removed at the end)"))
    }

    /// The head of a section.
    pub(super) fn section(&mut self, title: &str) -> io::Result<()> {
        let title = self.style.paint(Paint::Title, title);
        self.line("")?;
        self.line(format_args!("  {title}"))?;
        self.line("")
    }

    /// A name and what it is.
    pub(super) fn fact(&mut self, name: &str, what: &str) -> io::Result<()> {
        let name = self.style.paint(Paint::Faint, &format!("{name:<8}"));
        self.line(format_args!("  {name}{what}"))
    }

    /// A receiver that is ready, with its webhook.
    pub(super) fn receiver(&mut self, part: &Part, url: &str) -> io::Result<()> {
        let name = self.style.paint(Paint::Strong, &format!("{:<8}", part.name));
        self.line(format_args!("  {name}{url}"))?;
        self.line(format_args!("          {}", part.says))?;
        let mut wants = format!("gets {}", part.events.join(", "));
        if !part.retries.is_empty() {
            let delays: Vec<String> = part.retries.iter().map(|seconds| format!("{seconds} s")).collect();
            wants.push_str(&format!("; retries after {}", delays.join(", ")));
        }
        let wants = self.style.paint(Paint::Faint, &wants);
        self.line(format_args!("          {wants}"))
    }

    /// An event that was published.
    pub(super) fn published(&mut self, event: &str, status: &str, took: Duration) -> io::Result<()> {
        let arrow = self.style.paint(Paint::Title, "in   ");
        self.line(format_args!("  {arrow}   {event:<29}  {status:<20}{:>8}", millis(took)))
    }

    /// A POST that a receiver got.
    pub(super) fn arrived(&mut self, arrival: &Arrival, since_published: Option<Duration>) -> io::Result<()> {
        let good = (200..300).contains(&arrival.status);
        let status = self.style.paint(if good { Paint::Good } else { Paint::Bad }, &arrival.status.to_string());
        let signed = match arrival.verified {
            Ok(()) => self.style.paint(Paint::Good, "signed ok"),
            Err(why) => self.style.paint(Paint::Bad, &format!("NOT VERIFIED: {why}")),
        };
        let name = self.style.paint(Paint::Strong, &format!("{:<8}", RECEIVERS[arrival.receiver].name));
        let since = since_published.map(|since| format!("{:>10}", millis(since))).unwrap_or_default();
        let test = if arrival.test { "  a test" } else { "" };
        let attempt = format!("#{}", arrival.attempt);
        self.line(format_args!("  {name}{:<29}  {attempt:<4}{status}  {signed}{test}{since}", arrival.event))
    }

    /// A remark.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        let text = self.style.paint(Paint::Faint, text);
        self.line(format_args!("  {text}"))
    }

    /// What came of it all.
    pub(super) fn verdict(&mut self, complaints: &[String]) -> io::Result<()> {
        self.line("")?;
        if complaints.is_empty() {
            let text = "Every delivery arrived exactly once, and every signature verified.";
            let text = self.style.paint(Paint::Good, text);
            return self.line(format_args!("  {text}"));
        }
        let text = self.style.paint(Paint::Bad, "Not everything is as it has to be:");
        self.line(format_args!("  {text}"))?;
        complaints.iter().try_for_each(|complaint| self.line(format_args!("    {complaint}")))
    }

    /// One line, at once: what is shown live must not wait in a buffer.
    fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }
}

/// A duration as it is shown: `3 ms`, `1.2 s`.
fn millis(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;

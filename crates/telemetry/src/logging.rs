//! Where the log goes: to the standard error, as lines for people on a terminal, as JSON otherwise.
//!
//! Which of it is written is a filter in the form of `tracing`'s directives: a level such as `info`, or levels by module such
//! as `info,fanfare_delivery=debug`.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;

/// The filter where none is given.
pub const DEFAULT_FILTER: &str = "info";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter is not one.
    #[error(
        "{filter:?} is not a log filter: it is error, warn, info, debug or trace, or such levels by module, as in \
         info,fanfare_delivery=debug"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process has one already.
    #[error("the log was set up before")]
    AlreadySet,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One line for each event, for people.
    Lines {
        /// Whether levels and fields have colours.
        colours: bool,
    },
    /// One JSON object for each event, for programs.
    Json,
}

impl Style {
    /// Lines on a terminal, with colours unless `no_color`, the variable `NO_COLOR`, is there and not empty; JSON otherwise.
    pub fn choose(is_terminal: bool, no_color: Option<&str>) -> Self {
        if is_terminal { Style::Lines { colours: no_color.is_none_or(str::is_empty) } } else { Style::Json }
    }
}

/// Sets up the log of this process. An empty filter is the default one.
///
/// # Errors
/// When the filter cannot be read, or the process has a log already.
pub fn init(filter: &str) -> Result<(), LoggingError> {
    let no_color = std::env::var_os("NO_COLOR").map(|value| value.to_string_lossy().into_owned());
    let style = Style::choose(std::io::stderr().is_terminal(), no_color.as_deref());
    let subscriber = subscriber(filter, style, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LoggingError::AlreadySet)
}

/// What writes the log, to `writer`.
///
/// # Errors
/// When the filter cannot be read.
pub fn subscriber<W>(filter: &str, style: Style, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let text = if filter.trim().is_empty() { DEFAULT_FILTER } else { filter };
    let filter = read(text).map_err(|source| LoggingError::Filter { filter: text.to_owned(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match style {
        Style::Lines { colours } => Box::new(builder.with_ansi(colours).finish()),
        Style::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    })
}

/// A lone word has to be a level. `tracing` would take any other for a module whose lines alone are written: a slip such as
/// `wran` would write none at all.
fn read(text: &str) -> Result<EnvFilter, ParseError> {
    let words = text.split(',').filter(|directive| !directive.is_empty() && !directive.contains(['=', '[']));
    for word in words {
        EnvFilter::try_new(format!("fanfare={word}"))?;
    }
    EnvFilter::try_new(text)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(filter: &str, style: Style) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(filter, style, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(events = 3, "fanned out");
            tracing::debug!("a detail");
        });
        let bytes = kept.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn programs_get_one_json_object_for_each_event() {
        let text = written("", Style::Json);
        let [line] = text.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {text}") };
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&event["level"], &event["message"], &event["events"]),
            (&"INFO".into(), &"fanned out".into(), &3.into())
        );
    }

    #[test]
    fn people_get_lines_and_colours_only_where_they_show() {
        let plain = written("debug", Style::Lines { colours: false });
        assert!(
            plain.contains("fanned out events=3") && plain.contains("a detail") && !plain.contains('\u{1b}'),
            "{plain}"
        );
        assert!(written("info", Style::Lines { colours: true }).contains('\u{1b}'));
        assert_eq!(Style::choose(true, None), Style::Lines { colours: true });
        assert_eq!(Style::choose(true, Some("")), Style::Lines { colours: true });
        assert_eq!(Style::choose(true, Some("1")), Style::Lines { colours: false });
        assert_eq!(Style::choose(false, None), Style::Json);
    }

    #[test]
    fn a_filter_that_is_none_is_refused_with_what_it_should_be() {
        for filter in ["fanfare=loud", "wran", "warn,fanfare_delivery"] {
            let refused = subscriber(filter, Style::Json, io::stderr).err().unwrap().to_string();
            assert!(refused.contains(filter) && refused.contains("debug"), "{refused}");
        }
        for filter in ["", "WARN", "off", "info,fanfare_delivery=debug", "warn,fanfare[span]=info"] {
            assert!(subscriber(filter, Style::Json, io::stderr).is_ok(), "{filter}");
        }
    }
}

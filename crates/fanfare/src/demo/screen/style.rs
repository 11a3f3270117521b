//! Colour, where it can be seen and is wanted.

use std::io::IsTerminal as _;

/// Whether there is colour.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Style {
    colour: bool,
}

/// What a text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Title,
    Strong,
    Faint,
    Good,
    Bad,
}

impl Style {
    /// Colour on a terminal, unless `NO_COLOR` is set to anything (no-color.org) or the terminal is a dumb one.
    pub(super) fn of_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: std::io::stdout().is_terminal() && !unwanted && !dumb }
    }

    /// No colour.
    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colour: false }
    }

    /// The text in its colour. Pad before painting: the codes have no width, but would be counted.
    pub(super) fn paint(self, paint: Paint, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Title => "1;36",
            Paint::Strong => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

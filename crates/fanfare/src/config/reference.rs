//! The reference of all options, as text for a terminal and as the Markdown of `docs/options.md`.

use std::fmt::Write as _;

use toml::Value;

use super::descriptions::DESCRIPTIONS;
use super::options::{Options, variable};

/// One line for the name, the variable and the default of each option, and its meaning below.
pub(crate) fn text() -> String {
    let options = Options::of_this_build();
    let mut text = String::new();
    for (path, meaning) in DESCRIPTIONS {
        let default = default(&options, path).unwrap_or_else(|| "none".to_owned());
        // Writing to a String does not fail.
        let _ = writeln!(text, "{path}  [env: {}]  [default: {default}]\n    {meaning}\n", variable(path));
    }
    text
}

/// The page `docs/options.md`.
pub(crate) fn markdown() -> String {
    let options = Options::of_this_build();
    let mut page = "# Options\n\n\
        Every option of `fanfare serve` and of the services. In the file of `--config`, which is TOML, `section.key` is\n\
        `key` under `[section]`; each is also a variable of the environment, and `--set section.key=value` on the command\n\
        line. The command line goes before the environment, the environment before the file. A secret (a key, a password, a URL)\n\
        can stand in a file that the variable with `_FILE` after it names, such as `FANFARE_API_KEY_FILE`. This page is\n\
        what `fanfare options --markdown` prints.\n\n\
        | option | variable | default | meaning |\n| --- | --- | --- | --- |\n"
        .to_owned();
    for (path, meaning) in DESCRIPTIONS {
        let default = default(&options, path).map_or_else(|| "none".to_owned(), |default| format!("`{default}`"));
        let meaning = meaning.replace('|', "\\|");
        let _ = writeln!(page, "| `{path}` | `{}` | {default} | {meaning} |", variable(path));
    }
    page
}

/// The default as a reader writes it; `None` for one that is empty.
fn default(options: &Options, path: &str) -> Option<String> {
    match options.default_of(path)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Array(items) if items.is_empty() => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_option_is_described_once_and_nothing_else_is() {
        let options = Options::of_this_build();
        let described: BTreeSet<&str> = DESCRIPTIONS.iter().map(|(path, _)| *path).collect();
        assert_eq!(described, options.paths().collect());
        assert_eq!(described.len(), DESCRIPTIONS.len());
        assert!(DESCRIPTIONS.iter().all(|(_, meaning)| meaning.len() > 10));
    }

    #[test]
    fn the_page_in_the_docs_is_what_the_code_says() {
        let page = include_str!("../../../../docs/options.md");
        assert_eq!(page, markdown(), "write docs/options.md anew: fanfare options --markdown > docs/options.md");
        assert!(text().contains("listen  [env: FANFARE_LISTEN]  [default: 127.0.0.1:8080]"));
    }
}

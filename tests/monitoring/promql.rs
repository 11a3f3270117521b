//! As much of PromQL as it takes to see which metrics and labels a query names. Whether the rest of it is right is for
//! Prometheus to say, which evaluates every query in these tests.

/// A metric that a query names, and what it wants of its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label, operator, value.
    pub(crate) matchers: Vec<(String, String, String)>,
}

/// What a query names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    /// The labels in `by`, `on` and the like.
    pub(crate) grouping: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
const AGGREGATORS: [&str; 5] = ["sum", "max", "min", "avg", "count"];

impl Query {
    /// Reads a query.
    pub(crate) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let sign = |at: usize, wanted: &str| matches!(tokens.get(at), Some(Token::Sign(sign)) if sign == wanted);
        let mut query = Query::default();
        let mut at = 0;
        while at < tokens.len() {
            let Token::Word(word) = &tokens[at] else {
                at += 1;
                continue;
            };
            at += 1;
            if GROUPING.contains(&word.as_str()) {
                if sign(at, "(") {
                    let end =
                        (at..tokens.len()).find(|at| sign(*at, ")")).unwrap_or_else(|| panic!("no end of ( in {text}"));
                    query.grouping.extend(tokens[at..end].iter().filter_map(|token| match token {
                        Token::Word(label) => Some(label.clone()),
                        Token::Text(_) | Token::Sign(_) => None,
                    }));
                    at = end;
                }
            } else if !OPERATORS.contains(&word.as_str()) && !AGGREGATORS.contains(&word.as_str()) && !sign(at, "(") {
                let mut selector = Selector { metric: word.clone(), matchers: Vec::new() };
                if sign(at, "{") {
                    while !sign(at, "}") {
                        match &tokens[at + 1..] {
                            [Token::Word(label), Token::Sign(operator), Token::Text(value), ..] => {
                                selector.matchers.push((label.clone(), operator.clone(), value.clone()));
                            }
                            wrong => panic!("not a matcher: {wrong:?} in {text}"),
                        }
                        at += 4;
                    }
                }
                query.selectors.push(selector);
            }
        }
        query
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first).unwrap_or_else(|| panic!("no end of {first} in {text}"));
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            // A range says nothing of metrics.
            '[' => rest.find(']').unwrap_or_else(|| panic!("no end of [ in {text}")) + 1,
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = length_of(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            // Numbers and durations.
            '0'..='9' => length_of(rest, |c| c.is_ascii_alphanumeric() || c == '.'),
            '=' | '!' | '~' | '<' | '>' => {
                let end = length_of(rest, |c| "=!~<>".contains(c));
                tokens.push(Token::Sign(rest[..end].to_owned()));
                end
            }
            other => {
                tokens.push(Token::Sign(other.to_string()));
                other.len_utf8()
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

fn length_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

#[test]
fn metrics_labels_and_groupings_are_found() {
    let text = r#"histogram_quantile(0.99, sum by (le, result) (rate(a_bucket{x="1|2", y=~"$z"}[5m])))
        / on() group_left() (max(b offset 6h) > 0.5) and on(kind) label_replace(absent(up{job="f"} == 1), "s", "t", "", "")"#;
    let matcher = |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    let selector = |metric: &str, matchers| Selector { metric: metric.to_owned(), matchers };
    let expected = [
        selector("a_bucket", vec![matcher("x", "=", "1|2"), matcher("y", "=~", "$z")]),
        selector("b", Vec::new()),
        selector("up", vec![matcher("job", "=", "f")]),
    ];
    let query = Query::read(text);
    assert_eq!(query.selectors, expected);
    assert_eq!(query.grouping, ["le", "result", "kind"]);
}

//! JavaScript itself as the judge: what Node's `JSON.stringify(JSON.parse(x))` gives is the normal form.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fanfare_core::catalogue::Catalogue;
use fanfare_core::normalise::normalise;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::documents::document;

const DOCUMENTS: usize = 3000;

/// Sends all documents through one Node process; `None` for those that `JSON.parse` refuses.
fn through_node(documents: &[String]) -> Vec<Option<String>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/normalise.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs Node.js, `node` on the PATH: {error}"));
    let mut input = node.stdin.take().expect("it is piped");
    for document in documents {
        // The script reads to the end before it answers, so writing all first cannot block on its answers.
        writeln!(input, "{}", serde_json::Value::from(document.as_str())).expect("node reads it");
    }
    drop(input);
    let output = node.wait_with_output().expect("node answers");
    assert!(output.status.success(), "the script failed");
    let answers = String::from_utf8(output.stdout).expect("node writes UTF-8");
    let answers: Vec<_> = answers.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(answers.len(), documents.len());
    answers
}

fn generate() -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    (0..DOCUMENTS).map(|_| document().new_tree(&mut runner).expect("there is a document").current()).collect()
}

#[test]
fn node_agrees_on_every_document_and_leaves_the_normal_form_alone() {
    let documents = generate();
    let normal: Vec<String> = documents
        .iter()
        .map(|json| String::from_utf8(normalise(json.as_bytes(), "$").expect(json).to_vec()).unwrap())
        .collect();
    assert!(documents.iter().zip(&normal).any(|(json, normal)| json != normal));
    let answers = through_node(&[documents.as_slice(), &normal].concat());
    let (of_documents, of_normal) = answers.split_at(documents.len());
    for (n, json) in documents.iter().enumerate() {
        assert_eq!(Some(&normal[n]), of_documents[n].as_ref(), "{json}");
        assert_eq!(Some(&normal[n]), of_normal[n].as_ref(), "{json}");
    }
}

#[test]
fn node_refuses_what_is_refused_as_malformed() {
    let mut runner = TestRunner::deterministic();
    let junk = prop::sample::select(b"{}[]:,\"\\ue0-+.x\n ".to_vec());
    let spoilt: Vec<String> = generate()
        .into_iter()
        .map(|mut json| {
            let at = any::<prop::sample::Index>().new_tree(&mut runner).unwrap().current().index(json.len());
            let at = json.floor_char_boundary(at);
            json.insert(at, char::from(junk.new_tree(&mut runner).unwrap().current()));
            json
        })
        .collect();
    let mut malformed = 0;
    for (json, answer) in spoilt.iter().zip(through_node(&spoilt)) {
        match normalise(json.as_bytes(), "$") {
            Ok(_) => assert!(answer.is_some(), "accepted, against JavaScript: {json}"),
            Err(error) if ["lone surrogate", "number out of range"].contains(&error.message.as_str()) => {}
            Err(error) => {
                malformed += 1;
                assert!(answer.is_none(), "refused, against JavaScript: {json}: {error}");
            }
        }
    }
    assert!(malformed > DOCUMENTS / 10, "only {malformed} were malformed");
}

#[test]
fn node_leaves_every_sample_of_the_catalogue_alone() {
    let samples: Vec<String> = Catalogue::builtin().entries().iter().map(|entry| entry.sample.to_string()).collect();
    for (sample, answer) in samples.iter().zip(through_node(&samples)) {
        assert_eq!(Some(sample), answer.as_ref());
    }
}

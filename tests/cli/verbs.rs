//! Commands that change live calls: their words, their documents, and what a dry run leaves alone.

use serde_json::Value;

use super::{assert_failed, pbx, run, run_pbx, stderr, stdout};
use crate::control::fake::{CALLEE, CALLER, Server};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_a_usage_error_and_strangers_are_not_found() {
    let server = Server::start();
    let wrong: [&[&str]; 6] = [
        &["transfer", CALLER, "600@"],
        &["transfer", CALLER, "600", "--both", "--other"],
        &["transfer", CALLER],
        &["bridge", CALLER],
        &["hold"],
        &["unhold", CALLER, CALLEE],
    ];
    for words in wrong {
        assert_failed(&run_pbx(&server, words).await, 2);
    }
    for words in [&["transfer", "x", "600"][..], &["bridge", CALLER, "x"], &["hold", "x"], &["unhold", "x"]] {
        assert_failed(&run_pbx(&server, words).await, 3);
        assert_failed(&run_pbx(&server, &[words, &["--dry-run"]].concat()).await, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_says_what_it_did_in_a_document_and_what_it_would_do_in_words() {
    let server = Server::start();
    let documents: [(&[&str], &str, &str); 4] = [
        (&["transfer", CALLEE, "600@internal", "--both"], "pbx.transfer/1", "legs"),
        (&["bridge", CALLEE, CALLER], "pbx.bridge/1", "legs"),
        (&["hold", CALLEE], "pbx.hold/1", "held"),
        (&["unhold", CALLEE], "pbx.hold/1", "held"),
    ];
    for (words, schema, field) in documents {
        let mut command = pbx(&server.socket, words);
        command.args(["-q", "--json"]);
        let output = run(command).await;
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let document: Value = serde_json::from_str(stdout(&output)).unwrap();
        assert_eq!(document["schema"], schema);
        assert!(!document[field].is_null(), "{document}");
        let output = run_pbx(&server, &[words, &["--dry-run"]].concat()).await;
        assert!(output.status.success() && stderr(&output).starts_with("would "), "{output:?}");
    }
}

#[tokio::test]
async fn s003_call_barge_finds_the_program_and_the_application() {
    for words in [["--help"], ["man"]] {
        let mut spy = tokio::process::Command::new(env!("CARGO_BIN_EXE_spy"));
        spy.args(words);
        let page = run(spy).await;
        assert!(page.status.success() && stdout(&page).contains("call barge"), "{page:?}");
    }
    let page = run(pbx(std::path::Path::new("/nowhere"), &["man", "dialplan"])).await;
    assert!(stdout(&page).contains("Call barge"), "{page:?}");
}

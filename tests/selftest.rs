//! `pbx selftest`: holds on this machine, and would say so if it did not.

use std::process::Command;

use wirechief::control::supervision::{Hear, Mode, Party, Side};
use wirechief::pbx::selftest::{Hears, Row, record, whisper};

use crate::harness::{calmly, program};

#[tokio::test]
async fn every_row_of_the_proof_holds_with_the_program_as_it_is_installed() {
    calmly(async || {
        let ran = program::run(Command::new(env!("CARGO_BIN_EXE_pbx")).args(["selftest", "whisper", "--json"]));
        let text = String::from_utf8(ran.stdout).expect("text");
        assert_eq!(ran.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&ran.stderr));
        let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(report["schema"], "pbx.selftest/1");
        let rows = report["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), wirechief::pbx::selftest::TABLE.len());
        let holds = |row: &&serde_json::Value| row["wrong"].as_array().is_some_and(Vec::is_empty);
        assert!(rows.iter().all(|row| holds(&row)), "{text}");
        let untouched =
            |row: &&serde_json::Value| row["customer"] == "agent, untouched" && row["compared"].as_u64() > Some(9);
        assert_eq!(rows.iter().filter(untouched).count(), 11, "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_table_that_is_not_true_is_found_out_ear_by_ear() {
    let truth = Row {
        leg: Side::B,
        mode: Mode::Whisper,
        to: Some(Party::Agent),
        hear: Hear::Both,
        customer: Hears::Peer,
        agent: Hears::PeerAndSupervisor,
        supervisor: [true, true],
    };
    let lies = [
        ("the agent", Row { agent: Hears::Peer, ..truth }),
        ("the customer", Row { customer: Hears::PeerAndSupervisor, ..truth }),
        ("to the customer", Row { mode: Mode::Barge, to: None, ..truth }),
        ("the supervisor hears something of agent", Row { supervisor: [true, false], ..truth }),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let table: Vec<Row> = [truth].into_iter().chain(lies.iter().map(|(_, row)| *row)).collect();
    let report = whisper(folder.path(), &table).await.expect("a proof");
    assert!(!report.ok);
    assert!(report.rows[0].wrong.is_empty(), "{:?}", report.rows[0]);
    for (found, (what, _)) in report.rows[1..].iter().zip(&lies) {
        assert!(found.wrong.iter().any(|wrong| wrong.contains(what)), "{what}: {found:?}");
    }
}

#[tokio::test]
async fn a_recorded_call_has_each_party_on_its_own_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let report = record(folder.path()).await.expect("a proof");
    assert!(report.ok && report.rows.len() == 1, "{report:?}");
}

//! `rec import`: a monitor folder of Asterisk or FreePBX becomes recordings that are pushed like ours; the folder is left as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{Home, fails, ok, wav};
use crate::harness::PATIENCE;

const OUT: &str = "2024/01/02/out-4178575309-1001-20240102-101112-1704190272.12.wav";

/// A monitor folder: a call out, two sides of another, one with a head whose writer died, a GSM file, and things that are none.
fn monitor(home: &Home) -> PathBuf {
    let folder = home.path().join("monitor");
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    put(OUT, &wav(1, &[1; 8_000]));
    put("2024/01/02/q-600-4178575309-20240102-111112-1704193872.13-in.wav", &wav(1, &[5; 100]));
    put("2024/01/02/q-600-4178575309-20240102-111112-1704193872.13-out.wav", &wav(1, &[7; 60]));
    let mut dead = wav(1, &[3; 500]);
    dead[4..8].fill(0);
    dead[40..44].fill(0);
    dead.push(9);
    put("dead.WAV", &dead);
    put("20240102-101113-1704190273.14.gsm", &[0xd0; 33 * 50]);
    put("notes.txt", b"no sound");
    folder
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(contents(&entry));
        } else {
            files.insert(entry.clone(), std::fs::read(&entry).unwrap());
        }
    }
    files
}

fn import(home: &Home) -> serde_json::Value {
    home.json(&["import", "monitor", "--quiet-for", "0s"])
}

#[test]
fn s143_a_monitor_folder_is_imported_once_delivered_and_left_as_it_is() {
    let home = Home::with_folder();
    let folder = monitor(&home);
    let before = contents(&folder);
    ok(home.run(&["import", "monitor", "--quiet-for", "0s", "--dry-run"]));
    assert!(!home.spool().exists());
    let report = import(&home);
    assert_eq!(
        (&report["schema"], report["imported"].as_array().unwrap().len()),
        (&"rec.import/1".into(), 4),
        "{report}"
    );
    assert_eq!((report["refused"].as_array().unwrap().len(), &report["already"]), (0, &0.into()), "{report}");
    assert_eq!(contents(&folder), before);
    let show = |word: &str| home.json(&["show", word])["manifest"].clone();
    let out = show("1704190272.12");
    assert_eq!((&out["from"], &out["to"], &out["direction"]), (&"1001".into(), &"4178575309".into(), &"out".into()));
    assert_eq!((&out["agent"], &out["started"]), (&"1001".into(), &"2024-01-02T10:11:12Z".into()));
    assert_eq!((&out["audio"]["duration_s"], &out["file"]), (&1.0.into(), &OUT.into()));
    assert_eq!(std::fs::read(home.spool().join(OUT)).unwrap(), before[&folder.join(OUT)]);
    let pair = show("1704193872.13");
    assert_eq!((&pair["audio"]["channels"], &pair["audio"]["frames"]), (&2.into(), &100.into()));
    let sides: Vec<i16> = [5, 7].repeat(60).into_iter().chain([5, 0].repeat(40)).collect();
    assert_eq!(std::fs::read(home.spool().join(pair["file"].as_str().unwrap())).unwrap(), wav(2, &sides));
    assert_eq!(std::fs::read(home.spool().join("dead.wav")).unwrap(), wav(1, &[3; 500]), "mended in the copy");
    assert_eq!(show("1704190273.14")["audio"]["duration_s"], 1.0);
    ok(home.run(&["push", "-q"]));
    assert_eq!(home.json(&["status"])["waiting"], 0);
    ok(home.run(&["export", "1704190273.14", "-o", "gsm.flac"]));
}

#[test]
fn what_was_kept_as_it_came_elsewhere_is_imported_as_it_is() {
    let home = Home::with_folder();
    let kept = super::export::in_g722();
    let opus = include_bytes!("../data/sounds/high.opus");
    std::fs::create_dir(home.path().join("monitor")).unwrap();
    std::fs::write(home.path().join("monitor/wide.mka"), &kept).unwrap();
    std::fs::write(home.path().join("monitor/high.opus"), opus).unwrap();
    assert_eq!(import(&home)["imported"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read(home.spool().join("wide.mka")).unwrap(), kept);
    let audio = |name: &str| home.json(&["show", name])["manifest"]["audio"].clone();
    let [wide, high] = ["wide.mka", "high.opus"].map(audio);
    assert_eq!((&wide["format"], &wide["rate_hz"], &wide["frames"]), (&"g722".into(), &16_000.into(), &16_000.into()));
    assert_eq!((&high["format"], &high["rate_hz"]), (&"opus".into(), &48_000.into()));
    ok(home.run(&["push", "-q"]));
    ok(home.run(&["verify", "-q", "--deep"]));
}

#[test]
fn the_same_sound_is_imported_once_whatever_it_is_called() {
    let home = Home::with_folder();
    let folder = monitor(&home);
    import(&home);
    let again = import(&home);
    assert_eq!((again["imported"].as_array().unwrap().len(), &again["already"]), (0, &4.into()), "{again}");
    std::fs::rename(folder.join(OUT), folder.join("another name.wav")).unwrap();
    std::fs::remove_file(home.spool().join(".imported")).unwrap();
    assert_eq!(import(&home)["already"], 4, "known by their content, without the list of files");
    assert_eq!(home.json(&["ls"])["recordings"].as_array().unwrap().len(), 4);
}

#[test]
fn what_a_killed_import_has_left_behind_is_taken_and_not_copied_again() {
    let home = Home::with_folder();
    let folder = monitor(&home);
    ok(home.run(&["import", "monitor"]));
    std::fs::create_dir_all(home.spool().join("2024/01/02")).unwrap();
    std::fs::copy(folder.join(OUT), home.spool().join(OUT)).unwrap();
    assert_eq!(import(&home)["imported"].as_array().unwrap().len(), 4);
    assert_eq!(home.json(&["show", "1704190272.12"])["manifest"]["file"], OUT);
    ok(home.run(&["push", "-q"]));
    ok(home.run(&["verify", "-q", "--deep"]));
}

#[test]
fn what_is_being_written_is_left_for_the_next_time() {
    let home = Home::with_folder();
    let folder = monitor(&home);
    let usual = home.json(&["import", "monitor"]);
    assert_eq!(usual["later"].as_array().unwrap().len(), 5, "written within the last minute: {usual}");
    let open = std::fs::File::options().append(true).open(folder.join("dead.WAV")).unwrap();
    assert_eq!(import(&home)["later"], serde_json::json!(["monitor/dead.WAV"]));
    drop(open);
    // A program that another test is just starting may have it open for a moment still.
    let since = Instant::now();
    let imported = loop {
        match import(&home)["imported"].as_array().unwrap().len() {
            0 => assert!(since.elapsed() < PATIENCE, "it is still open"),
            some => break some,
        }
    };
    assert_eq!(imported, 1);
}

#[test]
fn what_is_no_sound_is_named_and_the_rest_is_taken() {
    let home = Home::with_folder();
    let folder = monitor(&home);
    std::fs::write(folder.join("a.wav"), "junk").unwrap();
    std::fs::write(folder.join("b.mp3"), "").unwrap();
    let words = ["import", "-q", "monitor", "--quiet-for", "0s"];
    fails(&home.run(&words), 6, "monitor/a.wav: it is no sound file");
    let again = home.run(&words);
    assert_eq!((again.status.code(), again.stderr.len()), (Some(0), 0), "told of once: {again:?}");
    let report = import(&home);
    assert_eq!(
        (report["refused"].as_array().unwrap().len(), report["refused_before"].as_array().unwrap().len()),
        (0, 2)
    );
    fails(&home.run(&["import", "-q", "monitor", "--quiet-for", "0s", "--again"]), 6, "monitor/a.wav");
    std::fs::write(folder.join("a.wav"), "other junk").unwrap();
    fails(&home.run(&words), 6, "monitor/a.wav");
    assert_eq!(home.json(&["ls"])["recordings"].as_array().unwrap().len(), 4);
    assert!(
        home.spool().read_dir().unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().ends_with(".part"))
    );
    let ledger: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.spool().join(".imported")).unwrap()).unwrap();
    assert_eq!(ledger.as_object().unwrap().len(), 7, "five that are imported are still known beside two refused");
    fails(&home.run(&["import", "nowhere"]), 3, "nowhere");
    fails(&home.run(&["import", "--in-place", "monitor"]), 2, "does not lie within the spool");
}

#[test]
fn a_list_of_what_is_imported_that_cannot_be_read_is_told_of_and_left_as_it_is() {
    let home = Home::with_folder();
    monitor(&home);
    assert_eq!(import(&home)["imported"].as_array().unwrap().len(), 4);
    let list = home.spool().join(".imported");
    std::fs::write(&list, "{").unwrap();
    let failed = home.run(&["import", "-q", "monitor", "--quiet-for", "0s"]);
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stderr).contains(".imported"), "{failed:?}");
    assert_eq!(std::fs::read(&list).unwrap(), b"{");
}

#[test]
fn a_folder_of_the_spool_is_imported_in_place() {
    let home = Home::with_folder();
    home.recording("1001", "2001");
    monitor(&home);
    std::fs::rename(home.path().join("monitor"), home.spool().join("monitor")).unwrap();
    let folder = home.spool().join("monitor");
    let words = ["import", "--in-place", folder.to_str().unwrap(), "--quiet-for", "0s"];
    assert_eq!(home.json(&words)["imported"].as_array().unwrap().len(), 4);
    assert_eq!(home.json(&["show", "1704190272.12"])["manifest"]["file"], format!("monitor/{OUT}"));
    ok(home.run(&["push", "-q"]));
    let again = home.json(&words);
    assert_eq!((&again["already"], again["imported"].as_array().unwrap().len()), (&5.into(), 0), "{again}");
    assert_eq!(
        home.json(&["ls"])["recordings"].as_array().unwrap().len(),
        5,
        "the joined one is not taken for another"
    );
}

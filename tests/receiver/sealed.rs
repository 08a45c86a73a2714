//! Sealed recordings: what this machine writes and cannot read, opened by another program (age), delivered, served, shredded.

use std::io::Write as _;
use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use wirechief::outbox::Manifest;
use wirechief::outbox::seal::{self, Recipients, SealError};

use crate::receiver::stage::{Stage, private, wav};

fn to(identity: &Identity) -> Recipients {
    Recipients::parse(&identity.to_public().to_string()).unwrap()
}

/// A finished recording of these bytes, sealed as it is finished.
fn sealed(stage: &Stage, name: &str, bytes: &[u8], recipients: &Recipients) -> Manifest {
    let begun = stage.outbox.begin(&Manifest::new(name, "2026-11-20T21:00:00Z".parse().unwrap())).unwrap();
    private(&stage.spool(&begun.file), bytes);
    stage.outbox.finish_sealed(begun, recipients).unwrap()
}

fn opened(stage: &Stage, manifest: &Manifest, identity: &Identity) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::new();
    let identity = std::slice::from_ref(identity);
    seal::open(stage.outbox.spool(), (manifest, &manifest.file), identity, &mut out).map(|()| out)
}

/// Bits of information in a byte of it.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let share = |count: u32| f64::from(count) / bytes.len() as f64;
    counts.into_iter().filter(|count| *count > 0).map(|count| -share(count) * share(count).log2()).sum()
}

#[tokio::test]
async fn r10_a_sealed_recording_is_clear_nowhere_and_opens_for_its_recipients_alone() {
    let stage = Stage::new().await;
    let (one, two, stranger) = (Identity::generate(), Identity::generate(), Identity::generate());
    let both = Recipients::parse(&format!("# two of them\n{}\n{}\n", one.to_public(), two.to_public())).unwrap();
    let sound = wav(5_000);
    let manifest = sealed(&stage, "day/call.wav", &sound, &both);
    assert_eq!(manifest.file, "day/call.age");
    assert_eq!(stage.outbox.spool().names().unwrap(), ["day/call.age", "day/call.age-key", "day/call.json"]);
    for name in stage.outbox.spool().names().unwrap() {
        let path = stage.spool(&name);
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777, 0o600, "{name}");
    }
    let body = std::fs::read(stage.spool("day/call.age")).unwrap();
    assert!(entropy(&body) > 7.9, "{}", entropy(&body));
    assert!(!body.windows(4).any(|four| four == b"WAVE" || four == b"RIFF"));
    assert_eq!(
        (opened(&stage, &manifest, &one).unwrap(), opened(&stage, &manifest, &two).unwrap()),
        (sound.clone(), sound)
    );
    assert!(matches!(opened(&stage, &manifest, &stranger), Err(SealError::Age { .. })));
    let clear = &manifest.sealed.as_ref().unwrap().extra["clear"][0];
    assert_eq!((clear["file"].as_str(), clear["bytes"].as_u64()), (Some("day/call.wav"), Some(80_044)));
    assert_ne!(clear["sha256"].as_str(), Some(manifest.audio.sha256.as_str()), "the hashes of both");
}

#[tokio::test]
async fn another_program_opens_what_is_sealed_here() {
    if Command::new("age").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "age is mandatory here");
        return;
    }
    let stage = Stage::new().await;
    let identity = Identity::generate();
    let sound = wav(20_000);
    let manifest = sealed(&stage, "call.wav", &sound, &to(&identity));
    let key_file = stage.folder.path().join("identity.txt");
    private(&key_file, identity.to_string().expose_secret().as_bytes());
    let whole =
        [std::fs::read(stage.spool("call.age-key")).unwrap(), std::fs::read(stage.spool("call.age")).unwrap()].concat();
    let downloaded = stage.get(&format!("/recordings/{}", manifest.id)).await;
    assert_eq!((downloaded.status, downloaded.body == whole), (200, true), "a download is the whole age file");
    assert_eq!(
        stage.with_headers(&format!("/recordings/{}", manifest.id), "Range: bytes=100-300\r\n").await.body,
        whole[100..=300]
    );
    let mut child = Command::new("age")
        .arg("-d")
        .arg("-i")
        .arg(&key_file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || drop(input.write_all(&whole)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success() && output.stdout == sound);
}

#[tokio::test]
async fn what_was_shredded_is_read_by_nobody() {
    let stage = Stage::new().await;
    let identity = Identity::generate();
    let manifest = sealed(&stage, "call.wav", &wav(1_000), &to(&identity));
    let back_up = std::fs::read(stage.spool("call.age")).unwrap();
    let held = std::fs::File::open(stage.spool("call.age-key")).unwrap();
    let shredded = stage.outbox.shred(manifest.id).unwrap();
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &held, &mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0), "overwritten, not only unlinked");
    assert!(!stage.spool("call.age-key").exists() && back_up == std::fs::read(stage.spool("call.age")).unwrap());
    assert!(shredded.sealed.as_ref().unwrap().extra.contains_key("shredded"));
    assert!(matches!(opened(&stage, &shredded, &identity), Err(SealError::Shredded(_))));
    assert!(age::decrypt(&identity, &back_up).is_err(), "its body alone is nothing");
    assert_eq!(stage.get(&format!("/recordings/{}", manifest.id)).await.status, 410);
    let queue = std::fs::read(stage.spool("outbox.sqlite3")).unwrap();
    let log = std::fs::read(stage.spool("outbox.sqlite3-wal")).unwrap_or_default();
    let stanza = b"-> X25519";
    assert!(
        ![queue, log].iter().any(|bytes| bytes.windows(stanza.len()).any(|some| some == stanza)),
        "no copy of the key"
    );
}

#[tokio::test]
async fn a_changed_or_foreign_body_is_not_taken_for_the_recording() {
    let stage = Stage::new().await;
    let identity = Identity::generate();
    let manifest = sealed(&stage, "a.wav", &wav(500), &to(&identity));
    let mut body = std::fs::read(stage.spool("a.age")).unwrap();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    private(&stage.spool("a.age"), &body);
    assert!(opened(&stage, &manifest, &identity).is_err());
    let other = sealed(&stage, "b.wav", &wav(500), &to(&identity));
    for ending in ["age", "age-key"] {
        std::fs::copy(stage.spool(&format!("b.{ending}")), stage.spool(&format!("a.{ending}"))).unwrap();
    }
    assert!(opened(&stage, &other, &identity).is_ok());
    let third = sealed(&stage, "c.wav", &wav(700), &to(&identity));
    for ending in ["age", "age-key"] {
        std::fs::copy(stage.spool(&format!("b.{ending}")), stage.spool(&format!("c.{ending}"))).unwrap();
    }
    assert!(matches!(opened(&stage, &third, &identity), Err(SealError::Changed(_))), "another recording's");
}

#[tokio::test]
async fn what_is_finished_can_be_sealed_and_a_crash_half_way_is_mended() {
    let stage = Stage::new().await;
    let identity = Identity::generate();
    let clear = stage.record("call.wav", &wav(300));
    assert!(matches!(stage.outbox.seal(clear.id, &Recipients::default()), Err(SealError::Nobody)));
    let sealed = stage.outbox.seal(clear.id, &to(&identity)).unwrap();
    assert!(matches!(stage.outbox.seal(clear.id, &to(&identity)), Err(SealError::Already(_))));
    assert_eq!(opened(&stage, &sealed, &identity).unwrap(), wav(300));
    assert_eq!(stage.outbox.listed(clear.id).unwrap().unwrap().file.as_deref(), Some("call.age"));
    // killed between the row and the removal
    private(&stage.spool("call.wav"), &wav(300));
    assert_eq!(stage.outbox.drop_clear_files().unwrap(), 1);
    assert!(!stage.spool("call.wav").exists() && stage.outbox.drop_clear_files().unwrap() == 0);
    // an open recording whose sealing was cut short is sealed again
    let begun = stage.outbox.begin(&Manifest::new("late.wav", "2026-11-20T21:00:00Z".parse().unwrap())).unwrap();
    private(&stage.spool("late.wav"), &wav(100));
    seal::seal(stage.outbox.spool(), &begun, &to(&identity)).unwrap();
    let late = stage.outbox.finish_sealed(begun, &to(&identity)).unwrap();
    assert_eq!(opened(&stage, &late, &identity).unwrap(), wav(100));
}

#[tokio::test]
async fn a_renamed_or_removed_recording_takes_its_key_along() {
    let stage = Stage::new().await;
    let identity = Identity::generate();
    let manifest = sealed(&stage, "call.wav", &wav(100), &to(&identity));
    let renamed = stage.outbox.rename(manifest.id, "new/name").unwrap();
    assert_eq!(stage.outbox.spool().names().unwrap(), ["new/name.age", "new/name.age-key", "new/name.json"]);
    assert_eq!(opened(&stage, &renamed, &identity).unwrap(), wav(100));
    stage.outbox.forget(manifest.id, wirechief::outbox::Undelivered::Removed).unwrap();
    assert_eq!(stage.outbox.spool().names().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_recording_is_pushed_with_its_wrapped_key_and_opens_at_the_other_end() {
    let (pbx, crm) = (Stage::new().await, Stage::new().await);
    let identity = Identity::generate();
    pbx.outbox.set_remotes(&["crm"]).unwrap();
    let manifest = sealed(&pbx, "call.wav", &wav(2_000), &to(&identity));
    let path = pbx.folder.path().join("pbx.toml");
    std::fs::write(
        &path,
        format!("[remotes.crm]\nurl = \"http://{}/api/recordings\"\ntoken_file = \"token\"\n", crm.address),
    )
    .unwrap();
    let config = wirechief::config::load(&[path], &|path| std::fs::read_to_string(path)).unwrap();
    let remotes = wirechief::outbox::remote::remotes(config.remotes.values()).unwrap();
    let summary = wirechief::outbox::push::run(&pbx.outbox, &remotes, &Default::default(), &()).await.unwrap();
    assert_eq!(summary.verdict(), wirechief::outbox::push::Verdict::Done, "{summary:?}");
    let there = crm.outbox.get(manifest.id).unwrap().unwrap();
    assert_eq!(opened(&crm, &there, &identity).unwrap(), wav(2_000));
    assert!(!there.sealed.unwrap().extra.contains_key("keys"), "it lies apart there too");
    let page = crm.get("/").await;
    assert!(page.text().contains("<td>sealed</td>"));
}

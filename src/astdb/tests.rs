//! The store as a whole, on real files.

use std::path::Path;

use super::*;

mod damage;
mod nonces;

fn setup(folder: &Path) -> Setup {
    Setup::new(folder.join("astdb.sqlite3"), folder.join("astdb.key"), "test")
}

fn store(folder: &Path) -> Store {
    Store::new(setup(folder))
}

fn text(store: &Store, family: &str, key: &str) -> Option<String> {
    store.get(family, key).unwrap().map(|value| value.text().into_owned())
}

#[test]
fn what_is_put_is_read_by_this_and_every_other_process() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (store(folder.path()), store(folder.path()));
    assert_eq!(text(&ours, "pin", "100"), None);
    ours.put_blocking("pin", "100", "1234").unwrap();
    assert_eq!(text(&ours, "pin", "100").as_deref(), Some("1234"));
    assert_eq!(text(&theirs, "pin", "100").as_deref(), Some("1234"));
    theirs.put_blocking("pin", "100", "4321").unwrap();
    assert_eq!(text(&ours, "pin", "100").as_deref(), Some("4321"));
    assert_eq!(theirs.del_blocking("pin", "100").unwrap().old.unwrap().text(), "4321");
    assert_eq!(text(&ours, "pin", "100"), None);
    assert!(!ours.del_blocking("pin", "100").unwrap().existed);
}

#[test]
fn lists_are_in_asterisks_order_and_trees_end_at_a_slash() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    for (family, key) in [("pin", "sub/7"), ("pinx", "1"), ("pin", "100"), ("pin", ""), ("pin", "sub"), ("pin.x", "1")]
    {
        store.put_blocking(family, key, "v").unwrap();
    }
    let listed = |select: Select| {
        let mut names = Vec::new();
        let count = store.list(&select, Detail::Values, &mut |entry| {
            assert_eq!(entry.value.unwrap().unwrap().text(), "v");
            names.push(format!("/{}/{}", entry.family, entry.key));
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(count.unwrap(), names.len() as u64);
        names
    };
    let all = ["/pin.x/1", "/pin/", "/pin/100", "/pin/sub", "/pin/sub/7", "/pinx/1"];
    assert_eq!(listed(Select::All), all);
    assert_eq!(listed(Select::Family("pin".into())), all[1..5]);
    assert_eq!(listed(Select::Tree("pin".into(), "sub".into())), all[3..5]);
    assert_eq!(listed(Select::LastPart("1".into())), ["/pin.x/1", "/pinx/1"]);
    assert_eq!(store.families().unwrap(), ["pin.x", "pin", "pinx"]);
    assert_eq!(store.keys("pin").unwrap(), ["", "100", "sub", "sub/7"]);
    assert_eq!(store.deltree_blocking("pin", Some("sub")).unwrap(), 2);
    assert_eq!(store.count(&Select::Family("pin".into())).unwrap(), 2);
    assert_eq!(store.deltree_blocking("pin", None).unwrap(), 2);
    assert_eq!(store.count(&Select::All).unwrap(), 2);
}

#[test]
fn hidden_names_are_nowhere_in_the_files_and_still_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(Setup { names: NameMode::Hidden, ..setup(folder.path()) });
    store.put_blocking("secretfamily", "secretkey", "secretvalue").unwrap();
    store.put_blocking("secretfamily", "another", "secretvalue").unwrap();
    assert_eq!(text(&store, "secretfamily", "secretkey").as_deref(), Some("secretvalue"));
    assert_eq!(store.keys("secretfamily").unwrap(), ["another", "secretkey"]);
    assert_eq!(store.families().unwrap(), ["secretfamily"]);
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for word in [&b"secretfamily"[..], b"secretkey", b"another", b"secretvalue"] {
            assert!(!bytes.windows(word.len()).any(|part| part == word));
        }
    }
    assert_eq!(store.deltree_blocking("secretfamily", None).unwrap(), 2);
}

#[test]
fn without_the_key_there_are_names_but_no_values() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).put_blocking("pin", "100", "1234").unwrap();
    let locked = Store::new(Setup { keys: KeySource::None, ..setup(folder.path()) });
    assert_eq!(locked.keys("pin").unwrap(), ["100"]);
    assert!(matches!(locked.get("pin", "100"), Err(StoreError::NoKey { .. })));
    assert!(matches!(locked.put_blocking("pin", "100", "5"), Err(StoreError::NoKey { .. })));
    let other = tempfile::tempdir().unwrap();
    store(other.path()).put_blocking("pin", "100", "1234").unwrap();
    let wrong = Setup::new(folder.path().join("astdb.sqlite3"), other.path().join("astdb.key"), "test");
    assert!(matches!(Store::new(wrong).get("pin", "100"), Err(StoreError::WrongKey { .. })));
}

#[tokio::test]
async fn many_callers_share_commits_and_each_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let puts: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.put("load", &n.to_string(), "x").await })
        })
        .collect();
    for put in puts {
        put.await.unwrap().unwrap();
    }
    assert_eq!(store.count(&Select::All).unwrap(), 200);
    let counted = |old: Option<&Value>| {
        let count: u32 = old.map_or(0, |old| old.text().parse().unwrap_or(0));
        Some(Value::from((count + 1).to_string().as_str()))
    };
    for _ in 0..3 {
        store.update("count", "x", counted).await.unwrap();
    }
    assert_eq!(text(&store, "count", "x").as_deref(), Some("3"));
}

#[tokio::test]
async fn who_may_wait_and_writes_alone_commits_in_its_own_thread_and_a_task_never_does() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (seen, ours) = (std::sync::Arc::new(std::sync::Mutex::default()), std::thread::current().id());
    let at = || {
        let seen = std::sync::Arc::clone(&seen);
        move |_: Option<&Value>| {
            *seen.lock().unwrap() = Some(std::thread::current().id());
            Some(Value::from("x"))
        }
    };
    let writer = || seen.lock().unwrap().take().unwrap();
    store.update_blocking("count", "x", at()).unwrap();
    assert_eq!(writer(), ours);
    store.update("count", "x", at()).await.unwrap();
    assert_ne!(writer(), ours, "the tasks beside it go on while the disk is waited for");
    store.update_blocking("count", "x", at()).unwrap();
    assert_eq!(writer(), ours);
    assert_eq!(verified(&store), [""; 0]);
}

#[test]
fn threads_and_tasks_that_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let up = |old: Option<&Value>| {
        let count: u32 = old.map_or(0, |old| old.text().parse().unwrap());
        Some(Value::from((count + 1).to_string()))
    };
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for _ in 0..25 {
                    if caller % 2 == 0 {
                        store.update_blocking("count", "x", up).unwrap();
                    } else {
                        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                        runtime.block_on(store.update("count", "x", up)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(text(&store, "count", "x").as_deref(), Some("200"));
    assert_eq!(verified(&store), [""; 0]);
}

fn verified(store: &Store) -> Vec<String> {
    store.verify().unwrap().problems.iter().map(ToString::to_string).collect()
}

/// Runs SQL on the file behind the store's back.
fn tamper(folder: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(folder.join("astdb.sqlite3")).unwrap();
    conn.execute_batch(sql).unwrap();
}

#[test]
fn the_history_tells_who_changed_what_and_what_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store.put_blocking("pin", "100", "1").unwrap();
    store.put_blocking("pin", "100", "2").unwrap();
    store.put_blocking("pin", "101", "x").unwrap();
    store.del_blocking("pin", "100").unwrap();
    let mut log = Vec::new();
    store
        .log(0, (Some("pin"), Some("100")), Detail::Values, &mut |change| {
            let old = change.old.map(|old| old.unwrap().text().into_owned());
            log.push((change.sequence, change.who, change.what, old));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    let expected = [(1, "put", None), (2, "put", Some("1")), (4, "del", Some("2"))];
    let expected = expected.map(|(n, what, old)| (n, "test".to_owned(), what.to_owned(), old.map(str::to_owned)));
    assert_eq!(log, expected);
    assert_eq!(store.last_change().unwrap(), 4);
    let found = store.verify().unwrap();
    assert_eq!((found.entries, found.changes, found.problems.len()), (1, 4, 0));
}

#[test]
fn swapped_replayed_and_removed_rows_are_damage_not_values() {
    let cases: [(&str, &[&str], &[&str]); 7] = [
        // Two values change places.
        (
            "CREATE TEMP TABLE o AS SELECT * FROM entries; UPDATE entries SET value = (SELECT value FROM o WHERE o.key <> entries.key)",
            &["100", "101"],
            &[],
        ),
        (
            "UPDATE entries SET key = 'x' WHERE key = '100'; UPDATE entries SET key = '100' WHERE key = '101'",
            &["100", "101", "x"],
            &[],
        ),
        // The value before the last, as the history keeps it.
        (
            "UPDATE entries SET (version, value) = (SELECT old_version, old_value FROM history WHERE sequence = 2) WHERE key = '100'",
            &["100"],
            &["101"],
        ),
        ("DELETE FROM entries WHERE key = '100'", &["100"], &["101"]),
        ("UPDATE entries SET version = version + 1 WHERE key = '101'", &["101"], &["100"]),
        ("UPDATE entries SET family = 'pinx' WHERE key = '101'", &["101"], &["100"]),
        ("UPDATE entries SET value = substr(value, 1, 20) WHERE key = '101'", &["101"], &["100"]),
    ];
    for (sql, damaged, whole) in cases {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for (key, value) in [("100", "1111"), ("100", "2222"), ("101", "3333")] {
            store.put_blocking("pin", key, value).unwrap();
        }
        assert_eq!(text(&store, "pin", "100").as_deref(), Some("2222"));
        tamper(folder.path(), sql);
        for key in damaged {
            assert!(matches!(store.get("pin", key), Err(StoreError::Damaged { .. })), "{sql}: {key}");
        }
        for key in whole {
            assert!(store.get("pin", key).unwrap().is_some(), "{sql}: {key}");
        }
        assert!(!verified(&store).is_empty(), "{sql}");
    }
}

#[test]
fn a_changed_cut_or_reordered_history_is_found() {
    for sql in [
        "UPDATE history SET who = 'nobody' WHERE sequence = 2",
        "UPDATE history SET at_ms = at_ms + 1 WHERE sequence = 1",
        "DELETE FROM history WHERE sequence = 2",
        "DELETE FROM history WHERE sequence = 3",
        "UPDATE history SET link = zeroblob(32) WHERE sequence = 3",
        "UPDATE history SET old_value = zeroblob(61) WHERE sequence = 2",
        "DELETE FROM history WHERE sequence = 1; UPDATE history SET sequence = sequence - 1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for value in ["1", "2", "3"] {
            store.put_blocking("pin", "100", value).unwrap();
        }
        assert_eq!(verified(&store), Vec::<String>::new());
        tamper(folder.path(), sql);
        assert!(!verified(&store).is_empty(), "{sql}");
    }
}

#[test]
fn rotation_seals_all_anew_while_others_read_and_write() {
    for names in [NameMode::Plain, NameMode::Hidden] {
        // In memory where that is: over a thousand changes, each of which waits for the disk.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let setup = Setup { names, ..setup(folder.path()) };
        let (store, other) = (Store::new(setup.clone()), Store::new(setup.clone()));
        for n in 0..600 {
            store.put_blocking("load", &n.to_string(), n.to_string()).unwrap();
        }
        store.put_blocking("load", "7", "new").unwrap();
        assert_eq!(text(&other, "load", "8").as_deref(), Some("8"));
        let rotated = store.rotate(None).unwrap();
        assert_eq!(rotated.generation, 2);
        assert!(rotated.values >= 601, "{rotated:?}");
        other.put_blocking("load", "600", "600").unwrap();
        for n in 8..=600 {
            assert_eq!(text(&other, "load", &n.to_string()), Some(n.to_string()));
        }
        assert_eq!(text(&other, "load", "7").as_deref(), Some("new"));
        assert_eq!(verified(&Store::new(setup.clone())), Vec::<String>::new());
        let generations: Vec<_> = store.generations().unwrap().iter().map(|g| (g.number, g.current, g.here)).collect();
        assert_eq!(generations, [(2, true, true)]);
        // The old key opens nothing any more.
        let ring = KeyRing::parse(&std::fs::read_to_string(folder.path().join("astdb.key")).unwrap()).unwrap();
        assert_eq!(ring.generations().collect::<Vec<_>>(), [1, 2]);
        let newest = Store::new(Setup { keys: KeySource::Held(ring.since(2)), ..setup });
        assert_eq!(text(&newest, "load", "9").as_deref(), Some("9"));
    }
}

#[test]
fn a_store_moves_from_a_key_file_to_a_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).put_blocking("pin", "100", "1234").unwrap();
    let words = KeySource::Passphrase(crate::config::Secret::new("correct horse".into()));
    store(folder.path()).rotate(Some(&words)).unwrap();
    let with = |keys| Store::new(Setup { keys, ..setup(folder.path()) });
    assert_eq!(text(&with(words), "pin", "100").as_deref(), Some("1234"));
    assert!(store(folder.path()).get("pin", "100").is_err());
    let wrong = KeySource::Passphrase(crate::config::Secret::new("wrong".into()));
    assert!(matches!(with(wrong).get("pin", "100"), Err(StoreError::WrongKey { .. })));
}

//! The store as a whole, on real files.

use std::path::Path;

use super::*;

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

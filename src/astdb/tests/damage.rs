//! Every byte of a stored entry and of what belongs to it, changed to every other value: found by reading and by verifying.
//! The short form tries ten values a byte; `ASTDB_DAMAGE=all` all 255.

use rusqlite::Connection;

use super::*;

const VALUE: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.";

/// What a byte is changed to.
fn others(byte: u8) -> Vec<u8> {
    let all = std::env::var_os("ASTDB_DAMAGE").is_some();
    let some = [byte ^ 1, byte ^ 2, byte ^ 4, byte ^ 8, byte ^ 16, byte ^ 32, byte ^ 64, byte ^ 128, 0, 255];
    let mut others: Vec<u8> = if all { (0..=255).collect() } else { some.to_vec() };
    others.retain(|other| *other != byte);
    others
}

/// A store in memory's own folder, where there is one, with a value that was written twice and another beside it.
fn made(names: NameMode) -> (tempfile::TempDir, Store, Connection) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let store = Store::new(Setup { names, ..setup(folder.path()) });
    for (key, value) in [("100", "old"), ("near", "other"), ("100", VALUE)] {
        store.put_blocking("pin", key, value).unwrap();
    }
    let conn = Connection::open(folder.path().join("astdb.sqlite3")).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
    (folder, store, conn)
}

/// Whether the last try at a value was told to be damage, whichever way.
fn is_found(result: Result<Option<Value>, StoreError>) -> bool {
    use StoreError::{Broken, Damaged, History, WrongKey};
    match result {
        Ok(_) => false,
        Err(Damaged { .. } | Broken { .. } | History { .. } | WrongKey { .. }) => true,
        Err(other) => panic!("{other:?}"),
    }
}

fn is_found_by_verify(store: &Store) -> bool {
    match store.verify() {
        Ok(found) => !found.problems.is_empty(),
        Err(error) => is_found(Err(error)),
    }
}

/// Changes every byte of a column of one row, and looks each time; how many changes that were. `reads`: reading finds them too.
fn change_each_byte(made: (&Store, &Connection), (table, column, row): (&str, &str, &str), reads: bool) -> u32 {
    let (store, conn) = made;
    let (kind, bytes): (String, Vec<u8>) = conn
        .query_row(&format!("SELECT typeof({column}), CAST({column} AS BLOB) FROM {table} WHERE {row}"), (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    conn.execute_batch(&format!("CREATE TEMP TABLE kept AS SELECT * FROM {table}")).unwrap();
    let mut tried = 0;
    for (at, byte) in bytes.iter().enumerate() {
        for other in others(*byte) {
            let mut changed = bytes.clone();
            changed[at] = other;
            let update = format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE {row}");
            conn.execute(&update, [changed]).unwrap();
            let what = format!("{table}.{column} byte {at}: {byte} to {other}");
            if reads {
                assert!(is_found(store.get("pin", "100")), "{what}: read");
                // Nor does a process that has read nothing yet.
                assert!(is_found(Store::new(store.setup().clone()).get("pin", "100")), "{what}: read anew");
            }
            assert!(is_found_by_verify(store), "{what}: verified");
            conn.execute_batch(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept")).unwrap();
            tried += 1;
        }
    }
    conn.execute_batch("DROP TABLE kept").unwrap();
    assert_eq!(text(store, "pin", "100").as_deref(), Some(VALUE), "it is as it was");
    assert_eq!(verified(store), Vec::<String>::new());
    tried
}

#[test]
fn every_changed_byte_of_a_value_its_nonce_tag_generation_and_names_is_found() {
    let (_folder, store, conn) = made(NameMode::Plain);
    let row = "key = '100'";
    let sealed: i64 =
        conn.query_row("SELECT length(value) FROM entries WHERE key = '100'", (), |row| row.get(0)).unwrap();
    assert_eq!(sealed, 5 + 24 + 80 + 16, "form and generation, nonce, 64 bytes filled up, tag");
    let mut tried = 0;
    for column in ["value", "family", "key"] {
        tried += change_each_byte((&store, &conn), ("entries", column, row), true);
    }
    println!("{tried} changes of an entry, all found");
}

#[test]
fn every_changed_byte_of_the_stores_own_secrets_and_of_hidden_names_is_found() {
    let (_folder, store, conn) = made(NameMode::Plain);
    change_each_byte((&store, &conn), ("generations", "secrets", "generation = 1"), false);
    change_each_byte((&store, &conn), ("store", "id", "only = 1"), false);
    let (_folder, store, conn) = made(NameMode::Hidden);
    let row = "version = 3";
    for column in ["value", "family", "key"] {
        change_each_byte((&store, &conn), ("entries", column, row), true);
    }
    change_each_byte((&store, &conn), ("entries", "name", row), false);
}

#[test]
fn every_changed_byte_of_the_history_is_found() {
    for names in [NameMode::Plain, NameMode::Hidden] {
        let (_folder, store, conn) = made(names);
        let columns: &[&str] = match names {
            NameMode::Plain => &["who", "what", "family", "key", "old_value", "link"],
            NameMode::Hidden => &["who", "what", "family", "key", "old_value", "link", "name"],
        };
        for column in columns {
            change_each_byte((&store, &conn), ("history", column, "sequence = 3"), false);
        }
    }
}

#[test]
fn numbers_and_forms_that_do_not_fit_are_found() {
    for sql in [
        "UPDATE entries SET version = 1 WHERE key = '100'",
        "UPDATE entries SET version = 4 WHERE key = '100'",
        "UPDATE entries SET version = -3 WHERE key = '100'",
        "UPDATE entries SET version = 'x' WHERE key = '100'",
        "UPDATE entries SET value = 'text' WHERE key = '100'",
        "UPDATE entries SET value = 7 WHERE key = '100'",
        "UPDATE entries SET value = x'' WHERE key = '100'",
        "UPDATE entries SET value = substr(value, 1, length(value) - 1) WHERE key = '100'",
        "UPDATE entries SET value = value || x'00' WHERE key = '100'",
        // Another family, or another key, with the value's own bytes.
        "UPDATE entries SET family = 'pinx' WHERE key = '100'",
        "INSERT INTO entries SELECT 'other', key, version, value, name FROM entries WHERE key = '100'",
        "INSERT INTO entries SELECT family, '102', version, value, name FROM entries WHERE key = '100'",
    ] {
        let (_folder, store, conn) = made(NameMode::Plain);
        conn.execute_batch(sql).unwrap();
        let read = match sql {
            _ if sql.contains("'other'") => store.get("other", "100"),
            _ if sql.contains("'102'") => store.get("pin", "102"),
            _ => store.get("pin", "100"),
        };
        assert!(is_found(read), "{sql}: read");
        assert!(is_found_by_verify(&store), "{sql}: verified");
        assert_eq!(text(&store, "pin", "near").as_deref(), Some("other"), "{sql}: no other suffers");
    }
    for sql in [
        "UPDATE store SET generation = 2",
        "UPDATE store SET generation = 0",
        "UPDATE store SET names = 'hidden'",
        "DELETE FROM generations",
        "UPDATE generations SET generation = 2",
        "DELETE FROM store",
        "UPDATE history SET old_version = 2 WHERE sequence = 3",
        "UPDATE history SET old_version = 0 WHERE sequence = 3",
        "UPDATE history SET old_value = NULL WHERE sequence = 3",
        "UPDATE history SET old_value = NULL, old_version = 0 WHERE sequence = 3",
        "UPDATE history SET old_value = (SELECT value FROM entries WHERE key = 'near') WHERE sequence = 3",
        "UPDATE history SET old_value = (SELECT value FROM entries WHERE key = 'near') WHERE sequence = 2",
        "UPDATE history SET at_ms = 'x' WHERE sequence = 2",
        "UPDATE history SET sequence = 4 WHERE sequence = 3",
        "UPDATE history SET sequence = 0 WHERE sequence = 1",
        // Two changes change places.
        "UPDATE history SET sequence = 9 WHERE sequence = 2; UPDATE history SET sequence = 2 WHERE sequence = 1;
         UPDATE history SET sequence = 1 WHERE sequence = 9",
        "DELETE FROM history",
        "DELETE FROM history WHERE sequence = 3",
        "DELETE FROM history WHERE key = 'near'; DELETE FROM entries WHERE key = 'near'",
        "INSERT INTO history SELECT 4, at_ms, who, what, family, key, name, old_version, old_value, link FROM history WHERE sequence = 3",
    ] {
        let (_folder, store, conn) = made(NameMode::Plain);
        conn.execute_batch(sql).unwrap();
        assert!(is_found_by_verify(&store), "{sql}");
    }
}

/// Copies the file of a store, with its log folded in.
fn copied(store: &Store, folder: &tempfile::TempDir) -> String {
    let copy = folder.path().join("copy");
    store.backup(&copy).unwrap();
    copy.to_str().unwrap().to_owned()
}

#[test]
fn rows_from_an_older_copy_are_found_and_a_whole_older_copy_is_not() {
    for names in [NameMode::Plain, NameMode::Hidden] {
        let (folder, store, conn) = made(names);
        let copy = copied(&store, &folder);
        store.put_blocking("pin", "100", "newest").unwrap();
        store.del_blocking("pin", "near").unwrap();
        let attach = format!("ATTACH '{copy}' AS copy");
        conn.execute_batch(&attach).unwrap();
        conn.execute_batch("DELETE FROM entries; INSERT INTO entries SELECT * FROM copy.entries").unwrap();
        assert!(is_found(store.get("pin", "100")), "an older value comes back");
        assert!(is_found(store.get("pin", "near")), "a removed one comes back");
        assert!(is_found_by_verify(&store));
        // With the history, it is the older copy: nothing outside the file tells it from the right one, as the manual says.
        conn.execute_batch("DELETE FROM history; INSERT INTO history SELECT * FROM copy.history").unwrap();
        assert_eq!(text(&store, "pin", "100").as_deref(), Some(VALUE));
        assert_eq!(verified(&store), Vec::<String>::new());
    }
}

//! What files of SQLite need whoever owns them: a log of their own that several processes may give them at once, and a look at whose
//! they are as of one moment. Above: `astdb`, `outbox`. Below: SQLite.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction};

/// Gives an empty file its log. While another process does so at the same moment SQLite says that the file is busy without waiting
/// for it, lest both wait for each other: that is waited for here, `patience` at most.
///
/// # Errors
///
/// What SQLite says.
pub fn write_ahead(conn: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let until = Instant::now() + patience;
    loop {
        match conn.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

/// What a file says about itself.
pub struct Head {
    /// `PRAGMA application_id`: whose it is.
    pub application: i64,
    /// `PRAGMA user_version`: of which form it is.
    pub form: i64,
    /// Tables, indexes and the rest.
    pub tables: i64,
}

impl Head {
    /// Reads it, all of one [`moment`] where the caller holds one.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let number = |sql| conn.query_row(sql, (), |row| row.get(0));
        Ok(Self {
            application: number("PRAGMA application_id")?,
            form: number("PRAGMA user_version")?,
            tables: number("SELECT count(*) FROM sqlite_schema")?,
        })
    }
}

/// Everything read while this lives is of one moment: another process may just be making the file. `None`: a transaction is open
/// already.
///
/// # Errors
///
/// What SQLite says.
pub fn moment(conn: &Connection) -> rusqlite::Result<Option<Transaction<'_>>> {
    if conn.is_autocommit() { Ok(Some(conn.unchecked_transaction()?)) } else { Ok(None) }
}

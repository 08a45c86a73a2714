//! The two pages of document 002 made safe: recordings listed, played and downloaded; and recordings taken in from other machines.
//!
//! Above: `rec serve` opens a [`Receiver`] and serves it on a listener. Below: [`crate::outbox`] knows the recordings.
//!
//! | way | who | what |
//! |---|---|---|
//! | `GET /`, `/call_index.htm` | login | the page: search, players, links |
//! | `GET /download.php?call=NAME` | login | a file by its name: mp3, wav, gsm |
//! | `GET /recordings/ID` | login | a file by its recording's id, `ID.2` for a further part; with `?play=1` as browsers play it |
//! | `GET /r/ID?expires=…&sig=…` | whoever has the link | the same |
//! | `POST /api/recordings`, `PUT /api/recordings/KEY` | token or signature | a recording is delivered, see `intake` |
//! | `GET /api/recordings/KEY` | token or signature | the receipt of a recording that was delivered |
//! | `/api/uploads` | token or signature | a recording is delivered in pieces (tus), see `uploads` |
//! | `POST /api/notices` | token or signature | a recording is told of, and fetched, see `notice` |
//! | `POST /api/receipts` | token or signature | a remote that was told of a recording has it, see `receipts` |
//!
//! A login is HTTP's Basic scheme with the users' file, or the token to read with as `Authorization: Bearer`. The token to deliver with
//! opens no page, so that a CRM's password is not one for its neighbours' recordings. A user with words behind the
//! password's hash sees only recordings with one of these as agent, as a party's user, as one of their groups, or as trunk; all
//! others are not there for him. Nothing is found but what the outbox has, nothing is opened but below the spool and through no
//! link, nothing leaves that is not what its name says, and each answer is put on record first.

mod answer;
mod audit;
mod connect;
mod desk;
mod disposition;
mod download;
mod error;
mod filing;
mod guard;
mod intake;
mod kind;
mod links;
mod login;
mod metered;
mod notice;
mod page;
mod pages;
mod playable;
mod range;
mod receipts;
mod signed;
mod space;
mod uploads;
mod users;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::routing::{any, get, post};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use desk::Desk;
pub use desk::{Setup, entry};
pub use error::ReceiverError;
pub use links::key as link_key;
pub use page::{Entry, Page, encoded, html};
pub use receipts::Told;
pub use users::with_user;

/// A server of recordings, ready to serve.
pub struct Receiver {
    desk: Arc<Desk>,
    tls: Option<TlsAcceptor>,
}

impl Receiver {
    /// Opens the outbox, reads users, keys and certificates; blocks for the disk.
    ///
    /// # Errors
    /// One of these cannot be read or is open to others; or its address is reached by other machines, and TLS or a login is missing.
    pub fn open(setup: Setup) -> Result<Self, ReceiverError> {
        let bind = setup.settings.bind;
        let tls = match (&setup.settings.tls_certificate, &setup.settings.tls_key) {
            (Some(certificate), Some(key)) => Some(connect::acceptor(certificate, key)?),
            _ => None,
        };
        let desk = Desk::open(setup)?;
        if !bind.ip().is_loopback() {
            if tls.is_none() {
                return Err(ReceiverError::Plain(bind));
            }
            if !desk.gate.has_logins() {
                return Err(ReceiverError::Anybody(bind));
            }
        }
        Ok(Self { desk: Arc::new(desk), tls })
    }

    /// Whether anybody can log in to read; else only signed links are answered.
    pub fn has_readers(&self) -> bool {
        self.desk.gate.has_readers()
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Serves until `stop`, and lets what is under way end.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let app = Router::new()
            .route("/", get(pages::index))
            .route("/call_index.htm", get(pages::index))
            .route("/download.php", get(pages::by_name))
            .route("/recordings/{id}", get(pages::by_id))
            .route("/r/{id}", get(pages::by_link))
            .route("/api/recordings", post(intake::deliver).put(intake::deliver))
            .route("/api/recordings/{key}", get(intake::look_up).put(intake::deliver))
            .route("/api/uploads", any(uploads::all))
            .route("/api/uploads/{id}", any(uploads::one))
            .route("/api/notices", post(notice::notice))
            .route("/api/receipts", post(receipts::receipt))
            // each handler has its own limits
            .layer(DefaultBodyLimit::disable())
            .fallback(async || answer::missing())
            .layer(map_response(async |response| answer::guarded(response)))
            .with_state(Arc::clone(&self.desk));
        tokio::select! {
            () = connect::serve(listener, app, self.tls, stop) => {}
            () = uploads::sweep(self.desk) => {}
        }
    }
}

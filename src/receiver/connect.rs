//! Connections: accepted in bounded number, wrapped in TLS where it is set, spoken to in HTTP/1.1 with limits on everything, ended
//! gracefully. Above: `Receiver::serve`. Below: hyper.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::error::ReceiverError;
use super::guard::Guarded;

/// Connections at once, and from one address.
const CONNECTIONS: usize = 512;
const CONNECTIONS_OF_ONE: usize = 64;
/// The head of a request has to be there after this time, counted from the connection or from the answer before.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// TLS has to be agreed on after this time.
const TLS_TIME: Duration = Duration::from_secs(10);
/// One who does not read an answer for so long is gone.
const READ_TIME: Duration = Duration::from_secs(60);
/// What is under way when the server is told to end may take so long.
const GRACE: Duration = Duration::from_secs(30);
/// Lines of a request's head, and its bytes.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 * 1024;

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct From(pub(super) IpAddr);

/// Serves connections until `stop`, then lets those under way end.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    // Dropped by the last connection: receiving nothing proves that all have ended.
    let (alive, mut ended) = mpsc::channel::<Infallible>(1);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let sources = Arc::new(Sources::default());
    let mut stop = pin!(stop);
    loop {
        let permit = Arc::clone(&room).acquire_owned();
        let next = async { (permit.await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // no more files, a connection that is gone already: the next may do better
                tracing::warn!(%error, "no connection could be taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(seat) = sources.seat(from.ip()) else { continue };
        let held = (permit, seat, alive.clone());
        let (app, tls, stopped) = (app.clone(), tls.clone(), stopped.clone());
        tokio::spawn(async move {
            connection(stream, (app, tls), from, stopped).await;
            drop::<(OwnedSemaphorePermit, Seat, _)>(held);
        });
    }
    drop((stopping, alive));
    if timeout(GRACE, ended.recv()).await.is_err() {
        tracing::warn!("some answers were cut short");
    }
}

async fn connection(
    stream: TcpStream,
    (app, tls): (Router, Option<TlsAcceptor>),
    from: SocketAddr,
    stopped: watch::Receiver<()>,
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return speak(Guarded::new(stream, READ_TIME), app, from, stopped).await };
    match timeout(TLS_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(Guarded::new(stream, READ_TIME), app, from, stopped).await,
        Ok(Err(error)) => tracing::debug!(%error, %from, "no TLS"),
        Err(_) => tracing::debug!(%from, "no TLS in time"),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    from: SocketAddr,
    mut stopped: watch::Receiver<()>,
) {
    let service = tower_service_fn(app, from.ip().to_canonical());
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_header_size(HEAD_BYTES);
    let mut conversation = pin!(server.serve_connection(TokioIo::new(stream), service));
    let done = tokio::select! {
        done = conversation.as_mut() => done,
        _ = stopped.changed() => {
            conversation.as_mut().graceful_shutdown();
            conversation.await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, %from, "a connection ended early");
    }
}

/// The application as hyper's service, each request with the address it came from.
fn tower_service_fn(
    app: Router,
    from: IpAddr,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send + 'static,
> + Send {
    let app = TowerToHyperService::new(app);
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(From(from));
        hyper::service::Service::call(&app, request)
    })
}

/// Whom an address counts for: one who has an IPv6 address has the 2^64 of its network (RFC 4291 §2.5.1).
pub(super) fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// How many connections each address has.
#[derive(Debug, Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// One of them.
struct Seat(Arc<Sources>, IpAddr);

impl Sources {
    fn seat(self: &Arc<Self>, from: IpAddr) -> Option<Seat> {
        let from = source(from);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= CONNECTIONS_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Seat(Arc::clone(self), from))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.1);
            }
        }
    }
}

/// TLS of at least version 1.2 with a certificate chain and its key.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, ReceiverError> {
    let wrong = |path: &Path, what: String| ReceiverError::Tls { path: path.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "there is no certificate in it".to_owned()));
    }
    // read first as any secret is: a key that others may read is refused
    let text = super::users::private_text(key)?;
    let secret = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| wrong(certificate, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::*;

    /// A conversation with a page that says `here`, the other end of it, and what tells it to stop.
    fn spoken_to() -> (DuplexStream, watch::Sender<()>) {
        let (near, far) = duplex(4_096);
        let (stopping, stopped) = watch::channel(());
        let app = Router::new().route("/", axum::routing::get(async || "here"));
        let from = SocketAddr::from(([127, 0, 0, 1], 5_060));
        tokio::spawn(speak(near, app, from, stopped));
        (far, stopping)
    }

    #[test]
    fn who_has_a_network_has_no_more_connections_than_who_has_an_address() {
        let sources = Arc::new(Sources::default());
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        let seats: Vec<_> =
            (0..CONNECTIONS_OF_ONE).map(|n| sources.seat(of(&format!("2001:db8:0:1::{n:x}"))).unwrap()).collect();
        assert!(sources.seat(of("2001:db8:0:1:ffff::1")).is_none() && sources.seat(of("2001:db8:0:2::1")).is_some());
        assert!(sources.seat(of("10.0.0.1")).is_some() && source(of("::ffff:10.0.0.1")) == of("10.0.0.1"));
        drop(seats);
        assert!(sources.seat(of("2001:db8:0:1::1")).is_some() && sources.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_end_the_head_of_a_request_is_gone_after_fifteen_seconds() {
        for sent in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            let (mut far, _stopping) = spoken_to();
            let began = Instant::now();
            far.write_all(sent.as_bytes()).await.unwrap();
            far.read_to_end(&mut Vec::new()).await.unwrap();
            assert_eq!(began.elapsed().as_secs(), HEAD_TIME.as_secs(), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_comes_line_by_line_has_no_more_time_than_one_that_comes_at_once() {
        let (mut far, _stopping) = spoken_to();
        let began = Instant::now();
        let mut lines = tokio::time::interval(Duration::from_secs(4));
        far.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        loop {
            lines.tick().await;
            if far.write_all(b"X: y\r\n").await.is_err() {
                break;
            }
        }
        assert_eq!(began.elapsed().as_secs(), 16, "found out with the first line after the fifteen seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_the_next_head_begins_with_the_answer_before_it() {
        let (mut far, _stopping) = spoken_to();
        let began = Instant::now();
        let mut answer = [0; 4_096];
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(14)).await;
            far.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let read = far.read(&mut answer).await.unwrap();
            assert!(answer[..read].ends_with(b"here"));
        }
        assert_eq!(far.read(&mut answer).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), 3 * 14 + HEAD_TIME.as_secs());
    }
}

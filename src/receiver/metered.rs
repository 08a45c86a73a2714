//! A form's body, read no faster than its fields are taken: a reader of forms keeps all that comes until a field's head has ended, and
//! nothing says that it ever does. Above: `intake`. Below: axum's form, whose own limit would be one for the whole of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::Stream;

/// Bytes that went into the reader and have not come out of it as a field's.
#[derive(Debug, Default)]
pub(super) struct Kept(AtomicUsize);

/// More was kept than a form has beside its fields.
#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes without an end of a field's head")]
struct TooMuch(usize);

/// A body that is handed on piece by piece.
struct Metered {
    body: BodyDataStream,
    kept: Arc<Kept>,
    most: usize,
    /// A piece was handed on: the reader gets no other before it has looked at that one.
    rests: bool,
}

/// A field whose bytes are taken out of the reader.
pub(super) struct Drawn<S> {
    field: S,
    kept: Arc<Kept>,
}

/// The request with a body of which at most `most` bytes are kept beside its fields.
pub(super) fn metered(request: Request, most: usize) -> (Request, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let own = Arc::clone(&kept);
    let request =
        request.map(|body| Body::from_stream(Metered { body: body.into_data_stream(), kept: own, most, rests: false }));
    (request, kept)
}

impl Stream for Metered {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = match std::task::ready!(Pin::new(&mut self.body).poll_next(cx)) {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        self.rests = true;
        let before = self.kept.0.fetch_add(piece.len(), Ordering::Relaxed);
        if before > self.most {
            return Poll::Ready(Some(Err(TooMuch(self.most).into())));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

impl<S> Drawn<S> {
    pub(super) fn new(field: S, kept: &Arc<Kept>) -> Self {
        Self { field, kept: Arc::clone(kept) }
    }
}

impl<S: Stream<Item = Result<Bytes, E>> + Unpin, E> Stream for Drawn<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = std::task::ready!(Pin::new(&mut self.field).poll_next(cx));
        if let Some(Ok(piece)) = &piece {
            // what was added is never less than what comes out
            self.kept.0.fetch_sub(piece.len(), Ordering::Relaxed);
        }
        Poll::Ready(piece)
    }
}

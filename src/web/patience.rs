//! How long a form may take to come: a client that sends a byte now and then holds its request no longer than that.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::problem::Problem;
use super::serve::Limits;

/// What is announced as a file may take as long as its connection.
const FILE: &[u8] = b"multipart/form-data";

/// Answers 408 if what a request brings is not there in time, with nothing done.
pub async fn hurry(request: Request, next: Next) -> Response {
    let file = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(FILE));
    if file || request.body().is_end_stream() {
        return next.run(request).await;
    }
    let within = request.extensions().get::<Limits>().copied().unwrap_or_default().form;
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| Body::new(Hurried { body, over: Box::pin(sleep(within)), late: late.clone() }));
    let response = next.run(request).await;
    if late.load(Ordering::Relaxed) { Problem::TooSlow.into_response() } else { response }
}

/// A body that breaks off when its time is over.
struct Hurried {
    body: Body,
    over: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

impl hyper::body::Body for Hurried {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.over.as_mut().poll(context).is_ready() {
            self.late.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(axum::Error::new("it took too long"))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

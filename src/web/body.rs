//! The body of a request, whole and bounded.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};

/// So many times the longest is read and dropped. Who still sends does not read, and a connection that is closed on what
/// comes in takes our answer with it.
const DROPPED: usize = 7;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It is longer than it may be.
    TooLong,
    /// It broke off.
    Broken,
}

/// A body of at most `longest` bytes, all of which have come.
pub(super) async fn whole(headers: &HeaderMap, mut body: Body, longest: usize) -> Result<Bytes, NoBody> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let waits =
        headers.get(header::EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let dropped = longest.saturating_mul(DROPPED);
    // More than would be dropped, or nothing of it sent yet (RFC 9110 section 10.1.1).
    if announced.is_some_and(|length| length > longest + dropped || (length > longest && waits)) {
        return Err(NoBody::TooLong);
    }
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        // Trailers are nobody's words.
        let Ok(piece) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        length += piece.len();
        if length > longest + dropped {
            break;
        }
        if length <= longest {
            bytes.extend_from_slice(&piece);
        } else {
            bytes = Vec::new();
        }
    }
    if length > longest { Err(NoBody::TooLong) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_or_too_long() {
        let read = async |length: usize| whole(&HeaderMap::new(), Body::from(vec![b'x'; length]), 10).await;
        assert_eq!(read(0).await, Ok(Bytes::new()));
        assert_eq!(read(10).await.unwrap().len(), 10);
        assert_eq!(read(11).await, Err(NoBody::TooLong));
        assert_eq!(read(10 * (DROPPED + 2)).await, Err(NoBody::TooLong));
    }

    #[tokio::test]
    async fn what_is_announced_as_far_too_long_is_not_read() {
        let announced = HeaderValue::from(10 * (DROPPED + 1) + 1);
        let mut headers = HeaderMap::from_iter([(header::CONTENT_LENGTH, announced)]);
        assert_eq!(whole(&headers, Body::from("a"), 10).await, Err(NoBody::TooLong));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(11));
        assert!(whole(&headers, Body::from("a"), 10).await.is_ok());
        headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
        assert_eq!(whole(&headers, Body::from("a"), 10).await, Err(NoBody::TooLong));
    }
}

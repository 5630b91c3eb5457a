//! The body of a request, bounded.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};

/// So much of what is too long is read all the same, and thrown away: whoever still writes when the connection closes
/// does not read why (RFC 9112 section 9.6).
const MOST_DRAINED: usize = 4 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It is longer than it may be.
    TooLong,
    /// The connection broke off, or what came is no body.
    Broken,
}

/// The whole body, of at most `most` bytes.
pub(super) async fn whole(mut body: Body, most: usize) -> Result<Bytes, NoBody> {
    let mut kept = Vec::new();
    let mut drained = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        if drained == 0 && kept.len() + data.len() <= most {
            kept.extend_from_slice(&data);
            continue;
        }
        drained += data.len();
        kept = Vec::new();
        if drained > MOST_DRAINED {
            break;
        }
    }
    if drained > 0 { Err(NoBody::TooLong) } else { Ok(kept.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_or_too_long() {
        let read = async |length: usize| whole(Body::from(vec![b'x'; length]), 10).await;
        assert_eq!(read(0).await, Ok(Bytes::new()));
        assert_eq!(read(10).await.unwrap().len(), 10);
        assert_eq!(read(11).await, Err(NoBody::TooLong));
        assert_eq!(read(2 * MOST_DRAINED).await, Err(NoBody::TooLong));
    }
}

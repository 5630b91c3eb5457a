//! Recordings, whole or by range (RFC 9110 section 14): a browser asks for parts in order to seek.

use std::io::{self, SeekFrom};
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ring::digest;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// What a `Range` asks of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it: nothing else was asked, or nothing that we know; a server may always ignore the field.
    Whole,
    /// From the first byte to the last, both counted from 0 and both in it.
    Bytes(usize, usize),
    /// Bytes that it does not have.
    Beyond,
}

/// Answers with the WAV file `bytes`, or with the part of it that `asked` names: 200, 206 or 416. Several ranges at
/// once get the whole, as does an `If-Range` that names what has been replaced since.
pub fn wav(asked: &HeaderMap, bytes: Vec<u8>) -> Response {
    let tag = tag(&bytes);
    let bytes = Bytes::from(bytes);
    let whole = bytes.len();
    let part = which(asked, &tag, whole);
    let headers = [(header::ACCEPT_RANGES, "bytes"), (header::CONTENT_TYPE, "audio/wav"), (header::ETAG, tag.as_str())];
    match part {
        Part::Whole => (headers, bytes).into_response(),
        Part::Bytes(from, to) => {
            let range = [(header::CONTENT_RANGE, format!("bytes {from}-{to}/{whole}"))];
            (StatusCode::PARTIAL_CONTENT, headers, range, bytes.slice(from..=to)).into_response()
        }
        Part::Beyond => beyond(whole),
    }
}

/// Answers with the WAV file at `path`, or the part of it that `asked` names, as [`wav`] does. It is read as it is sent:
/// a recorded call may be long. `sha256` is that of its bytes, which never change.
///
/// # Errors
/// The file cannot be read.
pub async fn file(asked: &HeaderMap, path: &Path, sha256: &str) -> io::Result<Response> {
    let mut file = File::open(path).await?;
    let length = usize::try_from(file.metadata().await?.len()).map_err(io::Error::other)?;
    let tag = format!("\"{sha256}\"");
    let (status, from, to) = match which(asked, &tag, length) {
        Part::Whole => (StatusCode::OK, 0, length),
        Part::Bytes(from, to) => (StatusCode::PARTIAL_CONTENT, from, to + 1),
        Part::Beyond => return Ok(beyond(length)),
    };
    file.seek(SeekFrom::Start(from as u64)).await?;
    let body = Body::from_stream(ReaderStream::new(file.take((to - from) as u64)));
    let headers = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_TYPE, "audio/wav".to_owned()),
        (header::CONTENT_LENGTH, (to - from).to_string()),
        (header::ETAG, tag),
    ];
    let mut response = (status, headers, body).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{length}", to - 1);
        response.headers_mut().insert(header::CONTENT_RANGE, HeaderValue::try_from(range).map_err(io::Error::other)?);
    }
    Ok(response)
}

/// Whether the first byte is asked for: somebody begins to listen.
pub fn begins(asked: &HeaderMap) -> bool {
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok());
    range.is_none_or(|range| matches!(part(range, usize::MAX), Part::Whole | Part::Bytes(0, _)))
}

/// The part of a recording named `tag` that is asked for.
fn which(asked: &HeaderMap, tag: &str, length: usize) -> Part {
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok());
    let is_same = text(header::IF_RANGE).is_none_or(|named| named == tag);
    text(header::RANGE).filter(|_| is_same).map_or(Part::Whole, |range| part(range, length))
}

fn beyond(length: usize) -> Response {
    (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{length}"))]).into_response()
}

/// What names these bytes and no others, as an entity tag.
fn tag(bytes: &[u8]) -> String {
    let sha256 = digest::digest(&digest::SHA256, bytes);
    let hex: String = sha256.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn part(range: &str, length: usize) -> Part {
    read(range, length).unwrap_or(Part::Whole)
}

/// None: not one range of bytes, or not written as one.
fn read(range: &str, length: usize) -> Option<Part> {
    let (unit, set) = range.split_once('=')?;
    let (from, to) = set.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // A number that no recording reaches is a number all the same.
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let (from, to) = match (from, to) {
        ("", count) => {
            let count = number(count)?;
            (if count == 0 { length } else { length.saturating_sub(count) }, usize::MAX)
        }
        (from, "") => (number(from)?, usize::MAX),
        (from, to) => (number(from)?, number(to)?),
    };
    Some(match length.checked_sub(1) {
        _ if to < from => Part::Whole,
        Some(last) if from <= last => Part::Bytes(from, to.min(last)),
        _ => Part::Beyond,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_range_is_read_as_the_rfc_writes_it() {
        for (range, asks) in [
            ("bytes=0-0", Part::Bytes(0, 0)),
            ("bytes=2-4", Part::Bytes(2, 4)),
            ("Bytes=2-400", Part::Bytes(2, 9)),
            ("bytes=9-", Part::Bytes(9, 9)),
            ("bytes=-3", Part::Bytes(7, 9)),
            ("bytes=-300", Part::Bytes(0, 9)),
            ("bytes=3-99999999999999999999999", Part::Bytes(3, 9)),
            ("bytes=10-", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("nonsense", Part::Whole),
        ] {
            assert_eq!(part(range, 10), asks, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Beyond, "nothing has no first byte");
    }

    async fn answer(fields: &[(HeaderName, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let asked = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect();
        let (parts, body) = wav(&asked, b"0123456789".to_vec()).into_parts();
        (parts.status, parts.headers, to_bytes(body, 100).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn a_part_comes_as_a_part_and_what_was_replaced_comes_whole() {
        let (status, headers, body) = answer(&[]).await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, b"0123456789".as_slice()));
        assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
        let tag = headers[header::ETAG].to_str().unwrap().to_owned();
        let (status, headers, body) = answer(&[(header::RANGE, "bytes=2-4"), (header::IF_RANGE, &tag)]).await;
        assert_eq!((status, body.as_slice()), (StatusCode::PARTIAL_CONTENT, b"234".as_slice()));
        assert_eq!(headers[header::CONTENT_RANGE], "bytes 2-4/10");
        let (status, _, body) = answer(&[(header::RANGE, "bytes=2-4"), (header::IF_RANGE, "\"old\"")]).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 10));
        let (status, headers, _) = answer(&[(header::RANGE, "bytes=10-")]).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(headers[header::CONTENT_RANGE], "bytes */10");
    }
}

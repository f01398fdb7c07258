use bytes::Bytes;
use claviger_api::{BodyError, CreateSpace, MAX_REQUEST_BYTES, parse_object, read_body};
use futures_util::{FutureExt, stream};

type Chunk = Result<Bytes, ()>;

fn read(content_length: Option<&str>, chunks: Vec<Chunk>) -> Result<Vec<u8>, BodyError> {
    let read = read_body(content_length.map(str::as_bytes), stream::iter(chunks)).now_or_never();
    read.expect("all of it is there").map(|bytes| bytes.to_vec())
}

fn chunks(lengths: &[usize]) -> Vec<Chunk> {
    lengths.iter().map(|&length| Ok(Bytes::from(vec![b'x'; length]))).collect()
}

#[test]
fn a_body_is_its_chunks_whatever_was_announced() {
    for content_length in [None, Some("0"), Some("6"), Some("100"), Some("-1"), Some("six")] {
        let body = vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::new()), Ok(Bytes::from_static(b"cdef"))];
        assert_eq!(read(content_length, body).as_deref(), Ok(&b"abcdef"[..]), "{content_length:?}");
    }
    assert_eq!(read(None, Vec::new()), Ok(Vec::new()));
}

#[test]
fn a_body_has_a_limit_announced_or_not() {
    assert_eq!(read(None, chunks(&[MAX_REQUEST_BYTES - 1, 1])).map(|body| body.len()), Ok(MAX_REQUEST_BYTES));
    assert_eq!(read(None, chunks(&[MAX_REQUEST_BYTES, 1])), Err(BodyError::TooLarge));
    assert_eq!(read(Some("7"), chunks(&[MAX_REQUEST_BYTES + 1])), Err(BodyError::TooLarge));
    assert_eq!(read(Some(&(MAX_REQUEST_BYTES + 1).to_string()), Vec::new()), Err(BodyError::TooLarge));
}

#[test]
fn a_body_that_is_cut_off_is_none() {
    assert_eq!(read(None, vec![Ok(Bytes::from_static(b"{}")), Err(())]), Err(BodyError::CutOff));
}

#[test]
fn errors_say_where_and_never_what() {
    for (body, expected) in [
        ("", "is not JSON at line 1, column 0"),
        ("canary", "is not JSON at line 1, column 1"),
        ("\n{\"name\": canary}", "is not JSON at line 2, column 10"),
        ("{\"name\": \"canary", "is not JSON at line 1, column 16"),
        ("[\"canary\"", "is not JSON at line 1, column 9"),
        (" [\"canary\"]", "is not a JSON object"),
        ("\"canary\"", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ("{}", "has no member `name`"),
        ("{\"name\": [\"canary\"]}", "has a member that is unknown or of another type at line 1, column 9"),
    ] {
        let refused = parse_object::<CreateSpace>(body.as_bytes()).map(|_| ()).unwrap_err();
        assert_eq!(refused.to_string(), expected, "{body}");
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
    assert_eq!(parse_object::<CreateSpace>(b" {\"name\": \"acme\"} ").unwrap().name, "acme");
}

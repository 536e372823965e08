//! `Content-Encoding` (RFC 9110 §8.4) undone under a cap, so that a small body cannot become a large one.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use crate::{Error, limits};

/// The body as it was before the transfer: `identity` (or nothing) as it is, `gzip` or `zstd` decompressed to at most `bytes_max`.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Encoding`], [`Error::Gzip`], [`Error::Zstd`].
pub fn decode<'a>(encoding: Option<&str>, body: &'a [u8], bytes_max: usize) -> Result<Cow<'a, [u8]>, Error> {
    if body.len() > bytes_max {
        return Err(Error::TooLarge { max: bytes_max, after: "" });
    }
    let encoding = encoding.unwrap_or_default().trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(Cow::Borrowed(body));
    }
    if encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip") {
        return decompress(body, bytes_max).map(Cow::Owned);
    }
    if encoding.eq_ignore_ascii_case("zstd") {
        return decompress_zstd(body, bytes_max).map(Cow::Owned);
    }
    Err(Error::Encoding { encoding: encoding.chars().take(64).collect() })
}

/// Decompresses gzip (RFC 1952, several members allowed) and stops as soon as more than `bytes_max` come out.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::Gzip`].
pub fn decompress(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    capped(MultiGzDecoder::new(body), bytes_max, |error| Error::Gzip { problem: error.to_string() })
}

/// Decompresses zstd (RFC 8878, several frames allowed), within the window that HTTP allows, and stops as soon as more than
/// `bytes_max` come out.
fn decompress_zstd(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Error> {
    let problem = |error: io::Error| Error::Zstd { problem: error.to_string() };
    let mut decoder = zstd::Decoder::with_buffer(body).map_err(problem)?;
    decoder.window_log_max(limits::ZSTD_WINDOW_LOG_MAX).map_err(problem)?;
    capped(decoder, bytes_max, problem)
}

fn capped(decoder: impl Read, bytes_max: usize, problem: impl Fn(io::Error) -> Error) -> Result<Vec<u8>, Error> {
    let mut decompressed = Vec::new();
    let cap = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(cap).read_to_end(&mut decompressed).map_err(problem)?;
    if decompressed.len() > bytes_max {
        return Err(Error::TooLarge { max: bytes_max, after: " after decompression" });
    }
    Ok(decompressed)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_and_identity_come_back_as_they_were() {
        let body = br#"[{"decision_id":"1"}]"#;
        assert_eq!(decode(Some("GZIP"), &gzip(body), 1000).unwrap().as_ref(), body);
        assert_eq!(decode(None, body, 1000).unwrap().as_ref(), body);
        let two_members = [gzip(b"[1,"), gzip(b"2]")].concat();
        assert_eq!(decompress(&two_members, 1000).unwrap(), b"[1,2]");
    }

    #[test]
    fn zstd_is_understood_within_its_window() {
        let body = br#"[{"decision_id":"1"}]"#;
        let packed = zstd::encode_all(&body[..], 3).unwrap();
        assert_eq!(decode(Some("zstd"), &packed, 1000).unwrap().as_ref(), body);
        let two_frames = [packed.clone(), packed.clone()].concat();
        assert_eq!(decode(Some("Zstd"), &two_frames, 1000).unwrap().len(), 2 * body.len());
        assert!(matches!(decode(Some("zstd"), &packed[..packed.len() - 3], 1000), Err(Error::Zstd { .. })));
        assert!(matches!(decode(Some("zstd"), b"plain", 1000), Err(Error::Zstd { .. })));
        let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 3).unwrap();
        assert!(bomb.len() < 100_000);
        let refused = decode(Some("zstd"), &bomb, 1 << 20).unwrap_err();
        assert_eq!(refused, Error::TooLarge { max: 1 << 20, after: " after decompression" });
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(limits::ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(&vec![b' '; 32 << 20]).unwrap();
        let wide = encoder.finish().unwrap();
        assert!(matches!(decode(Some("zstd"), &wide, 64 << 20), Err(Error::Zstd { .. })));
    }

    #[test]
    fn a_bomb_is_refused_at_the_cap() {
        let bomb = gzip(&vec![b' '; 64 << 20]);
        assert!(bomb.len() < 100_000);
        let refused = decompress(&bomb, 1 << 20).unwrap_err();
        assert_eq!(refused, Error::TooLarge { max: 1 << 20, after: " after decompression" });
        assert!(decompress(&gzip(&[b' '; 100]), 100).is_ok());
        assert!(decompress(&gzip(&[b' '; 101]), 100).is_err());
    }

    #[test]
    fn what_is_not_gzip_or_cut_short_is_refused() {
        let whole = gzip(b"hello, this is long enough to be cut");
        for body in [b"plain".as_slice(), &whole[..whole.len() - 5], &[]] {
            assert!(matches!(decode(Some("gzip"), body, 1000), Err(Error::Gzip { .. })), "{body:?}");
        }
        assert!(matches!(decode(Some("br"), b"x", 1000), Err(Error::Encoding { .. })));
        assert!(matches!(decode(None, &[b' '; 1001], 1000), Err(Error::TooLarge { .. })));
    }
}

//! A client that is refused while it still sends gets to read why.
//!
//! A socket that is closed with bytes unread resets the connection, and what the client has not
//! read yet of the answer is lost (RFC 9112, section 9.6). So what still comes is read and thrown
//! away, for a while.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use http::{HeaderMap, header};
use http_body_util::BodyExt;

/// Twice what a call may bring; who sends more has no SDK that reads answers late.
const BYTES_MAX: usize = 64 << 20;

/// As long as nginx lingers between two reads; here for all of them, as nobody is owed more.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Reads the rest of this body in the background and forgets it: at most 64 MB, for at most 5 s. Who
/// asks before sending (`expect: 100-continue`) has not begun: there is nothing to lose.
pub fn read_on(mut body: Body, headers: &HeaderMap) {
    if body.is_end_stream() || headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(tokio::time::timeout(TIME_MAX, async move {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, bytes::Bytes::len);
            if read > BYTES_MAX {
                break;
            }
        }
    }));
}

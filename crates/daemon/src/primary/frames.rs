//! Messages out of a TCP stream (RFC 1035 §4.2.2): a buffer that grows with what arrives, not with what is announced.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Octets asked of the socket at once.
const READ: usize = 128 * 1024;

/// The stream's unread octets.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// `start <= buffer.len()`: what lies before was taken.
    start: usize,
}

impl Frames {
    /// Reads what is there, at least one octet; 0 at the end of the stream.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.reserve(READ);
        stream.read_buf(&mut self.buffer).await
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let rest = self.buffer.get(self.start..)?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?;
        self.start += 2 + length;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_whole_however_the_stream_is_cut() {
        let stream = b"\x00\x03abc\x00\x00\x00\x02de";
        for cut in 0..stream.len() {
            let (mut first, mut second) = (&stream[..cut], &stream[cut..]);
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for part in [&mut first, &mut second] {
                frames.fill(part).await.unwrap();
                while let Some(message) = frames.next() {
                    seen.push(message.to_vec());
                }
            }
            assert_eq!(seen, [&b"abc"[..], b"", b"de"], "cut at {cut}");
        }
    }
}

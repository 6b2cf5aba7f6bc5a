//! Messages out of a TCP stream (RFC 1035 §4.2.2): a buffer that grows with what arrives, not with what is announced.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Octets asked of the socket at once: of one that has much to give, and of any other.
const READ: (usize, usize) = (128 * 1024, 16 * 1024);

/// Octets of a stream, or of a piece of one, that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// `start <= buffer.len()`: what lies before was taken.
    start: usize,
    /// The last read brought all that was asked for.
    much: bool,
}

impl From<Vec<u8>> for Frames {
    fn from(buffer: Vec<u8>) -> Frames {
        Frames { buffer, ..Frames::default() }
    }
}

impl Frames {
    /// Reads what is there, at least one octet; 0 at the end of the stream. Nothing is lost when it is given up.
    pub(super) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let room = if self.much { READ.0 } else { READ.1 };
        self.buffer.reserve(room);
        let read = stream.read_buf(&mut self.buffer).await?;
        self.much = read >= room;
        Ok(read)
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        let end = self.end_of(self.start)?;
        let message = self.buffer.get(self.start + 2..end);
        self.start = end;
        message
    }

    /// The next whole messages that have one ID, each with its length before it, and that ID; `None` for a message
    /// too short to have one.
    pub(super) fn take_run(&mut self) -> Option<(Option<u16>, Vec<u8>)> {
        let id = self.id_at(self.start);
        let mut end = self.end_of(self.start)?;
        while let Some(next) = self.end_of(end).filter(|_| self.id_at(end) == id) {
            end = next;
        }
        // Of a stream that brings one answer alone all goes at once, without a copy.
        let run = if self.start == 0 && end == self.buffer.len() {
            std::mem::take(&mut self.buffer)
        } else {
            let run = self.buffer.get(self.start..end).unwrap_or_default().to_vec();
            self.start = end;
            run
        };
        Some((id, run))
    }

    /// The message that is not whole yet: its ID, once that is there, and how many of its octets are.
    pub(super) fn part(&self) -> (Option<u16>, usize) {
        let part = self.buffer.get(self.start..).unwrap_or_default();
        let id = part.get(2..).and_then(|message| message.first_chunk::<2>());
        (id.map(|id| u16::from_be_bytes(*id)), part.len())
    }

    /// Whether all was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Where the message ends that begins at `start`, when it is whole.
    fn end_of(&self, start: usize) -> Option<usize> {
        let (length, rest) = self.buffer.get(start..)?.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        (rest.len() >= length).then_some(start + 2 + length)
    }

    /// The ID of the message that begins at `start` (RFC 1035 §4.1.1).
    fn id_at(&self, start: usize) -> Option<u16> {
        let end = self.end_of(start)?;
        let id = self.buffer.get(start + 2..end)?.first_chunk::<2>()?;
        Some(u16::from_be_bytes(*id))
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
            assert!(frames.is_empty());
        }
    }

    #[tokio::test]
    async fn runs_hold_what_has_one_id_however_the_stream_is_cut() {
        let stream = b"\x00\x03abc\x00\x04abde\x00\x02xy\x00\x01a\x00\x02ab";
        for cut in 0..stream.len() {
            let (mut first, mut second) = (&stream[..cut], &stream[cut..]);
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for part in [&mut first, &mut second] {
                frames.fill(part).await.unwrap();
                while let Some((id, run)) = frames.take_run() {
                    let mut run = Frames::from(run);
                    while let Some(message) = run.next() {
                        seen.push((id, message.to_vec()));
                    }
                }
            }
            let id = |id: &[u8; 2]| Some(u16::from_be_bytes(*id));
            let expected = [
                (id(b"ab"), b"abc".to_vec()),
                (id(b"ab"), b"abde".to_vec()),
                (id(b"xy"), b"xy".to_vec()),
                (None, b"a".to_vec()),
                (id(b"ab"), b"ab".to_vec()),
            ];
            assert_eq!(seen, expected, "cut at {cut}");
            assert!(frames.is_empty());
        }
    }
}

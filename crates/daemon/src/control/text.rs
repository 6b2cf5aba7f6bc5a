//! What is said ahead of an answer, on its way to a client: a long text, made line by line and sent piece by piece, or
//! pages of zones. Never held whole.

use tokio::sync::mpsc;

use super::{Response, ZoneStatus};

/// Octets after which a piece is sent at the end of its line. A line in JSON has at most twice as many: of what may
/// stand in it only `"` and `\` are escaped.
const PIECE: usize = 32 * 1024;

/// The making end. It waits for the client, in [`Text::end_line`], so it belongs in a thread that may block.
#[derive(Debug)]
pub struct Text {
    piece: Vec<u8>,
    to: mpsc::Sender<Response>,
}

/// Nobody reads the text any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Text {
    /// A text and the end at which its pieces come out. One piece waits there at most.
    pub(crate) fn new() -> (Text, mpsc::Receiver<Response>) {
        let (to, pieces) = mpsc::channel(1);
        (Text { piece: Vec::new(), to }, pieces)
    }

    /// Where the current line is written, in ASCII.
    pub fn line(&mut self) -> &mut Vec<u8> {
        &mut self.piece
    }

    /// Ends the line; sends the piece when it is large enough.
    pub fn end_line(&mut self) -> Result<(), Gone> {
        self.piece.push(b'\n');
        if self.piece.len() < PIECE { Ok(()) } else { self.send() }
    }

    /// Sends what is left. Without this the text ends with its last whole piece.
    pub fn finish(mut self) -> Result<(), Gone> {
        if self.piece.is_empty() { Ok(()) } else { self.send() }
    }

    /// Comes back when nobody reads the text any more.
    pub async fn unread(&self) {
        self.to.closed().await;
    }

    fn send(&mut self) -> Result<(), Gone> {
        // The next piece will be about as large.
        let next = Vec::with_capacity(self.piece.len());
        let piece = String::from_utf8(std::mem::replace(&mut self.piece, next));
        let text = Some(piece.expect("a text is ASCII"));
        self.to.blocking_send(Response { text, ..Response::default() }).map_err(|_| Gone)
    }

    /// Sends a page of zones instead of text.
    pub async fn zones(&self, zones: Vec<ZoneStatus>) -> Result<(), Gone> {
        let page = Response { zones: Some(zones), more: true, ..Response::default() };
        self.to.send(page).await.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_in_whole_lines_and_waits_for_its_reader() {
        let (mut text, mut pieces) = Text::new();
        let maker = std::thread::spawn(move || {
            let line = [b'x'; 99];
            for _ in 0..10_000 {
                text.line().extend_from_slice(&line);
                text.end_line()?;
            }
            text.finish()
        });
        let mut octets = 0;
        while let Some(piece) = pieces.blocking_recv() {
            let piece = piece.text.unwrap();
            assert!(piece.ends_with('\n') && piece.len() < PIECE + 100);
            octets += piece.len();
        }
        assert_eq!((octets, maker.join().unwrap()), (1_000_000, Ok(())));
    }

    #[test]
    fn a_text_that_nobody_reads_is_not_made_to_its_end() {
        let (mut text, pieces) = Text::new();
        drop(pieces);
        let lines = (0..).take_while(|_| {
            text.line().extend_from_slice(b"some line");
            text.end_line().is_ok()
        });
        assert!(lines.count() < PIECE);
    }
}

//! The asking end: one request, one answer and perhaps a text ahead of it, without a runtime.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::{Request, Response};

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there, or we may not.
    #[error("the daemon at {0} cannot be reached: {1}")]
    Unreachable(PathBuf, io::Error),
    /// It went away while we waited.
    #[error("the daemon closed the connection without an answer")]
    Closed,
    /// What it said could not be passed on.
    #[error("the answer cannot be written: {0}")]
    Output(io::Error),
    /// The answer is none.
    #[error("the daemon's answer cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Sends `request` to the daemon at `socket` and waits for the answer.
pub fn ask(socket: &Path, request: &Request) -> Result<Response, ClientError> {
    read(socket, request, |_| Ok(()))
}

/// The same; pages of zones are put together, and `take` is given what comes ahead of the answer, piece by piece. An error of its own ends the conversation.
pub fn read(
    socket: &Path,
    request: &Request,
    mut take: impl FnMut(&str) -> io::Result<()>,
) -> Result<Response, ClientError> {
    let unreachable = |error| ClientError::Unreachable(socket.into(), error);
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // It may refuse a request before it has read all of it: what it says then is worth more than our error.
    let written = stream.write_all(&line);
    let mut reading = BufReader::new(stream);
    let mut pages = Vec::new();
    loop {
        line.clear();
        match reading.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => {}
            _ => return written.map_err(unreachable).and(Err(ClientError::Closed)),
        }
        let mut response: Response = serde_json::from_slice(&line)?;
        match &response.text {
            Some(piece) => take(piece).map_err(ClientError::Output)?,
            None if response.more => pages.extend(response.zones.unwrap_or_default()),
            None => {
                if let Some(zones) = &mut response.zones {
                    zones.splice(..0, pages);
                }
                return Ok(response);
            }
        }
    }
}

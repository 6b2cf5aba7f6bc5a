//! The asking end: one request, one answer, without a runtime.

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
    /// The answer is none.
    #[error("the daemon's answer cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Sends `request` to the daemon at `socket` and waits for the answer.
pub fn ask(socket: &Path, request: &Request) -> Result<Response, ClientError> {
    let unreachable = |error| ClientError::Unreachable(socket.into(), error);
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // It may refuse a request before it has read all of it: what it says then is worth more than our error.
    let written = stream.write_all(&line);
    let mut answer = Vec::new();
    let read = BufReader::new(stream).read_until(b'\n', &mut answer);
    match read {
        Ok(n) if n > 0 => Ok(serde_json::from_slice(&answer)?),
        _ => written.map_err(unreachable).and(Err(ClientError::Closed)),
    }
}

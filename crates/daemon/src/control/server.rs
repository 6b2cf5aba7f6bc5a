//! The listening end: each line becomes an [`Ask`] to the scheduler, each answer a line.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::{MAX_LINE, Request, Response, Text};

/// Connections at once; more wait.
const CLIENTS: usize = 32;
/// How long a client may take to ask, and to read a piece of what it asked for: those who forgot to end must not use up
/// the places.
const IDLE: Duration = Duration::from_secs(600);
/// How often it is looked whether one who waits is still there.
const LOOK: Duration = Duration::from_secs(1);

/// A request on its way to the scheduler, with the way back.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub request: Request,
    /// What is said ahead of the answer, by those commands that have much to say.
    pub text: Text,
    /// Where the answer goes; dropped unanswered when the daemon stops.
    pub answer: oneshot::Sender<Response>,
}

/// Binds the control socket at `path`, mode 0660, in place of one that nobody listens on any more.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens on it"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves clients for ever; `forward` hands a request to the scheduler.
pub async fn serve(listener: UnixListener, forward: impl Fn(Ask) + Clone + Send + 'static) {
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: let others end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let forward = forward.clone();
        tokio::spawn(async move {
            // A client that went away needs no answer.
            let _ = converse(stream, forward).await;
            drop(place);
        });
    }
}

/// Ends when the client has closed its end. One that only says that it asks nothing more still wants the answer, so the
/// end of its requests does not tell; and nothing wakes us for the other, so we look.
async fn gone(writing: &OwnedWriteHalf) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !writing.ready(Interest::WRITABLE).await.is_ok_and(|ready| !ready.is_write_closed()) {
            return;
        }
    }
}

/// Waits for an answer; the text ahead of it is passed on as it comes, and is made no faster than the client reads it.
/// `None`: the client went away.
async fn pass_on(
    mut pieces: mpsc::Receiver<Response>,
    answered: oneshot::Receiver<Response>,
    writing: &mut OwnedWriteHalf,
) -> io::Result<Option<Response>> {
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = gone(writing) => return Ok(None),
        };
        let Some(piece) = piece else { break };
        say(writing, &piece).await?;
    }
    tokio::select! {
        answered = answered => {
            Ok(Some(answered.unwrap_or_else(|_| Response::refused("stopping", "the daemon is stopping"))))
        }
        () = gone(writing) => Ok(None),
    }
}

/// Writes one line.
async fn say(writing: &mut OwnedWriteHalf, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    timeout(IDLE, writing.write_all(&line)).await?
}

async fn converse(stream: UnixStream, forward: impl Fn(Ask)) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reading).take(MAX_LINE as u64 + 1);
        let n = timeout(IDLE, bounded.read_until(b'\n', &mut line)).await??;
        if n == 0 {
            return Ok(());
        }
        let response = if n > MAX_LINE {
            Response::refused("bad-request", format!("a request has at most {MAX_LINE} octets"))
        } else {
            match serde_json::from_slice(&line) {
                Ok(request) => {
                    let (text, pieces) = Text::new();
                    let (answer, answered) = oneshot::channel();
                    forward(Ask { request, text, answer });
                    match pass_on(pieces, answered, &mut writing).await? {
                        Some(response) => response,
                        None => return Ok(()),
                    }
                }
                Err(error) => Response::refused("bad-request", error.to_string()),
            }
        };
        say(&mut writing, &response).await?;
        if n > MAX_LINE {
            return Ok(());
        }
    }
}

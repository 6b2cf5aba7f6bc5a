//! Messages with their length before them (RFC 1035 §4.2.2), each written whole.

use std::future::ready;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::places::{Ask, Place};

/// How long a write may make no progress.
const STALL: Duration = Duration::from_secs(10);
/// How long a client may take to read what is written at once, an octet now and then: about 100 kB at most.
const READ_BY: Duration = Duration::from_secs(60);

/// Appends a message with its length before it, or nothing when nothing was written.
pub(super) fn frame_into(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    out.extend_from_slice(&[0, 0]);
    write(out);
    match u16::try_from(out.len() - from - 2) {
        Ok(length) if length > 0 => out[from..from + 2].copy_from_slice(&length.to_be_bytes()),
        _ => out.truncate(from),
    }
}

/// A message with its length before it; empty when nothing was written.
pub(super) fn frame(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut message = Vec::with_capacity(514);
    frame_into(&mut message, write);
    message
}

/// Writes all of it, unless the client does not read, or too slowly. Who holds a place that somebody else wants, and has
/// nothing under way besides, has no longer than that allows.
pub(super) async fn write_whole(
    stream: &mut (impl AsyncWrite + Unpin),
    octets: &[u8],
    place: &mut Place,
    is_busy: bool,
) -> io::Result<()> {
    write_until(stream, octets, Instant::now() + READ_BY, place, is_busy).await
}

async fn write_until(
    stream: &mut (impl AsyncWrite + Unpin),
    mut rest: &[u8],
    until: Instant,
    place: &mut Place,
    is_busy: bool,
) -> io::Result<()> {
    while !rest.is_empty() {
        match progress(stream.write(rest), until, place, is_busy).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    progress(stream.flush(), until, place, is_busy).await
}

/// What a step of a write comes to, unless it takes too long.
async fn progress<T>(
    step: impl Future<Output = io::Result<T>>,
    until: Instant,
    place: &mut Place,
    is_busy: bool,
) -> io::Result<T> {
    let mut step = pin!(step);
    // Most are done with the first look at them, and need no clock.
    tokio::select! {
        biased;
        done = step.as_mut() => return done,
        () = ready(()) => {}
    }
    let now = Instant::now();
    if now >= until {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let until = until.min(now + STALL);
    loop {
        let by = match place.ends() {
            Some((Ask::Crowded, ends)) if !is_busy => until.min(ends),
            _ => until,
        };
        tokio::select! {
            biased;
            done = timeout_at(by, step.as_mut()) => return done?,
            () = place.asked() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::downstream::places::Places;

    #[test]
    fn a_frame_has_its_length_before_it() {
        assert_eq!(frame(|message| message.extend_from_slice(b"abc")), b"\x00\x03abc");
        assert!(frame(|_| {}).is_empty());
        let mut two = frame(|message| message.push(1));
        frame_into(&mut two, |_| {});
        frame_into(&mut two, |message| message.push(2));
        assert_eq!(two, [0, 1, 1, 0, 1, 2]);
    }

    async fn place() -> (Arc<Places>, Place) {
        let places = Arc::new(Places::new(1, 1));
        let place = places.take(Ipv4Addr::LOCALHOST.into()).await.unwrap();
        (places, place)
    }

    #[tokio::test]
    async fn who_reads_an_octet_now_and_then_is_not_waited_for_for_ever() {
        for (until, whole) in [(Duration::ZERO, false), (READ_BY, true)] {
            let (mut here, mut there) = tokio::io::duplex(1);
            let client = tokio::spawn(async move { while there.read_u8().await.is_ok() {} });
            let (_, mut place) = place().await;
            let written = write_until(&mut here, &[7; 100], Instant::now() + until, &mut place, false).await;
            assert_eq!(written.is_ok(), whole, "{written:?}");
            drop(here);
            client.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_waited_for_when_somebody_else_wants_the_place() {
        // Beside a transfer, or at the end of the daemon, it is. What ends may take its time, but for what ends it anyway.
        let (a_while, long) = (Duration::from_millis(700), STALL * 4 / 5);
        for (is_busy, stops, wait, ends) in
            [(false, false, long, true), (true, false, a_while, false), (false, true, a_while, false)]
        {
            let (mut here, _there) = tokio::io::duplex(1);
            let (places, mut place) = place().await;
            let writing = write_whole(&mut here, &[7; 100], &mut place, is_busy);
            let wanting = async {
                if stops {
                    places.close();
                }
                let _newcomer = places.take(Ipv4Addr::new(127, 0, 0, 2).into()).await;
                std::future::pending::<()>().await
            };
            let ended = tokio::select! {
                written = writing => written.is_err(),
                () = wanting => unreachable!("it is pending"),
                () = tokio::time::sleep(wait) => false,
            };
            assert_eq!(ended, ends, "busy {is_busy}, stopping {stops}");
        }
    }
}

//! Messages with their length before them (RFC 1035 §4.2.2), each written whole.

use std::future::ready;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::places::Place;
use crate::tls::Stream;

/// How long clients are waited for.
const PATIENCE: Patience = Patience { stall: STALL, whole: Duration::from_secs(60) };
/// How long a write may make no progress. It is seen in steps: half of what the kernel may keep unsent (`socket::UNSENT`), a
/// segment of up to 64 KiB that it filled over that, and what a client's window opens by at once (RFC 9293 §3.8.6.2). So about
/// 4 KiB a second are seen. (`TCP_USER_TIMEOUT` is no judge of it: it counts from when the window closed first, whatever is read.)
pub(super) const STALL: Duration = Duration::from_secs(25);
/// Octets given to TLS in one step: what it makes of them waits in its own buffer, where progress is not seen. Without TLS the kernel
/// says how much it took, and a step is all that there is: each is a segment of its own at least.
const STEP: usize = 16 << 10;

/// How long a client is waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// When nothing of a step is taken.
    stall: Duration,
    /// Until all of what is written at once is, an octet now and then: about 100 kB at most.
    whole: Duration,
}

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
    stream: &mut Stream,
    octets: &[u8],
    place: &mut Place,
    is_busy: bool,
) -> io::Result<()> {
    let most = match stream {
        Stream::Tcp(_) => usize::MAX,
        Stream::Tls(_) => STEP,
    };
    write_within(PATIENCE, most, stream, octets, place, is_busy).await
}

/// The same, with at most so many octets in a step.
async fn write_within(
    patience: Patience,
    most: usize,
    stream: &mut (impl AsyncWrite + Unpin),
    octets: &[u8],
    place: &mut Place,
    is_busy: bool,
) -> io::Result<()> {
    let until = Instant::now() + patience.whole;
    for mut step in octets.chunks(most) {
        while !step.is_empty() {
            match progress(stream.write(step), patience.stall, until, place, is_busy).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => step = step.get(written..).unwrap_or_default(),
            }
        }
        progress(stream.flush(), patience.stall, until, place, is_busy).await?;
    }
    Ok(())
}

/// What a step of a write comes to, unless it takes too long.
async fn progress<T>(
    step: impl Future<Output = io::Result<T>>,
    stall: Duration,
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
    let until = until.min(now + stall);
    in_time(step, until, place, is_busy).await?
}

/// What a step comes to that is done by then, and before the place has to be left.
pub(super) async fn in_time<T>(
    step: impl Future<Output = T>,
    until: Instant,
    place: &mut Place,
    is_busy: bool,
) -> io::Result<T> {
    let mut step = pin!(step);
    loop {
        let by = place.bound(until, is_busy);
        tokio::select! {
            biased;
            done = timeout_at(by, step.as_mut()) => return Ok(done?),
            () = place.asked() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter::{repeat, repeat_n};
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, BufWriter};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;
    use crate::downstream::places::Places;
    use crate::socket;

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
        for (whole, is_whole) in [(Duration::ZERO, false), (PATIENCE.whole, true)] {
            let (mut here, mut there) = tokio::io::duplex(1);
            let client = tokio::spawn(async move { while there.read_u8().await.is_ok() {} });
            let (_, mut place) = place().await;
            let patience = Patience { whole, ..PATIENCE };
            let written = write_within(patience, STEP, &mut here, &[7; 100], &mut place, false).await;
            assert_eq!(written.is_ok(), is_whole, "{written:?}");
            drop(here);
            client.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_reads_slowly_is_waited_for_though_the_kernel_would_take_all_that_there_is() {
        let patience = Patience { stall: Duration::from_secs(4), ..PATIENCE };
        let listener = socket::tcp_listener((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        let client = socket.connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (mut client, mut here) = (client.unwrap(), accepted.unwrap().0);
        // 80 kB a second, for twice as long as it may take nothing; then whatever comes.
        let client = tokio::spawn(async move {
            let mut octets = vec![0; 1 << 20];
            let mut read = 0;
            for most in repeat_n(8 << 10, 80).chain(repeat(1 << 20)) {
                match client.read(&mut octets[..most]).await.unwrap() {
                    0 => break,
                    more => read += more,
                }
                if most < octets.len() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            read
        });
        let (_, mut place) = place().await;
        let message = [7; 4 * STEP];
        for _ in 0..100 {
            write_within(patience, usize::MAX, &mut here, &message, &mut place, true).await.unwrap();
        }
        drop(here);
        assert_eq!(client.await.unwrap(), 100 * message.len());
    }

    #[tokio::test]
    async fn who_reads_slowly_is_waited_for_though_tls_takes_all_that_there_is() {
        // A third of a second is what a step takes; all of it, more than a second.
        let patience = Patience { stall: Duration::from_secs(1), ..PATIENCE };
        let message = [7; 4 * STEP];
        for (pause, is_whole) in [(Duration::from_millis(20), true), (patience.stall * 2, false)] {
            let (here, mut there) = tokio::io::duplex(1);
            // As TLS does.
            let mut here = BufWriter::with_capacity(2 * message.len(), here);
            let client = tokio::spawn(async move {
                let mut octets = vec![0; STEP / 16];
                let mut read = 0;
                while there.read_exact(&mut octets).await.is_ok() {
                    read += octets.len();
                    tokio::time::sleep(pause).await;
                }
                read
            });
            let (_, mut place) = place().await;
            let written = write_within(patience, STEP, &mut here, &message, &mut place, true).await;
            assert_eq!(written.is_ok(), is_whole, "{written:?}");
            drop(here);
            assert_eq!(client.await.unwrap() == message.len(), is_whole);
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_waited_for_when_somebody_else_wants_the_place() {
        // Beside a transfer, or at the end of the daemon, it is. What ends may take its time, but for what ends it anyway.
        let (a_while, long) = (Duration::from_millis(700), Duration::from_secs(8));
        for (is_busy, stops, wait, ends) in
            [(false, false, long, true), (true, false, a_while, false), (false, true, a_while, false)]
        {
            let (mut here, _there) = tokio::io::duplex(1);
            let (places, mut place) = place().await;
            let writing = write_within(PATIENCE, STEP, &mut here, &[7; 100], &mut place, is_busy);
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

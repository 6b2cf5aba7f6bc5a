//! Connections to primaries that are kept for the next question, and what is known of how primaries treat them.
//!
//! A connection serves many questions, of any zones, and several at once (RFC 7766 §6.2.1; RFC 5936 §4.1.1 for AXFR; RFC
//! 9103 §6). Primaries that close after each answer, or leave alone what was sent before they had answered, are
//! believed when they have shown it, and for a while are not asked to do what they do not.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Way;
use super::exchange::Exchange;
use super::line::{Line, Obituary, Outbox};
use crate::config::PrimaryConfig;

/// Connections to an address of a primary before questions share one.
pub(crate) const LINES: usize = 4;
/// Questions on one connection at once.
const DEPTH: usize = 16;
/// How long what was learnt of a primary is believed.
const BELIEVED: Duration = Duration::from_secs(600);
/// Connections in a row that ended behind one answer, until that is believed to be the primary's way.
const IN_A_ROW: u8 = 2;

/// All connections to primaries; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Pools>>);

#[derive(Debug, Default)]
struct Pools {
    by_key: HashMap<Key, Pool>,
    /// How many pools there may be before those are looked for of which nothing is to be known any more.
    sweep_at: usize,
}

/// Who may share a connection: the same address of the same primary, and so source, keys and TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: SocketAddr,
    primary: Arc<PrimaryConfig>,
}

#[derive(Debug, Default)]
struct Pool {
    lines: Vec<Arc<Line>>,
    conduct: Conduct,
}

/// How a primary treats connections.
#[derive(Debug, Default)]
struct Conduct {
    /// Connections that ended behind one answer, in a row.
    short: u8,
    /// Until then each question has a connection of its own.
    single_until: Option<Instant>,
    /// Until then questions on a connection wait for the answer to the one before.
    in_turn_until: Option<Instant>,
}

/// Which connection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any.
    Shared,
    /// A new one for this question alone: the answer is long, or a shared one ended before it.
    Own,
}

impl Conduct {
    fn single(&self, now: Instant) -> bool {
        self.single_until.is_some_and(|until| now < until)
    }

    fn depth(&self, now: Instant) -> usize {
        if self.in_turn_until.is_some_and(|until| now < until) { 1 } else { DEPTH }
    }

    /// Whether there is nothing to be remembered.
    fn are_plain(&self, now: Instant) -> bool {
        self.short == 0 && !self.single(now) && self.depth(now) == DEPTH
    }

    /// Learns from how a connection ended.
    fn learn(&mut self, obituary: Obituary, now: Instant) {
        match obituary {
            Obituary { served: 1, by_primary: true, .. } => {
                self.short += 1;
                if self.short >= IN_A_ROW {
                    (self.short, self.single_until) = (0, Some(now + BELIEVED));
                }
            }
            Obituary { served: 0 | 1, .. } => {}
            _ => self.short = 0,
        }
    }
}

impl Lines {
    fn pools(&self) -> MutexGuard<'_, Pools> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an exchange: takes a place on a connection, a new one where that is better. Called from a task of tokio.
    pub(super) fn begin(&self, way: &Way, wanted: Wanted) -> Exchange {
        let (key, now) = (Key::of(way), Instant::now());
        let mut pools = self.pools();
        pools.sweep(now);
        let pool = pools.by_key.entry(key.clone()).or_default();
        let own = wanted == Wanted::Own || pool.conduct.single(now);
        if !own && let Some(exchange) = pool.join(now) {
            return exchange;
        }
        let (line, outbox) = Line::new();
        let place = line.ask().expect("a new connection takes a question");
        if own {
            line.retire();
        } else {
            pool.lines.push(Arc::clone(&line));
        }
        drop(pools);
        let way = way.clone();
        let running = Running { lines: self.clone(), key, line: Arc::clone(&line), obituary: None };
        tokio::spawn(running.run(way, outbox));
        Exchange::new(line, place)
    }

    /// A primary did not answer what was sent before it had answered something else.
    pub(super) fn stalled(&self, way: &Way) {
        if let Some(pool) = self.pools().by_key.get_mut(&Key::of(way)) {
            pool.conduct.in_turn_until = Some(Instant::now() + BELIEVED);
        }
    }

    fn ended(&self, key: &Key, line: &Arc<Line>, obituary: Obituary) {
        let (mut pools, now) = (self.pools(), Instant::now());
        let Some(pool) = pools.by_key.get_mut(key) else { return };
        let before = pool.lines.len();
        pool.lines.retain(|other| !Arc::ptr_eq(other, line));
        // One that served a single question by our own choice tells nothing.
        if pool.lines.len() < before {
            pool.conduct.learn(obituary, now);
        }
        if pool.lines.is_empty() && pool.conduct.are_plain(now) {
            pools.by_key.remove(key);
        }
    }
}

/// A connection and its task. However that ends, the connection ends with it for all who ask there.
struct Running {
    lines: Lines,
    key: Key,
    line: Arc<Line>,
    obituary: Option<Obituary>,
}

impl Running {
    async fn run(mut self, way: Way, outbox: Outbox) {
        self.obituary = Some(self.line.run(&way, outbox).await);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let obituary = self.obituary.take().unwrap_or_else(|| self.line.abandon());
        self.lines.ended(&self.key, &self.line, obituary);
    }
}

impl Pools {
    /// Forgets what was learnt too long ago, when there may be much of it.
    fn sweep(&mut self, now: Instant) {
        if self.by_key.len() >= self.sweep_at {
            self.by_key.retain(|_, pool| !pool.lines.is_empty() || !pool.conduct.are_plain(now));
            self.sweep_at = self.by_key.len() * 2 + 64;
        }
    }
}

impl Pool {
    /// A place on the connection with the fewest questions; `None` when a new one is better.
    fn join(&self, now: Instant) -> Option<Exchange> {
        let depth = self.conduct.depth(now);
        let open = self.lines.iter().filter_map(|line| Some((line.load(depth)?, line)));
        let (load, line) = open.min_by_key(|(load, _)| *load)?;
        let place = if load == 0 || self.lines.len() >= LINES { line.ask() } else { None };
        Some(Exchange::new(Arc::clone(line), place?))
    }
}

impl Key {
    fn of(way: &Way) -> Key {
        Key { address: way.address, primary: Arc::clone(&way.primary) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::primary::exchange::Next;
    use crate::primary::line::End;
    use crate::primary::testing::way;

    const LONG: Duration = Duration::from_secs(60);

    /// A primary whose every connection does what `serve` does; the number of them.
    async fn primary<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (Way, Arc<AtomicUsize>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = way(listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        });
        (way, count)
    }

    async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
        let length = stream.read_u16().await.ok()?;
        let mut message = vec![0; length.into()];
        stream.read_exact(&mut message).await.ok()?;
        Some(message)
    }

    async fn write(stream: &mut TcpStream, message: &[u8]) {
        let framed = [&(message.len() as u16).to_be_bytes(), message].concat();
        let _ = stream.write_all(&framed).await;
    }

    /// What is sent: the ID, then `text`.
    fn ask(exchange: &Exchange, text: &str) {
        exchange.send(&[&exchange.id().to_be_bytes(), text.as_bytes()].concat()).unwrap();
    }

    /// The next message without its ID; `None` at the end.
    async fn hear(exchange: &mut Exchange) -> Option<String> {
        let id = exchange.id().to_be_bytes();
        loop {
            if let Some(message) = exchange.frames.next() {
                assert_eq!(message[..2], id);
                return Some(String::from_utf8(message[2..].to_vec()).unwrap());
            }
            match exchange.next(LONG, Instant::now() + LONG).await {
                Next::Messages(_) => {}
                Next::End(_) => return None,
                Next::Silence | Next::Late => panic!("nothing came"),
            }
        }
    }

    /// As jobs do it: once more on a connection of its own, where the first one may not count.
    async fn exchange(way: &Way, text: &str) -> Option<String> {
        let mut exchange = way.lines.begin(way, Wanted::Shared);
        ask(&exchange, text);
        let mut heard = hear(&mut exchange).await;
        if heard.is_none() && exchange.may_try_again() {
            exchange = way.lines.begin(way, Wanted::Own);
            ask(&exchange, text);
            heard = hear(&mut exchange).await;
        }
        exchange.finish();
        heard
    }

    #[tokio::test]
    async fn answers_find_their_way_in_any_order_and_interleaved() {
        let (way, connections) = primary(async |mut stream| {
            let mut all = Vec::new();
            while all.len() < LINES + 1
                && let Some(question) = read(&mut stream).await
            {
                all.push(question);
                // The first connection has one question more than there are connections.
                if all.len() == 2 {
                    for _ in 0..3 {
                        write(&mut stream, &all[1]).await;
                        write(&mut stream, &all[0]).await;
                    }
                }
            }
        })
        .await;
        let all: Vec<Exchange> = (0..LINES * 2).map(|_| way.lines.begin(&way, Wanted::Shared)).collect();
        for (number, exchange) in all.iter().enumerate() {
            ask(exchange, &number.to_string());
        }
        let hearing = all.into_iter().enumerate().map(|(number, mut exchange)| {
            tokio::spawn(async move {
                for _ in 0..3 {
                    assert_eq!(hear(&mut exchange).await, Some(number.to_string()));
                }
                exchange.finish();
            })
        });
        for heard in hearing.collect::<Vec<_>>() {
            heard.await.unwrap();
        }
        assert_eq!(connections.load(Ordering::Relaxed), LINES);
    }

    #[tokio::test]
    async fn one_connection_serves_one_question_after_another() {
        let (way, connections) = primary(async |mut stream| {
            while let Some(question) = read(&mut stream).await {
                write(&mut stream, &question).await;
            }
        })
        .await;
        for number in 0..100 {
            assert_eq!(exchange(&way, &number.to_string()).await, Some(number.to_string()));
        }
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        // One who goes away in the midst of an answer leaves a connection that nobody uses any more.
        let left = way.lines.begin(&way, Wanted::Shared);
        ask(&left, "left");
        drop(left);
        assert_eq!(exchange(&way, "next").await, Some("next".into()));
        assert_eq!(connections.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_primary_that_closes_after_each_answer_is_believed_and_nobody_goes_unanswered() {
        let (way, connections) = primary(async |mut stream| {
            if let Some(question) = read(&mut stream).await {
                write(&mut stream, &question).await;
            }
        })
        .await;
        let all: Vec<_> = (0..50)
            .map(|number| {
                let way = way.clone();
                tokio::spawn(async move { exchange(&way, &number.to_string()).await })
            })
            .collect();
        for (number, task) in all.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Some(number.to_string()));
        }
        // From now on each has a connection of its own, at the first try.
        for _ in 0..IN_A_ROW {
            assert!(exchange(&way, "again").await.is_some());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let before = connections.load(Ordering::Relaxed);
        for _ in 0..10 {
            let mut exchange = way.lines.begin(&way, Wanted::Shared);
            ask(&exchange, "own");
            assert_eq!(hear(&mut exchange).await, Some("own".into()));
            exchange.finish();
        }
        assert_eq!(connections.load(Ordering::Relaxed), before + 10);
    }

    #[tokio::test]
    async fn a_foreign_answer_is_judged_by_the_only_one_who_asked_and_parts_all_others() {
        let (way, _) = primary(async |mut stream| {
            while let Some(mut question) = read(&mut stream).await {
                question[0] ^= 0xFF;
                write(&mut stream, &question).await;
            }
        })
        .await;
        let mut only = way.lines.begin(&way, Wanted::Shared);
        ask(&only, "x");
        assert!(matches!(only.next(LONG, Instant::now() + LONG).await, Next::Messages(4 | 5)));
        drop(only);
        let (way, _) = primary(async |mut stream| {
            let first = read(&mut stream).await.unwrap();
            write(&mut stream, &first).await;
            while let Some(mut question) = read(&mut stream).await {
                question[0] ^= 0xFF;
                write(&mut stream, &question).await;
            }
        })
        .await;
        assert_eq!(exchange(&way, "first").await, Some("first".into()));
        let mut second = way.lines.begin(&way, Wanted::Shared);
        ask(&second, "second");
        let next = second.next(LONG, Instant::now() + LONG).await;
        assert!(matches!(next, Next::End(End::GivenUp(_))));
        assert!(second.may_try_again());
    }

    /// A primary that answers all but what begins with `lost`.
    async fn deaf_to_lost() -> Way {
        primary(async |mut stream| {
            while let Some(question) = read(&mut stream).await {
                if !question[2..].starts_with(b"lost") {
                    write(&mut stream, &question).await;
                }
            }
        })
        .await
        .0
    }

    /// Questions that each of the connections there can be has one of.
    fn one_on_each_line(way: &Way, text: &str) -> Vec<Exchange> {
        let all: Vec<_> = (0..LINES).map(|_| way.lines.begin(way, Wanted::Shared)).collect();
        all.iter().for_each(|exchange| ask(exchange, text));
        all
    }

    #[tokio::test]
    async fn an_unanswered_question_is_given_up_though_others_are_answered() {
        let way = deaf_to_lost().await;
        let mut lost = one_on_each_line(&way, "lost");
        let others = way.clone();
        let others = tokio::spawn(async move {
            loop {
                exchange(&others, "x").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let idle = Duration::from_millis(500);
        let next = lost[0].next(idle, Instant::now() + LONG);
        let ended = tokio::time::timeout(Duration::from_secs(30), next).await;
        others.abort();
        assert!(matches!(ended, Ok(Next::Silence)), "many times the time to be silent, and still waiting");
        assert!(lost[0].may_try_again());
    }

    #[tokio::test]
    async fn an_answer_that_begins_and_stops_is_given_up_though_others_are_answered() {
        let way = deaf_to_lost().await;
        let mut begun = one_on_each_line(&way, "begun");
        for begun in &mut begun {
            assert_eq!(hear(begun).await, Some("begun".into()), "one message of more");
        }
        let others = way.clone();
        let others = tokio::spawn(async move {
            for number in 0_u32.. {
                assert_eq!(exchange(&others, &number.to_string()).await, Some(number.to_string()));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let idle = Duration::from_millis(500);
        let next = begun[0].next(idle, Instant::now() + LONG);
        let ended = tokio::time::timeout(Duration::from_secs(30), next).await;
        assert!(!others.is_finished(), "the others are answered");
        others.abort();
        assert!(matches!(ended, Ok(Next::Silence)), "many times the time to be silent, and still waiting");
        assert!(!begun[0].may_try_again(), "its answer had begun");
    }

    #[tokio::test]
    async fn the_first_on_a_connection_that_ended_for_others_may_try_again() {
        // Answers what it is asked last, of two, and closes.
        let (way, _) = primary(async |mut stream| {
            let _first = read(&mut stream).await;
            if let Some(second) = read(&mut stream).await {
                write(&mut stream, &second).await;
            }
        })
        .await;
        let mut first = one_on_each_line(&way, "first");
        assert!(!first[0].may_try_again(), "it is alone");
        let mut second = way.lines.begin(&way, Wanted::Shared);
        ask(&second, "second");
        assert_eq!(hear(&mut second).await, Some("second".into()));
        second.finish();
        let mut may = 0;
        for first in &mut first {
            // The other connections have but one question.
            if let Next::End(_) = first.next(Duration::from_millis(500), Instant::now() + LONG).await {
                may += usize::from(first.may_try_again());
            }
        }
        assert_eq!(may, 1, "it is said to be the primary's failure");
    }

    #[tokio::test]
    async fn one_who_went_away_in_the_midst_ends_nobody_elses_answer() {
        let (way, _) = primary(async |mut stream| {
            let first = read(&mut stream).await.unwrap();
            write(&mut stream, &first).await;
            let Some(second) = read(&mut stream).await else { return };
            let long = [&second[..2], &[7; 60_000]].concat();
            for _ in 0..40 {
                write(&mut stream, &long).await;
            }
            write(&mut stream, &[&first[..2], b"end"].concat()).await;
            let _ = read(&mut stream).await;
        })
        .await;
        let mut first = one_on_each_line(&way, "first");
        for first in &mut first {
            assert_eq!(hear(first).await, Some("first".into()));
        }
        let mut second = way.lines.begin(&way, Wanted::Shared);
        ask(&second, "second");
        assert!(matches!(second.next(LONG, Instant::now() + LONG).await, Next::Messages(_)));
        let at = first.iter().position(|first| first.is_with(&second)).unwrap();
        drop(second);
        assert_eq!(hear(&mut first[at]).await, Some("end".into()));
    }

    #[tokio::test]
    async fn a_connection_full_of_what_nobody_wants_is_given_up_for_those_who_wait_behind_it() {
        let (way, _) = primary(async |mut stream| {
            let question = read(&mut stream).await.unwrap();
            let long = [&question[..2], &[7; 60_000]].concat();
            for _ in 0..200 {
                write(&mut stream, &long).await;
            }
        })
        .await;
        let mut first = one_on_each_line(&way, "first");
        for first in &mut first {
            assert!(matches!(first.next(LONG, Instant::now() + LONG).await, Next::Messages(_)));
        }
        // What came so far is less than what makes a connection one of a long answer.
        let mut second = way.lines.begin(&way, Wanted::Shared);
        ask(&second, "second");
        drop(first);
        assert!(matches!(second.next(LONG, Instant::now() + LONG).await, Next::End(End::GivenUp(_))));
        assert!(second.may_try_again());
        // It was not the primary that ended it: nothing is to be learnt.
        let forgotten = async {
            while !way.lines.pools().by_key.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(LONG, forgotten).await.is_ok(), "{:?}", way.lines.pools().by_key);
    }

    #[tokio::test]
    async fn a_message_that_comes_slowly_is_heard_and_counted_before_it_is_whole() {
        let (way, _) = primary(async |mut stream| {
            let question = read(&mut stream).await.unwrap();
            let begin = [0, 100, question[0], question[1]];
            for octet in begin.into_iter().chain([7; 4]) {
                let _ = stream.write_all(&[octet]).await;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            let _ = read(&mut stream).await;
        })
        .await;
        let mut exchange = way.lines.begin(&way, Wanted::Shared);
        ask(&exchange, "x");
        let (idle, began) = (Duration::from_millis(600), Instant::now());
        assert!(matches!(exchange.next(idle, began + LONG).await, Next::Silence));
        assert_eq!(exchange.octets(), 8);
        assert!(began.elapsed() > Duration::from_millis(1500) && !exchange.may_try_again());
        assert!(matches!(exchange.next(LONG, Instant::now()).await, Next::Late));
    }

    #[tokio::test]
    async fn a_connection_whose_task_is_gone_ends_for_all_and_is_forgotten() {
        let way = deaf_to_lost().await;
        let (line, outbox) = Line::new();
        let key = Key::of(&way);
        way.lines.pools().by_key.entry(key.clone()).or_default().lines.push(Arc::clone(&line));
        let mut exchange = way.lines.begin(&way, Wanted::Shared);
        ask(&exchange, "x");
        let running = Running { lines: way.lines.clone(), key, line, obituary: None };
        let panicked = tokio::spawn(async move {
            let _running = (running, outbox);
            panic!("as a task may");
        });
        assert!(panicked.await.is_err());
        assert!(matches!(exchange.next(LONG, Instant::now() + LONG).await, Next::End(End::GivenUp(_))));
        assert!(exchange.may_try_again() && way.lines.pools().by_key.is_empty());
    }

    #[test]
    fn what_was_learnt_is_believed_for_a_while() {
        let (mut conduct, now) = (Conduct::default(), Instant::now());
        let short = Obituary { served: 1, unheard: 0, by_primary: true };
        conduct.learn(short, now);
        conduct.learn(Obituary { served: 5, ..short }, now);
        conduct.learn(short, now);
        assert!(!conduct.single(now) && !conduct.are_plain(now));
        conduct.learn(Obituary { by_primary: false, ..short }, now);
        conduct.learn(short, now);
        assert!(conduct.single(now) && !conduct.single(now + BELIEVED));
        assert!(conduct.are_plain(now + BELIEVED));
    }
}

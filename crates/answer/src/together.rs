//! Requests that came together. An answer follows pointers, from the index of zones to the slot, the version, the page, and
//! where many zones are served each step waits for memory. So a step is made for several requests before the next one is: their
//! waits are one.

use std::mem;
use std::ops::Range;

use crate::query::Asker;
use crate::refusal::Refused;
use crate::request::{Frame, Question};
use crate::respond::{Outcome, Scratch};
use crate::scene::Scene;
use crate::table::{Presumed, Table};
use crate::{Client, Clock};

/// Requests that are taken together: enough for the processor to have several reads under way, and few enough that each may hold its
/// zone, and some the next zones of their chains, without touching a shared counter: for that a thread has eight places.
pub(crate) const TOGETHER: usize = 4;

/// A request that came with others.
pub struct Arrival<'r, T> {
    /// Its octets.
    pub request: &'r [u8],
    /// Who asks.
    pub client: Client,
    /// What the asker of [`respond_each`] knows it by.
    pub mark: T,
}

/// What came of one of them.
pub struct Answered<'s> {
    /// As of [`respond`](crate::respond).
    pub outcome: Outcome,
    /// Where the reply stands; empty where there is none.
    pub reply: Range<usize>,
    /// Why it was not granted, as of [`Scratch::refused`].
    pub refused: Option<&'s Refused>,
}

/// Answers each request as [`respond`](crate::respond) does, in their order; the replies are appended to `out`, and `told` hears of each.
pub fn respond_each<'r, T>(
    requests: impl IntoIterator<Item = Arrival<'r, T>>,
    table: &Table,
    clock: Clock,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    mut told: impl FnMut(Arrival<'r, T>, Answered<'_>),
) {
    let mut requests = requests.into_iter().fuse();
    let mut next = requests.next();
    while next.is_some() {
        let mut some = [const { None }; TOGETHER];
        some.iter_mut().for_each(|place| *place = mem::replace(&mut next, requests.next()));
        respond_together(&mut some, table, clock, scratch, out, &mut told);
    }
}

/// How far a request has come. Nothing of it is moved: that would cost more than is won.
#[derive(Default)]
struct Way<'r, 't> {
    frame: Option<Frame<'r>>,
    presumed: Option<Presumed<'t, 'r>>,
    scene: Option<Scene<'t>>,
}

impl<'r> Way<'r, '_> {
    fn question(&self) -> Option<Question<'r>> {
        self.frame.as_ref()?.question
    }
}

fn respond_together<'r, T>(
    some: &mut [Option<Arrival<'r, T>>; TOGETHER],
    table: &Table,
    clock: Clock,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    told: &mut impl FnMut(Arrival<'r, T>, Answered<'_>),
) {
    let Scratch { keys, desk } = scratch;
    let mut ways: [Way<'_, '_>; TOGETHER] = Default::default();
    for (way, arrival) in ways.iter_mut().zip(some.iter().flatten()) {
        way.frame = Frame::parse(arrival.request);
        way.question().into_iter().for_each(|question| table.expect(question.name));
    }
    for way in &mut ways {
        way.presumed = way.question().and_then(|question| table.presumed(question.name));
    }
    for way in &mut ways {
        way.scene = way
            .question()
            .zip(way.presumed)
            .and_then(|(question, presumed)| Scene::of(presumed, question, table, clock));
    }
    let mut approached = [const { None }; TOGETHER];
    for ((way, approached), key) in ways.iter().zip(&mut approached).zip(&mut *keys) {
        *approached =
            way.question().zip(way.scene.as_ref()).map(|(question, scene)| scene.approach(question, key));
    }
    for (((arrival, way), approached), key) in some.iter_mut().zip(&ways).zip(approached).zip(keys) {
        let Some(arrival) = arrival.take() else { return };
        let from = out.len();
        let outcome = match &way.frame {
            Some(frame) => desk.answer(frame, approached, Asker::new(table, arrival.client, clock), key, out),
            None => desk.pass_over(),
        };
        told(arrival, Answered { outcome, reply: from..out.len(), refused: desk.refused() });
    }
}

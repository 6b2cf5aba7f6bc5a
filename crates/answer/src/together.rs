//! Requests that came together. An answer follows pointers, from the index of zones to the slot, the version, the page, and
//! where many zones are served each step waits for memory. So a step is made for several requests before the next one is: their
//! waits are one.

use std::array;
use std::ops::Range;

use crate::query::Asker;
use crate::refusal::Refused;
use crate::request::Frame;
use crate::respond::{Outcome, Scratch};
use crate::scene::Scene;
use crate::table::Table;
use crate::{Client, Clock};

/// Requests that are taken together: enough for the processor to have several reads under way, and few enough that each may hold its
/// zone without touching a shared counter, for which a thread has eight places.
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
    loop {
        let some: [_; TOGETHER] = array::from_fn(|_| requests.next());
        if some[0].is_none() {
            return;
        }
        respond_together(some, table, clock, scratch, out, &mut told);
    }
}

fn respond_together<'r, T>(
    some: [Option<Arrival<'r, T>>; TOGETHER],
    table: &Table,
    clock: Clock,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    told: &mut impl FnMut(Arrival<'r, T>, Answered<'_>),
) {
    let Scratch { keys, desk } = scratch;
    let frames = some.each_ref().map(|asked| Frame::parse(asked.as_ref()?.request));
    let questions = frames.each_ref().map(|frame| frame.as_ref()?.question);
    questions.iter().flatten().for_each(|question| table.expect(question.name));
    let presumed = questions.map(|question| table.presumed(question?.name));
    let scenes: [_; TOGETHER] = array::from_fn(|at| Scene::of(presumed[at]?, questions[at]?, table, clock));
    let approached: [_; TOGETHER] =
        array::from_fn(|at| Some(scenes[at].as_ref()?.approach(questions[at]?, &mut keys[at])));
    for (((asked, frame), approached), key) in some.into_iter().zip(frames).zip(approached).zip(keys) {
        let Some(asked) = asked else { return };
        let from = out.len();
        let outcome = match frame {
            Some(frame) => desk.answer(frame, approached, Asker::new(table, asked.client, clock), key, out),
            None => desk.pass_over(),
        };
        told(asked, Answered { outcome, reply: from..out.len(), refused: desk.refused() });
    }
}

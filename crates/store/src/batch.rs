//! What is asked at once, and shares a transaction.

use std::sync::mpsc::Receiver;

use crate::bounds::size;
use crate::op::Op;

/// Most operations that share a transaction...
const BATCH: usize = 4096;
/// ...and most octets of pages.
const BATCH_OCTETS: u64 = 16 << 20;

/// What shares a transaction with `first`; whether the end was among it.
pub(crate) fn collect(first: Op, inbox: &Receiver<Op>) -> (Vec<Op>, bool) {
    let (mut batch, mut octets, mut last) = (Vec::new(), 0, false);
    let mut next = Some(first);
    while let Some(op) = next {
        match op {
            Op::End => last = true,
            Op::Commit(commit) => {
                octets += size(commit.zone());
                batch.push(Op::Commit(commit));
            }
            op => batch.push(op),
        }
        let full = batch.len() >= BATCH || octets >= BATCH_OCTETS;
        next = if full { None } else { inbox.try_recv().ok() };
    }
    (batch, last)
}

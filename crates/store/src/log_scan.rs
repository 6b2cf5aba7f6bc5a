//! Whether SQLite's write-ahead log has lost commits to damage. SQLite takes a log up to the first frame that fails its
//! checksum and says nothing of what follows, since after a loss of power that is the rule: the frames of the last
//! transaction come to the disk in any order, or some of them, and those of one that was never finished stay until others
//! are written over them. What it cannot leave is a frame that goes on from the checksum of a commit behind the first that
//! fails: that commit was synced before, and was whole once (the form is that of SQLite's file format, "The Write-Ahead
//! Log").

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// What begins a log; the last bit is set when its checksums take words as big-endian.
const MAGIC: u32 = 0x377F_0682;

/// What is to be said of a log whose damage hides commits; `None` for one that is whole, torn at its end, or not there.
pub(crate) fn lost_commits(log: &Path) -> Option<String> {
    let file = File::open(log).ok()?;
    // What cannot be read SQLite will tell of.
    scan(BufReader::with_capacity(1 << 16, file)).ok().flatten()
}

fn scan(mut log: impl Read) -> io::Result<Option<String>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let Some(Header { big_endian, page, salts, mut sums }) = Header::read(&header) else {
        return Ok(Some("its header is damaged: all commits in it are lost".into()));
    };
    let mut frame = vec![0; FRAME_HEADER + page];
    // The first frame that fails; and what the next one goes on from, if that may have been a commit.
    let (mut number, mut broken, mut commit) = (0_u64, None, None);
    while fill(&mut log, &mut frame)? {
        number += 1;
        let (head, rest) = frame.split_at(8);
        let (stored, content) = rest.split_at(FRAME_HEADER - 8);
        let (own, stored) = (stored.get(..8) == Some(&salts[..]), stored.get(8..).and_then(sums_of));
        let follows =
            |before| own && stored == Some(checksum(content, checksum(head, before, big_endian), big_endian));
        if let (Some(first), Some(before)) = (broken, commit)
            && follows(before)
        {
            return Ok(Some(format!("frame {first} is damaged: the commits behind it are lost")));
        }
        match stored {
            Some(stored) if broken.is_none() && follows(sums) => sums = stored,
            _ => broken = broken.or(Some(number)),
        }
        // The last frame of a commit says how large the database is then.
        commit = stored.filter(|_| own && head.get(4..) != Some(&[0; 4]));
    }
    Ok(None)
}

/// What a log's header says.
struct Header {
    big_endian: bool,
    /// Octets of a page.
    page: usize,
    salts: [u8; 8],
    /// The checksum that the first frame's goes on from.
    sums: (u32, u32),
}

impl Header {
    /// `None` for one that is damaged.
    fn read(octets_of: &[u8; HEADER]) -> Option<Header> {
        let word = |at: usize| {
            let word = octets_of.get(at..at + 4)?;
            Some(u32::from_be_bytes(word.try_into().ok()?))
        };
        let (magic, page) = (word(0)?, usize::try_from(word(8)?).ok()?);
        let big_endian = magic & 1 == 1;
        let sums = checksum(octets_of.get(..24)?, (0, 0), big_endian);
        let whole = magic & !1 == MAGIC && octets_of.get(24..).and_then(sums_of) == Some(sums);
        let sizes = (512..=65_536).contains(&page) && page.is_power_of_two();
        let salts = octets_of.get(16..24)?.try_into().ok()?;
        (whole && sizes).then_some(Header { big_endian, page, salts, sums })
    }
}

/// SQLite's checksum of eight octets at a time.
fn checksum(octets: &[u8], (mut a, mut b): (u32, u32), big_endian: bool) -> (u32, u32) {
    let word = |octets: [u8; 4]| {
        if big_endian { u32::from_be_bytes(octets) } else { u32::from_le_bytes(octets) }
    };
    for &[p, q, r, s, t, u, v, w] in octets.as_chunks::<8>().0 {
        a = a.wrapping_add(word([p, q, r, s])).wrapping_add(b);
        b = b.wrapping_add(word([t, u, v, w])).wrapping_add(a);
    }
    (a, b)
}

fn sums_of(octets: &[u8]) -> Option<(u32, u32)> {
    let both = u64::from_be_bytes(octets.try_into().ok()?);
    Some(((both >> 32) as u32, both as u32))
}

/// Whether there was so much.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    /// A log of several commits, and one of them with frames of an earlier round behind it.
    fn logs() -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x)").unwrap();
        let log = || std::fs::read(folder.path().join("some.db-wal")).unwrap();
        let commit = |n: i32| assert_eq!(db.execute("INSERT INTO t VALUES(zeroblob(?))", [n * 3000]), Ok(1));
        (1..5).for_each(commit);
        let first = log();
        db.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        (1..3).for_each(commit);
        let second = log();
        assert_eq!(first.len(), second.len(), "the second round is the shorter one");
        vec![first, second]
    }

    #[test]
    fn a_log_that_is_whole_or_cut_short_says_nothing() {
        for log in logs() {
            for cut in (0..=log.len()).rev().step_by(511) {
                assert_eq!(scan(&log[..cut]).unwrap(), None, "cut at {cut}");
            }
        }
    }

    const FRAME: usize = FRAME_HEADER + 4096;

    /// Where the commits of a log end.
    fn ends(log: &[u8]) -> Vec<usize> {
        let frames = log[HEADER..].chunks(FRAME).enumerate();
        let last = frames.filter(|(_, frame)| frame[4..8] != [0; 4]);
        last.map(|(number, _)| HEADER + (number + 1) * FRAME).collect()
    }

    #[test]
    fn damage_before_other_commits_is_said_wherever_it_is() {
        let log = &logs()[0];
        let ends = ends(log);
        let last = ends[ends.len() - 2];
        // Without them nobody knows what goes on from it.
        let sums_of_the_last = last - FRAME + 8..last - FRAME + FRAME_HEADER;
        let everywhere = (0..last).step_by(37).chain(0..HEADER + FRAME_HEADER).chain(last - FRAME..last);
        for at in everywhere.filter(|at| !sums_of_the_last.contains(at)) {
            let mut flipped = log.clone();
            flipped[at] ^= 0x80;
            let said = scan(&flipped[..]).unwrap();
            let number = at.checked_sub(HEADER).map(|at| at / FRAME + 1);
            let expected = number.map_or("its header".into(), |number| format!("frame {number} "));
            assert!(said.is_some_and(|said| said.starts_with(&expected)), "octet {at}");
        }
    }

    #[test]
    fn the_last_commit_may_be_torn_anywhere() {
        let log = &logs()[0];
        let ends = ends(log);
        let last = ends[ends.len() - 2];
        assert!(log.len() - last > 2 * FRAME, "it has several frames");
        for at in (last..log.len()).step_by(37) {
            let mut torn = log.clone();
            torn[at] ^= 1;
            assert_eq!(scan(&torn[..]).unwrap(), None, "octet {at}");
        }
    }

    #[test]
    fn frames_of_a_commit_that_was_never_finished_may_stand_behind_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.db");
        let log = || std::fs::read(folder.path().join("some.db-wal")).unwrap();
        let open = || {
            let db = Connection::open(&path).unwrap();
            db.execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0").unwrap();
            db
        };
        let db = open();
        db.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(40000))").unwrap();
        let (main, mut torn) = (std::fs::read(&path).unwrap(), log());
        drop(db);
        // Without its last frame, and then a shorter one in its place.
        torn.truncate(torn.len() - FRAME);
        std::fs::write(&path, main).unwrap();
        std::fs::write(folder.path().join("some.db-wal"), &torn).unwrap();
        let db = open();
        db.execute_batch("INSERT INTO t VALUES(1)").unwrap();
        let mut after = log();
        assert_eq!(after.len(), torn.len(), "the frames are still there");
        assert!(after != torn);
        assert_eq!(scan(&after[..]).unwrap(), None);
        // And that one is torn too, but for the header of its last frame: what stands behind does not go on from it.
        let first = after.iter().zip(&torn).position(|(after, torn)| after != torn).unwrap();
        let other = (first - HEADER) / FRAME * FRAME + HEADER;
        let commit = ends(&after).into_iter().find(|end| *end > other).unwrap();
        assert!(commit < after.len());
        after[commit - 1] ^= 1;
        assert_eq!(scan(&after[..]).unwrap(), None);
    }
}

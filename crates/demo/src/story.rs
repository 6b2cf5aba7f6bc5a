//! The story, act by act. Nothing is said before it was seen.

use std::thread;
use std::time::{Duration, Instant};

use secondo_sim::RecordType;

use crate::numbers::{count, size, span};
use crate::stage::{EXPIRE, KEY, REFRESH, RETRY, SOON, Stage, key};
use crate::voice::Voice;

/// What the primary changes in the second act.
const CHANGE: &str = "\
    - tickets 300 A 192.0.2.82
    + tickets 300 A 198.51.100.82
    + encore 300 TXT \"one more, please\"";

/// Tells it from the first transfer to the revival. An error says what was not seen.
pub fn tell(stage: &mut Stage, voice: &mut Voice, start: Instant) -> Result<(), String> {
    stage.daemon.start().map_err(|error| format!("the daemon cannot be started: {error}"))?;
    opening(stage, voice);
    first_transfer(stage, voice, start)?;
    notify_and_difference(stage, voice)?;
    wrong_key(stage, voice)?;
    death(stage, voice)?;
    crash(stage, voice)?;
    expiry(stage, voice)?;
    revival(stage, voice)
}

fn opening(stage: &Stage, voice: &mut Voice) {
    let players = [
        (
            "primary",
            format!("{}  scripted, with duet.example at serial {}", stage.primary.address(), stage.newest()),
        ),
        (
            "secondo",
            format!(
                "{}  the real daemon, process {}",
                stage.daemon.address(),
                stage.daemon.process().unwrap_or_default()
            ),
        ),
        (
            "timers",
            format!(
                "refresh 1 h, retry 10 min, expire 14 d by the zone; held to {}, {} and {} s here",
                REFRESH.as_secs(),
                RETRY.as_secs(),
                EXPIRE.as_secs()
            ),
        ),
    ];
    voice.opening("secondo, a secondary DNS server: its whole story on loopback", &players);
}

fn first_transfer(stage: &mut Stage, voice: &mut Voice, start: Instant) -> Result<(), String> {
    voice.act("The first transfer");
    let serial = stage.newest();
    stage.event(0, "daemon.ready", SOON, |_| true)?;
    let finished = stage.event(0, "transfer.finished", SOON, |e| e.text("kind") == "axfr")?;
    let published = stage.event(0, "zone.published", SOON, |e| e.serial() == Some(serial))?;
    let number = |field| finished.number(field).unwrap_or_default();
    voice.seen(&format!(
        "AXFR, each message sealed with hmac-sha256: {}, {} in {} ms",
        count(number("records"), "record"),
        size(number("bytes")),
        number("ms").max(1),
    ));
    voice.seen(&format!(
        "checked, on disk, and served {} after the daemon was started",
        span(published.at.saturating_duration_since(start))
    ));
    let records = stage.same_zone()?;
    voice.seen(&format!("fetched back from secondo: all {} are the primary's", count(records, "record")));

    let wildcard = stage.ask("anybody.guests", RecordType::TXT)?;
    let kept = wildcard.answers.iter().find(|rr| rr.rdata.ends_with(b"kept for you"));
    let kept = kept.filter(|_| wildcard.authoritative).ok_or("a wildcard was not answered from")?;
    voice.seen(&format!("answers with authority: {kept}"));
    let referral = stage.ask("class.school", RecordType::A)?;
    let cut = referral.authority.first().filter(|rr| rr.rtype == RecordType::NS && !referral.authoritative);
    voice.seen(&format!("refers to others: {}", cut.ok_or("a delegation was not referred to")?));
    let nothing = stage.ask("silence", RecordType::A)?;
    if (nothing.rcode, nothing.authoritative, nothing.authority.len()) != (3, true, 1) {
        return Err("a name that does not exist was not denied with NXDOMAIN and the SOA".into());
    }
    voice.seen("denies with authority: silence.duet.example. does not exist");
    Ok(())
}

fn notify_and_difference(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("A change, NOTIFY and IXFR");
    let (old, mark) = (stage.newest(), stage.daemon.log().mark());
    let latency = publish(stage, CHANGE)?;
    let serial = stage.newest();
    voice.seen(&format!("the primary goes from serial {old} to {serial} and sends one sealed NOTIFY"));
    voice.lines(CHANGE);
    stage.event(mark, "notify.accepted", SOON, |_| true)?;
    let finished = stage.event(mark, "transfer.finished", SOON, |e| e.serial() == Some(serial))?;
    if finished.text("kind") != "ixfr" {
        return Err(format!("the change did not come as a difference but as {}", finished.text("kind")));
    }
    let number = |field| finished.number(field).unwrap_or_default();
    voice.seen(&format!("IXFR: {}, {}", count(number("records"), "record"), size(number("bytes"))));
    let encore = stage.ask("encore", RecordType::TXT)?;
    let encore = encore.answers.first().ok_or("the new record is not answered")?.to_string();
    voice.seen(&format!("answered {} after the NOTIFY left: {encore}", span(latency)));
    let tickets = stage.ask("tickets", RecordType::A)?;
    let gone = tickets.answers.iter().all(|rr| rr.rdata != [192, 0, 2, 82]);
    if !gone || tickets.answers.len() != 2 {
        return Err("the RRset of tickets.duet.example. is not the primary's".into());
    }
    stage.same_zone().map(drop)
}

fn wrong_key(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("The wrong key");
    let (served, mark) = (stage.newest(), stage.daemon.log().mark());
    stage.primary.require(&[key(b"a secret that only one side knows")?]);
    change(stage, "+ forged 300 A 192.0.2.66")?;
    voice.waiting("the primary has another secret now, and a change; waiting for the next refresh");
    let failed = stage.event(mark, "refresh.failed", SOON, |_| true)?;
    let reason = failed.text("reason").to_owned();
    if !reason.starts_with("tsig-") {
        return Err(format!("a wrong key was noticed as {reason}"));
    }
    voice.seen(&format!("{KEY} has another secret at the primary: {reason}, so nothing of it is believed"));
    if stage.serial() != Some(served) || stage.ask("forged", RecordType::A)?.rcode != 3 {
        return Err("the version before was not served on".into());
    }
    voice.seen(&format!("serial {served} is served on; next try in {} s", failed.seconds("next_in")));
    let right = stage.key.clone();
    stage.primary.require(&[right]);
    let latency = publish(stage, "- forged A 192.0.2.66\n+ tuned 300 TXT \"in tune again\"")?;
    stage.same_zone()?;
    voice.seen(&format!(
        "the right key again, one NOTIFY: serial {} is served {} later",
        stage.newest(),
        span(latency)
    ));
    Ok(())
}

fn death(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("The primary dies");
    let (served, mark) = (stage.newest(), stage.daemon.log().mark());
    stage.primary.die();
    voice.waiting("its port is shut; waiting for the next refresh");
    let failed = stage.event(mark, "refresh.failed", SOON, |_| true)?;
    voice.seen(&format!(
        "the refresh fails: {}; next try in {} s",
        failed.text("reason"),
        failed.seconds("next_in")
    ));
    if stage.serial() != Some(served) {
        return Err("the zone was not answered from while the primary was dead".into());
    }
    voice.seen(&format!("still answered with authority, at serial {served}"));
    Ok(())
}

fn crash(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("The daemon is killed");
    let (served, mark) = (stage.newest(), stage.daemon.log().mark());
    stage.daemon.kill().map_err(|error| format!("the daemon cannot be killed: {error}"))?;
    let start = Instant::now();
    stage.daemon.start().map_err(|error| format!("the daemon cannot be started again: {error}"))?;
    stage.event(mark, "zone.restored", SOON, |e| e.serial() == Some(served))?;
    stage.until("an answer after the restart", SOON, |stage| {
        let answered = stage.serial() == Some(served);
        // A port that is still shut says so at once.
        if !answered {
            thread::sleep(Duration::from_millis(1));
        }
        answered.then_some(())
    })?;
    voice.seen(&format!(
        "SIGKILL, and started again: serial {served} is answered {} later, from disk",
        span(start.elapsed())
    ));
    Ok(())
}

fn expiry(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("Expiry");
    let confirmed = stage.confirmed().ok_or("the log tells of no contact with the primary")?;
    let mark = stage.daemon.log().mark();
    let (limit, mut said, mut last_answered) = (EXPIRE + SOON, u64::MAX, confirmed);
    let answer = stage.until("SERVFAIL for an expired zone", limit, |stage| {
        let asked = Instant::now();
        let answer = stage.ask("@", RecordType::SOA).ok()?;
        if answer.rcode == 2 {
            return Some(answer);
        }
        last_answered = asked;
        let left = EXPIRE.saturating_sub(confirmed.elapsed()).as_secs() + 1;
        if said != left {
            said = left;
            voice.waiting(&format!("no contact since {}; expires in {left} s", span(confirmed.elapsed())));
        }
        thread::sleep(Duration::from_millis(5));
        None
    })?;
    let after = confirmed.elapsed();
    let (code, text) = answer.errors.first().ok_or("SERVFAIL came without an extended error")?.clone();
    if code != 24 || !answer.answers.is_empty() {
        return Err(format!("an expired zone was answered with extended error {code}"));
    }
    stage.event(mark, "zone.expired", SOON, |_| true)?;
    let tries = stage.daemon.log().since(mark).iter().filter(|e| e.name() == "refresh.failed").count();
    voice.seen(&format!("the dead primary was asked {} in vain", count(tries as u64, "more time")));
    // The log is read a moment after the contact that it tells of, so no answer may come later than this allows.
    if last_answered > confirmed + EXPIRE || after + Duration::from_secs(2) < EXPIRE {
        return Err(format!("the zone was answered from until {} after the last contact", span(after)));
    }
    voice.seen(&format!("{} after the last contact, and the crash did not move it: SERVFAIL", span(after)));
    voice.seen(&format!("EDE {code} (Invalid Data): {text}"));
    Ok(())
}

fn revival(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    voice.act("Revival");
    let mark = stage.daemon.log().mark();
    change(stage, "+ finale 300 TXT \"and they lived happily ever after\"")?;
    let serial = stage.newest();
    stage.primary.revive().map_err(|error| format!("the primary cannot come back: {error}"))?;
    let back = Instant::now();
    voice.waiting("the primary is back; waiting for the next retry");
    stage.event(mark, "zone.revived", SOON, |_| true)?;
    stage.until("the primary's serial", SOON, |stage| {
        thread::sleep(Duration::from_millis(1));
        (stage.serial() == Some(serial)).then_some(())
    })?;
    let records = stage.same_zone()?;
    voice.seen(&format!(
        "served again {} after the primary came back: serial {serial}, {}",
        span(back.elapsed()),
        count(records, "record")
    ));
    let finale = stage.ask("finale", RecordType::TXT)?;
    voice.seen(&finale.answers.first().ok_or("the last change is not answered")?.to_string());
    Ok(())
}

/// The next version at the primary; tells nobody.
pub(crate) fn change(stage: &Stage, lines: &str) -> Result<(), String> {
    stage.primary.change(&stage.apex, lines).map(drop).map_err(|error| format!("no change: {error}"))
}

/// The next version at the primary, and a NOTIFY: how long after it left the daemon answers from that version.
pub(crate) fn publish(stage: &mut Stage, lines: &str) -> Result<Duration, String> {
    change(stage, lines)?;
    let serial = stage.newest();
    thread::scope(|scope| {
        let (primary, apex) = (&stage.primary, &stage.apex);
        let sent = Instant::now();
        let notify = scope.spawn(move || primary.notify(apex));
        let answered = loop {
            if stage.serial() == Some(serial) {
                break Ok(sent.elapsed());
            }
            if stage.interrupted() {
                break Err("interrupted while waiting for an answer".into());
            }
            if sent.elapsed() > SOON {
                break Err(format!(
                    "serial {serial} was not served within {} s of its NOTIFY",
                    SOON.as_secs()
                ));
            }
        };
        let told = notify.join().map_err(|_| "the primary's NOTIFY ended in a panic".to_owned())?;
        let told = told.map_err(|error| format!("the NOTIFY was not answered: {error}"))?;
        match told.iter().find(|answer| answer.rcode.0 != 0) {
            Some(answer) => Err(format!("the NOTIFY was answered with code {}", answer.rcode.0)),
            None => answered,
        }
    })
}

//! BIND's validator `delv` asks secondo as it would ask the Internet, from the keys of the zones on.

use std::net::SocketAddr;

use interop::message::{Question, Reply, flag};
use interop::name::Name;
use interop::record::{mnemonic, rtype};
use interop::{Folder, peers, process};

/// The program that is needed.
pub(crate) const PROGRAM: &str = "delv";

/// What the validator says of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Signed, and every signature and proof is there.
    Secure,
    /// Provably not signed.
    Insecure,
    /// Neither.
    Bogus,
}

/// A validator with the keys of one zone.
pub(crate) struct Validator {
    folder: Folder,
    apex: String,
}

impl Validator {
    /// With the trust anchors of a zone as [`interop::signer::Signer::anchor`] writes them.
    pub(crate) fn new(apex: &str, anchor: &str) -> Self {
        let folder = Folder::fresh();
        std::fs::write(folder.path().join("anchors"), anchor).expect("our own folder is writable");
        Self { folder, apex: apex.to_owned() }
    }

    /// The zone whose keys it has.
    pub(crate) fn apex(&self) -> Name {
        Name::of(&self.apex)
    }

    /// Asks `server`, and the same server for all that validation needs.
    pub(crate) fn validate(&self, server: SocketAddr, question: &Question) -> (Standing, String) {
        let anchors = self.folder.path().join("anchors");
        let (host, port) = (format!("@{}", server.ip()), server.port().to_string());
        let (root, name) = (format!("+root={}", self.apex), question.name.to_string());
        let rtype = mnemonic(question.rtype);
        let arguments = [
            host.as_str(),
            "-p",
            &port,
            "-a",
            &anchors.to_string_lossy(),
            &root,
            "-q",
            &name,
            "-t",
            &rtype,
            "+rtrace",
        ];
        let outcome = process::outcome(&peers::program(PROGRAM), &arguments);
        let text = outcome.output + &outcome.errors;
        // One line for each part of a chain; each counts.
        let says = |what: &str| text.lines().any(|line| line.starts_with("; ") && line.contains(what));
        let failed =
            text.lines().any(|line| line.starts_with(";; resolution failed") && !line.contains("ncache"));
        let standing = match () {
            () if failed => Standing::Bogus,
            () if says("unsigned answer") => Standing::Insecure,
            () if says("fully validated") => Standing::Secure,
            () => Standing::Bogus,
        };
        (standing, text)
    }
}

/// Whether the validator cannot be asked for a type, as no single RRset answers it.
pub(crate) fn is_unusual(number: u16) -> bool {
    [rtype::ANY, rtype::RRSIG, rtype::NSEC3].contains(&number)
}

/// What the validator must say of our reply, if it is one that it can follow from `root` on: with authority, and every
/// alias in it leading to a name below `root`. `unsigned` are the zones without keys.
pub(crate) fn expected(
    question: &Question,
    reply: &Reply,
    root: &Name,
    unsigned: &[Name],
    chain: &[Name],
) -> Option<&'static [Standing]> {
    // Of an alias asked for itself nothing is followed.
    let chain = if question.rtype == rtype::CNAME { chain.get(..1)? } else { chain };
    let cannot_follow = [rtype::NSEC, rtype::RRSIG].contains(&question.rtype) && chain.len() > 1
        || question.rtype == rtype::NSEC && chain.iter().any(|name| unsigned.contains(name))
        || question.rtype == rtype::DS && chain.contains(root)
        || [rtype::DNAME, rtype::CNAME].contains(&question.rtype)
            && reply.answer.iter().any(|record| record.rtype == rtype::DNAME);
    let within = chain.iter().all(|name| name.is_at_or_below(root));
    let last = chain.last()?;
    // A validator gives up on a long chain as on one that leads back, and follows what is asked for a CNAME too where it
    // comes of a DNAME.
    let into_itself = reply.answer.iter().any(|record| {
        record.rtype == rtype::DNAME
            && record.target().is_some_and(|target| target.is_at_or_below(&record.owner))
    });
    let loops = into_itself || chain.iter().filter(|name| *name == last).count() > 1 || chain.len() > 8;
    let refers = crate::rules::cut(reply).is_some();
    if is_unusual(question.rtype)
        || cannot_follow
        || !within
        || loops
        || refers
        || !reply.has(flag::AA)
        || ![0, 3].contains(&reply.rcode)
    {
        return None;
    }
    let asks_parent = |name: &Name, zone: &Name| question.rtype == rtype::DS && name == zone;
    if chain
        .iter()
        .any(|name| unsigned.iter().any(|zone| name.is_at_or_below(zone) && !asks_parent(name, zone)))
    {
        return Some(&[Standing::Insecure]);
    }
    // RFC 5155 §6: a span with opt-out proves nothing about the names in it.
    let opt_out = reply.authority.iter().any(crate::rules::is_opt_out);
    Some(if opt_out { &[Standing::Secure, Standing::Insecure] } else { &[Standing::Secure] })
}

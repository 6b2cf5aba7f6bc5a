//! What is said beside the zones' own data, and to whom less is said: identity, cookies, rate limit. All of it holds
//! from a reload on.

use std::path::Path;

use secondo_answer::{Cookies, Identity, RateLimit};
use zeroize::Zeroizing;

use super::access;
use super::keys::{SECRET_FILE, private_file};
use super::problem::Findings;
use super::tree::Node;
use super::walk::{self, Fields, Words};

/// Longest text that the server tells of itself, in octets (RFC 1035 §3.3).
const MAX_TEXT: usize = 255;
/// Most secrets: each is tried for a cookie that none of them made.
const MAX_SECRETS: usize = 8;

const IDENTITY: Words =
    Words { of: "`identity`", known: &["id", "nsid", "version"], later: &[], private: false };
const COOKIES: Words = Words { of: "`cookies`", known: &["secret-file"], later: &[], private: true };

const RATE_LIMIT: Words = Words {
    of: "`rate-limit`",
    known: &["responses-per-second", "slip", "ipv4-prefix", "ipv6-prefix", "exempt"],
    later: &[],
    private: false,
};

/// What answers say beside the zones' own data.
#[derive(Clone, Debug, Default)]
pub struct AnswersConfig {
    /// What the server tells of itself.
    pub identity: Identity,
    /// The secrets of DNS cookies; `None`: one made at start.
    pub cookies: Option<Cookies>,
    /// How answers over UDP are limited; `None`: they are not.
    pub rate_limit: Option<RateLimit>,
}

impl AnswersConfig {
    /// The keys of the settings that are others in `new`.
    pub fn changes(&self, new: &AnswersConfig) -> Vec<String> {
        let changed = [
            ("identity", self.identity != new.identity),
            ("cookies", self.cookies != new.cookies),
            ("rate-limit", self.rate_limit != new.rate_limit),
        ];
        changed.iter().filter(|(_, differs)| *differs).map(|(key, _)| (*key).to_string()).collect()
    }
}

/// Reads the top level's own keys. The secret file is sought from `folder`.
pub(super) fn read(fields: &Fields<'_>, folder: &Path, findings: &mut Findings) -> AnswersConfig {
    let written = |word| fields.of(word).filter(|node| !node.is_null());
    AnswersConfig {
        identity: written("identity").map(|node| identity(node, findings)).unwrap_or_default(),
        cookies: written("cookies").and_then(|node| cookies(node, folder, findings)),
        rate_limit: written("rate-limit").and_then(|node| rate_limit(node, findings)),
    }
}

fn identity(node: &Node, findings: &mut Findings) -> Identity {
    let Some(fields) = walk::fields(node, &IDENTITY, findings) else { return Identity::default() };
    let mut text = |word: &str| fields.of(word).and_then(|node| short_text(node, findings)).map(Box::from);
    Identity { id: text("id"), nsid: text("nsid"), version: text("version") }
}

fn short_text<'n>(node: &'n Node, findings: &mut Findings) -> Option<&'n str> {
    let text = walk::text(node, "a text such as ns2.example.net", findings)?;
    if (1..=MAX_TEXT).contains(&text.len()) {
        return Some(text);
    }
    let message = format!("the text is {} octets long, expected 1 to {MAX_TEXT}", text.len());
    findings.error(node.mark, message);
    None
}

fn cookies(node: &Node, folder: &Path, findings: &mut Findings) -> Option<Cookies> {
    let fields = walk::fields(node, &COOKIES, findings)?;
    let node = fields.of("secret-file")?;
    let (named, octets) = private_file(node, SECRET_FILE, "the path of a file of secrets", folder, findings)?;
    match secrets(&octets) {
        Ok(secrets) => {
            let (first, others) = secrets.split_first()?;
            Some(Cookies::new(*first, others.iter().copied()))
        }
        Err(wrong) => {
            findings.error(node.mark, format!("in {named}: {wrong}"));
            None
        }
    }
}

fn rate_limit(node: &Node, findings: &mut Findings) -> Option<RateLimit> {
    let fields = walk::fields(node, &RATE_LIMIT, findings)?;
    let mut number = |word: &str, least: u64, most: u64, default: u32| {
        let value = fields.of(word).and_then(|node| walk::number(node, least, most, findings));
        value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default)
    };
    let responses_per_second = number("responses-per-second", 0, 100_000, 0);
    let mut octet = |word, least, most, default| u8::try_from(number(word, least, most, default)).ok();
    let (slip, ipv4_prefix, ipv6_prefix) =
        (octet("slip", 0, 10, 2)?, octet("ipv4-prefix", 1, 32, 24)?, octet("ipv6-prefix", 1, 128, 56)?);
    let exempt = fields.of("exempt").map(|node| {
        let items = walk::list(node, "a list such as [192.0.2.1, \"2001:db8::/32\"]", findings)?;
        items.iter().map(|item| access::prefix(item, findings)).collect::<Vec<_>>().into_iter().collect()
    });
    let exempt = exempt.unwrap_or_else(|| Some(Vec::new()))?;
    let limit = RateLimit { responses_per_second, slip, ipv4_prefix, ipv6_prefix, exempt };
    (responses_per_second > 0).then_some(limit)
}

/// One secret a line, 32 hexadecimal digits; empty lines and those that begin with `#` are left out. The error repeats
/// nothing of the file.
fn secrets(octets: &[u8]) -> Result<Zeroizing<Vec<[u8; 16]>>, String> {
    // Room at once: growing would leave unwiped copies behind.
    let mut secrets = Zeroizing::new(Vec::with_capacity(MAX_SECRETS));
    let lines = octets.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    for (n, line) in lines.enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#")) {
        let secret = from_hex(line)
            .ok_or_else(|| format!("line {} is no secret, expected 32 hexadecimal digits", n + 1))?;
        if secrets.len() == MAX_SECRETS {
            return Err(format!("too many secrets, expected at most {MAX_SECRETS}"));
        }
        secrets.push(secret);
    }
    if secrets.is_empty() {
        return Err("there is no secret, expected 32 hexadecimal digits on a line".into());
    }
    Ok(secrets)
}

fn from_hex(line: &[u8]) -> Option<[u8; 16]> {
    let mut secret = [0; 16];
    if line.len() != 2 * secret.len() {
        return None;
    }
    for (octet, digits) in secret.iter_mut().zip(line.chunks_exact(2)) {
        for &digit in digits {
            let value = char::from(digit).to_digit(16)?;
            *octet = *octet << 4 | u8::try_from(value).ok()?;
        }
    }
    Some(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "000102030405060708090a0b0c0d0e0f";
    const SECOND: &str = "FFEEDDCCBBAA99887766554433221100";

    #[test]
    fn secrets_stand_one_on_a_line() {
        let read = |text: &str| secrets(text.as_bytes()).map(|secrets| secrets.to_vec());
        let first: [u8; 16] = std::array::from_fn(|n| n as u8);
        let second: [u8; 16] = std::array::from_fn(|n| 0xFF - 0x11 * n as u8);
        assert_eq!(read(FIRST), Ok(vec![first]));
        assert_eq!(read(&format!("# old\n {SECOND}\r\n\n{FIRST}\n")), Ok(vec![second, first]));
        for (text, line) in [
            (format!("{FIRST}\n{}", &FIRST[1..]), 2),
            (format!("{FIRST}0"), 1),
            (format!("\n\n{}g", &FIRST[1..]), 3),
            (format!("{FIRST} {SECOND}"), 1),
            ("ü".repeat(16), 1),
        ] {
            let expected = format!("line {line} is no secret, expected 32 hexadecimal digits");
            assert_eq!(read(&text), Err(expected));
        }
        assert!(read("").is_err() && read("# nothing\n").is_err());
        assert_eq!(read(&format!("{FIRST}\n").repeat(8)).map(|all| all.len()), Ok(8));
        assert!(read(&format!("{FIRST}\n").repeat(9)).is_err());
    }
}

//! Random zones: cuts with and without glue, wildcards at every depth, empty non-terminals, aliases and redirections that
//! lead anywhere, names hidden below cuts and redirections, RRsets too large for a datagram.

use std::collections::{BTreeMap, BTreeSet};

use crate::Zone;
use crate::dice::Dice;
use crate::leaf::{self, address, label, ttl};
use crate::name::Name;
use crate::zonefile::Timers;

/// What a zone may hold and where its names may lead.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Absolute, with its final dot.
    pub apex: String,
    /// Owner names to be made, about.
    pub names: usize,
    /// Cuts that must be there, with the records of each, `@` standing for the cut.
    pub cuts: Vec<(String, Vec<String>)>,
    /// Names elsewhere that aliases may lead to, absolute.
    pub elsewhere: Vec<String>,
    /// Whether names may be hidden below a DNAME, which Knot DNS refuses to load (RFC 6672 §2.4 forbids it).
    pub below_dname: bool,
    /// Whether cuts may have DS records.
    pub secure: bool,
}

/// A zone that can grow and change.
#[derive(Clone, Debug)]
pub struct Tree {
    wish: Wish,
    serial: u32,
    /// By owner, relative to the apex, in lower case; the empty name is the apex.
    owners: BTreeMap<String, Owner>,
    /// Names that were there once.
    past: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Owner {
    /// As spelled.
    spelled: String,
    role: Role,
    /// TTL, type and RDATA.
    records: Vec<(u32, &'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Data,
    Alias,
    Redirection,
    Cut,
    /// Below a cut or a redirection.
    Hidden,
    /// Asked for by the wish: never changed.
    Fixed,
}

impl Tree {
    /// Grows a zone.
    pub fn grow(wish: Wish, dice: &mut Dice) -> Self {
        let mut tree = Self { wish, serial: 1, owners: BTreeMap::new(), past: BTreeSet::new() };
        let apex = vec![
            (3600, "NS", "ns1".to_owned()),
            (3600, "NS", "ns2.elsewhere.invalid.".to_owned()),
            (900, "MX", "10 mail".to_owned()),
            (900, "TXT", "\"at the apex\"".to_owned()),
        ];
        tree.put("", Role::Fixed, apex);
        tree.put(
            "ns1",
            Role::Fixed,
            vec![(3600, "A", "192.0.2.1".to_owned()), (3600, "AAAA", "2001:db8::1".to_owned())],
        );
        for (cut, records) in tree.wish.cuts.clone() {
            for line in records {
                tree.put_line(&cut, &line);
            }
        }
        while tree.owners.len() < tree.wish.names {
            tree.sprout(dice);
        }
        tree
    }

    /// The next version: some names go, some come, some change.
    pub fn change(&mut self, dice: &mut Dice) {
        self.serial += 1;
        let count = dice.between(3, 10);
        for _ in 0..count {
            let movable: Vec<String> = self
                .owners
                .iter()
                .filter(|(_, owner)| owner.role != Role::Fixed)
                .map(|(key, _)| key.clone())
                .collect();
            if movable.is_empty() || dice.percent(40) {
                self.sprout(dice);
                continue;
            }
            let chosen = dice.pick(&movable).clone();
            match dice.below(3) {
                // A record goes, and with the last its owner.
                0 => {
                    let owner = self.owners.get_mut(&chosen).expect("it was listed");
                    let at = dice.below(owner.records.len());
                    owner.records.remove(at);
                    if owner.records.is_empty() || owner.records.iter().all(|record| record.1 == "DS") {
                        self.remove(&chosen);
                    }
                }
                1 => self.remove(&chosen),
                // The same name with another role: what was hidden below it may come to light, or the other way round.
                _ => {
                    self.remove(&chosen);
                    self.plant(&chosen, dice);
                }
            }
        }
        self.settle();
    }

    /// The zone as it is now.
    pub fn zone(&self) -> Zone {
        let mut records = Vec::new();
        for owner in self.owners.values() {
            let name = if owner.spelled.is_empty() { "@" } else { &owner.spelled };
            records.extend(
                owner.records.iter().map(|(ttl, rtype, rdata)| format!("{name} {ttl} IN {rtype} {rdata}")),
            );
        }
        let mut zone = Zone::of(&self.wish.apex, records).timers(Timers::CALM);
        zone.serial = self.serial;
        zone
    }

    /// Its name.
    pub fn apex(&self) -> &str {
        &self.wish.apex
    }

    /// Replaces the records of a cut that was wished for.
    pub fn redelegate(&mut self, cut: &str, lines: &[String]) {
        self.owners.retain(|key, _| key != cut && !key.ends_with(&format!(".{cut}")));
        for line in lines {
            self.put_line(cut, line);
        }
    }

    /// All owner names that are or were, absolute and as spelled.
    pub fn names(&self) -> Vec<Name> {
        let spelled = self.owners.values().map(|owner| owner.spelled.as_str());
        spelled.chain(self.past.iter().map(String::as_str)).map(|name| self.absolute(name)).collect()
    }

    /// Owner names that were there once, absolute.
    pub fn past(&self) -> Vec<Name> {
        self.past.iter().map(|name| self.absolute(name)).collect()
    }

    /// Names at which a cut is, absolute.
    pub fn cuts(&self) -> Vec<Name> {
        let cuts = self.owners.values().filter(|owner| owner.role == Role::Cut);
        cuts.map(|owner| self.absolute(&owner.spelled)).collect()
    }

    fn absolute(&self, relative: &str) -> Name {
        match relative {
            "" => Name::of(&self.wish.apex),
            _ => Name::of(&format!("{relative}.{}", self.wish.apex)),
        }
    }

    fn put(&mut self, spelled: &str, role: Role, records: Vec<(u32, &'static str, String)>) {
        let key = spelled.to_ascii_lowercase();
        self.past.remove(&key);
        let records = records.into_iter().collect();
        self.owners.insert(key, Owner { spelled: spelled.to_owned(), role, records });
    }

    /// A line of a cut that was wished for: `@ NS name`, `ns A 192.0.2.1`.
    fn put_line(&mut self, cut: &str, line: &str) {
        let mut fields = line.splitn(3, ' ');
        let mut field = || fields.next().expect("owner, type, RDATA").to_owned();
        let (owner, rtype, rdata) = (field(), field(), field());
        let rtype = match rtype.as_str() {
            "NS" => "NS",
            "DS" => "DS",
            "A" => "A",
            other => panic!("{other} is not for a cut"),
        };
        let spelled = if owner == "@" { cut.to_owned() } else { format!("{owner}.{cut}") };
        let entry = self.owners.entry(spelled.to_ascii_lowercase()).or_insert(Owner {
            spelled,
            role: Role::Fixed,
            records: Vec::new(),
        });
        entry.records.push((3600, rtype, rdata));
    }

    fn remove(&mut self, key: &str) {
        self.owners.remove(key);
        self.past.insert(key.to_owned());
    }

    /// Adds a name, and what belongs to it.
    fn sprout(&mut self, dice: &mut Dice) {
        let mut name = String::new();
        if dice.percent(65) {
            let known: Vec<&Owner> = self.owners.values().collect();
            name.clone_from(&dice.pick(&known).spelled);
        }
        // More than one new label leaves empty non-terminals behind.
        for _ in 0..*dice.pick(&[1, 1, 1, 2, 3]) {
            let label = if dice.percent(12) { "*" } else { label(dice) };
            name = if name.is_empty() { label.to_owned() } else { format!("{label}.{name}") };
        }
        if name.len() + self.wish.apex.len() < 200 && !self.owners.contains_key(&name.to_ascii_lowercase()) {
            self.plant(&name, dice);
            self.settle();
        }
    }

    /// Gives a name a role and records.
    fn plant(&mut self, name: &str, dice: &mut Dice) {
        let key = name.to_ascii_lowercase();
        let wildcard = key.starts_with("*.") || key == "*";
        if self.is_redirected(&key) && !self.wish.below_dname {
            return;
        }
        let role = match (self.above(&key), dice.below(100)) {
            (Some(Role::Cut | Role::Fixed), roll) => {
                // Whatever is below a cut is hidden, if it is not glue.
                let records = match roll {
                    0..40 => vec![(300, "A", address(dice))],
                    40..55 if !wildcard => vec![(300, "NS", format!("ns.{name}"))],
                    55..65 => vec![(300, "CNAME", self.target(dice))],
                    65..75 if !wildcard => vec![(300, "DNAME", self.target(dice))],
                    _ => self.data(dice),
                };
                self.put(name, Role::Hidden, records);
                return;
            }
            (Some(_), _) => Role::Hidden,
            (None, 0..14) => Role::Alias,
            (None, 14..20) if !wildcard => Role::Redirection,
            (None, 20..36) if !wildcard => Role::Cut,
            (None, _) => Role::Data,
        };
        match role {
            Role::Alias => {
                let target = self.target(dice);
                self.put(name, role, vec![(ttl(dice), "CNAME", target)]);
            }
            Role::Redirection => {
                let mut records = vec![(ttl(dice), "DNAME", self.target(dice))];
                if dice.percent(50) {
                    records.push((ttl(dice), "TXT", "\"at a redirection\"".to_owned()));
                }
                self.put(name, role, records);
            }
            Role::Cut => self.cut(name, dice),
            _ => {
                let records = self.data(dice);
                self.put(name, role, records);
            }
        }
    }

    fn cut(&mut self, name: &str, dice: &mut Dice) {
        let ns_ttl = ttl(dice);
        let mut records = Vec::new();
        let mut glue = Vec::new();
        let cuts: Vec<String> =
            self.owners.iter().filter(|(_, o)| o.role == Role::Cut).map(|(k, _)| k.clone()).collect();
        for nth in 0..dice.between(1, 3) {
            let server = match dice.below(10) {
                0..5 => format!("ns{nth}.{name}"),
                // Sibling glue (RFC 9471 §2.2), or a server whose addresses nobody knows.
                5..7 if !cuts.is_empty() => format!("ns0.{}", dice.pick(&cuts)),
                7 => "ns1".to_owned(),
                8 => name.to_owned(),
                _ => format!("ns{nth}.elsewhere.invalid."),
            };
            if server.ends_with(name) && dice.percent(80) {
                glue.push(server.clone());
            }
            if !records.iter().any(|(_, _, known)| *known == server) {
                records.push((ns_ttl, "NS", server));
            }
        }
        if self.wish.secure && dice.percent(40) {
            let digest: String = (0..32).map(|_| format!("{:02X}", dice.below(256))).collect();
            records.push((ttl(dice), "DS", format!("{} 13 2 {digest}", dice.below(65_536))));
        }
        for server in glue {
            let mut addresses = vec![(ttl(dice), "A", address(dice))];
            if dice.percent(50) {
                addresses.push((ttl(dice), "AAAA", format!("2001:db8::{:x}", dice.below(65_536))));
            }
            if server == name {
                records.extend(addresses);
            } else if !self.owners.contains_key(&server.to_ascii_lowercase()) {
                self.put(&server, Role::Hidden, addresses);
            }
        }
        self.put(name, Role::Cut, records);
    }

    fn data(&self, dice: &mut Dice) -> Vec<(u32, &'static str, String)> {
        leaf::data(dice, |dice| self.target(dice))
    }

    /// A name to lead to: one that is there, one that is not, one that a wildcard stands for, one below a cut, one
    /// elsewhere.
    fn target(&self, dice: &mut Dice) -> String {
        let known: Vec<&Owner> = self.owners.values().filter(|owner| !owner.spelled.is_empty()).collect();
        let one = dice.pick(&known).spelled.clone();
        match dice.below(10) {
            0..5 => one,
            5 => format!("{}.{one}", label(dice)),
            6 => one.replacen('*', label(dice), 1),
            7 => label(dice).to_owned(),
            8 if !self.wish.elsewhere.is_empty() && dice.percent(75) => {
                dice.pick(&self.wish.elsewhere).clone()
            }
            9 => self.wish.apex.clone(),
            _ => format!("{}.outside.invalid.", label(dice)),
        }
    }

    /// The topmost role above a name that hides it.
    fn above(&self, key: &str) -> Option<Role> {
        let borders = key.rmatch_indices('.').map(|(at, _)| &key[at + 1..]);
        let mut hiding = borders.filter_map(|ancestor| self.owners.get(ancestor));
        hiding
            .find(|owner| owner.records.iter().any(|(_, rtype, _)| ["NS", "DNAME"].contains(rtype)))
            .map(|owner| owner.role)
    }

    /// Whether there is a DNAME above, be it hidden itself: Knot DNS looks no further.
    fn is_redirected(&self, key: &str) -> bool {
        let mut ancestors = key.match_indices('.').filter_map(|(at, _)| self.owners.get(&key[at + 1..]));
        ancestors.any(|owner| owner.records.iter().any(|record| record.1 == "DNAME"))
    }

    /// Gives every name the role that its place now demands: what is above it may have changed.
    fn settle(&mut self) {
        let keys: Vec<String> = self.owners.keys().cloned().collect();
        for key in keys {
            let Some(owner) = self.owners.get(&key).filter(|owner| owner.role != Role::Fixed) else {
                continue;
            };
            let has = |rtype: &str| owner.records.iter().any(|record| record.1 == rtype);
            let shown = if has("NS") {
                Role::Cut
            } else if has("CNAME") {
                Role::Alias
            } else if has("DNAME") {
                Role::Redirection
            } else {
                Role::Data
            };
            if self.is_redirected(&key) && !self.wish.below_dname {
                self.remove(&key);
                continue;
            }
            let hidden = self.above(&key).is_some();
            let owner = self.owners.get_mut(&key).expect("it was listed");
            owner.role = if hidden { Role::Hidden } else { shown };
            // RFC 4035 §2.4: a DS stands beside the NS of a cut and nowhere else.
            if shown != Role::Cut {
                owner.records.retain(|record| record.1 != "DS");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(below_dname: bool) -> Wish {
        Wish {
            apex: "tree.test.".to_owned(),
            names: 300,
            cuts: vec![("kid".to_owned(), vec!["@ NS ns.kid".to_owned(), "ns A 192.0.2.7".to_owned()])],
            elsewhere: vec!["else.test.".to_owned()],
            below_dname,
            secure: true,
        }
    }

    #[test]
    fn aliases_stand_alone_and_nothing_is_below_a_redirection_unless_wished() {
        let mut dice = Dice::new(3);
        let mut tree = Tree::grow(wish(false), &mut dice);
        for _ in 0..30 {
            for (key, owner) in &tree.owners {
                let alias = owner.records.iter().any(|record| record.1 == "CNAME");
                assert!(!alias || owner.records.len() == 1, "{key}: {owner:?}");
                assert!(!owner.records.is_empty(), "{key}");
                assert!(!tree.is_redirected(key), "{key}");
            }
            tree.change(&mut dice);
        }
        assert_eq!(tree.zone().serial, 31);
        assert!(tree.names().contains(&Name::of("ns.kid.tree.test.")));
    }

    #[test]
    fn a_zone_has_something_of_everything() {
        let tree = Tree::grow(wish(true), &mut Dice::new(4));
        let text = tree.zone().master_file();
        for part in [" CNAME ", " DNAME ", " NS ", " DS ", "*.", " SRV ", " TYPE731 ", ".outside.invalid."] {
            assert!(text.contains(part), "no {part}");
        }
        let roles: Vec<Role> = tree.owners.values().map(|owner| owner.role).collect();
        for role in [Role::Data, Role::Alias, Role::Redirection, Role::Cut, Role::Hidden] {
            assert!(roles.contains(&role), "no {role:?}");
        }
        assert!(!tree.cuts().is_empty());
    }
}

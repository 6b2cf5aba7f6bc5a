//! One primary, the same zones at four secondaries: ours, Knot DNS, NSD and BIND.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use interop::bind::Bind;
use interop::datagram;
use interop::dice::Dice;
use interop::dig;
use interop::knot::Knot;
use interop::name::Name;
use interop::nsd::Nsd;
use interop::primary;
use interop::secondo::Mark;
use interop::signer::{Denial, Signer, Tool};
use interop::tree::{Tree, Wish};
use interop::wait::{SOON, within};
use interop::{Config, Plan, Port, Primary, Secondo, Software, Zone, peers};

use crate::validation::{self, Validator};
use crate::verdict::Served;

/// The zone that Knot DNS would not load: it holds names below a DNAME.
pub(crate) const HIDDEN: &str = "hidden.test.";
const TREE: &str = "tree.test.";
const UNSIGNED: &str = "bare.tree.test.";
/// Below [`TREE`], with their cuts there, and whether they are signed when it is.
const CHILDREN: [(&str, &str); 3] =
    [("kid.tree.test.", "kid"), (UNSIGNED, "bare"), ("deep.ent.tree.test.", "deep.ent")];

/// How the zones of a world are signed.
pub(crate) type Scheme = Option<(Tool, Denial)>;

/// A zone, its signer, and its present version.
struct Plot {
    tree: Tree,
    signer: Option<Signer>,
    zone: Zone,
}

impl Plot {
    fn publish(&mut self) {
        let plain = self.tree.zone();
        // A tool that counts serials up must find one above those that were published.
        let serial = plain.serial * 10;
        let plain = Zone { serial, ..plain };
        self.zone = match &mut self.signer {
            Some(signer) => signer.sign(&plain),
            None => plain,
        };
    }
}

/// All of it.
pub(crate) struct World {
    primary: Box<dyn Primary>,
    pub(crate) secondo: Secondo,
    /// The three others, as long as they answer.
    pub(crate) peers: Vec<Box<dyn Primary>>,
    plots: Vec<Plot>,
}

/// Whether this machine has what it takes.
pub(crate) fn ready(scheme: Scheme) -> bool {
    if !peers::ready(&[Software::Bind, Software::Knot, Software::Nsd]) {
        return false;
    }
    let tools =
        scheme.map(|(tool, _)| [tool.programs(), &[validation::PROGRAM]].concat()).unwrap_or_default();
    let missing: Vec<&str> = tools.into_iter().filter(|tool| peers::find(tool).is_none()).collect();
    if !missing.is_empty() {
        peers::skip(&format!("this machine has no {}", missing.join(", ")));
    }
    missing.is_empty()
}

/// How many times larger than usual everything is: `SECONDO_DIFFERENTIAL`.
pub(crate) fn scale() -> usize {
    std::env::var("SECONDO_DIFFERENTIAL").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

impl World {
    /// Grows the zones, signs them, and waits until all four serve them.
    pub(crate) fn create(scheme: Scheme, dice: &mut Dice) -> Self {
        let plots = plots(scheme, dice);
        let ports: Vec<Port> = (0..4).map(|_| Port::free()).collect();
        let mut plan = Plan::of(&plots[0].zone);
        plan.zones = plots.iter().map(|plot| plot.zone.clone()).collect();
        for port in &ports {
            plan = plan.notify(port.at_loopback());
        }
        let primary = primary::start(Software::Bind, plan);
        let all: Vec<&str> = plots.iter().map(|plot| plot.tree.apex()).collect();
        let loadable: Vec<&str> = all.iter().copied().filter(|apex| *apex != HIDDEN).collect();
        let [first, second, third, fourth] = <[Port; 4]>::try_from(ports).expect("four");
        let mut config = Config::new().primary("upstream", primary.address(), None);
        for apex in &all {
            config = config.zone(apex, "upstream", &["allow-transfer: [{ address: 127.0.0.1 }]"]);
        }
        let secondo = Secondo::start(first, &config);
        let peers: Vec<Box<dyn Primary>> = vec![
            Box::new(Bind::secondary(&all, second, primary.address(), None)),
            Box::new(Knot::secondary(&loadable, third, primary.address(), None)),
            Box::new(Nsd::secondary(&all, fourth, primary.address(), None)),
        ];
        let mut world = Self { primary, secondo, peers, plots };
        world.settle(Mark::START);
        world
    }

    /// Every zone changes; waits until all four serve what is new.
    pub(crate) fn change(&mut self, dice: &mut Dice) {
        let mark = self.secondo.mark();
        for plot in &mut self.plots {
            plot.tree.change(dice);
            plot.publish();
            self.primary.publish(&plot.zone);
        }
        self.settle(mark);
        for plot in &self.plots {
            let finished = self.secondo.zone_event(mark, "transfer.finished", plot.tree.apex());
            assert_eq!(finished.text("kind"), "ixfr", "{}", finished.line());
        }
    }

    /// Waits until all serve the zones as they are now. A peer that does not get one takes part no more; of ours that is
    /// a failure.
    fn settle(&mut self, mark: Mark) {
        for plot in &self.plots {
            let (apex, serial) = (plot.tree.apex(), plot.zone.serial);
            serves(self.secondo.address(), apex, serial);
            self.secondo.until_published(mark, apex, serial);
            self.peers.retain(|peer| {
                let stays = peer.software() == Software::Knot && apex == HIDDEN
                    || serves(peer.address(), apex, serial);
                if !stays {
                    eprintln!("{} does not serve {serial} of {apex}\n{}", peer.software(), peer.tail());
                }
                stays
            });
        }
        assert!(self.peers.len() > 1, "too few peers are left");
    }

    /// A validator for each signed zone that has no signed parent here.
    pub(crate) fn validators(&self) -> Vec<Validator> {
        let roots = [TREE, "other.test.", HIDDEN];
        let signed = self.plots.iter().filter(|plot| roots.contains(&plot.tree.apex()));
        signed
            .filter_map(|plot| Some(Validator::new(plot.tree.apex(), &plot.signer.as_ref()?.anchor())))
            .collect()
    }

    /// The zones without keys.
    pub(crate) fn unsigned(&self) -> Vec<Name> {
        self.plots
            .iter()
            .filter(|plot| plot.signer.is_none())
            .map(|plot| Name::of(plot.tree.apex()))
            .collect()
    }

    /// The zones as they are now.
    pub(crate) fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.plots.iter().map(|plot| &plot.zone)
    }

    /// What all serve now.
    pub(crate) fn served(&self) -> Served {
        let owner = |zone: &Zone, line: &str| match line.split_ascii_whitespace().next() {
            None | Some("@") => Name::of(&zone.apex),
            Some(name) if name.ends_with('.') => Name::of(name),
            Some(name) => Name::of(&format!("{name}.{}", zone.apex)),
        };
        let past = self.plots.iter().flat_map(|plot| plot.tree.past());
        let above = |name: Name| {
            let depth = name.labels().len();
            std::iter::successors(Some(name), |name| Some(name.parent())).take(depth)
        };
        let is_type = |word: &&str| *word != "IN" && !word.starts_with(|first: char| first.is_ascii_digit());
        let of_type = |rtype: &str| -> BTreeSet<Name> {
            let has = |line: &String| line.split_ascii_whitespace().skip(1).find(is_type) == Some(rtype);
            let all = self.zones().flat_map(|zone| zone.records.iter().map(move |line| (zone, line)));
            all.filter(|(_, line)| has(line)).map(|(zone, line)| owner(zone, line).lower()).collect()
        };
        let apexes: Vec<Name> = self.zones().map(|zone| Name::of(&zone.apex)).collect();
        let at_apex = |name: &Name| apexes.contains(name);
        Served {
            hashed: of_type("NSEC3"),
            cuts: of_type("NS").into_iter().filter(|name| !at_apex(name)).collect(),
            redirected: of_type("DNAME"),
            gone: past.flat_map(above).map(|name| name.lower()).collect(),
            apexes: apexes.clone(),
            owners: self
                .zones()
                .flat_map(|zone| zone.records.iter().map(move |line| owner(zone, line).lower()))
                .collect(),
        }
    }

    /// All names that are or were there.
    pub(crate) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.plots.iter().flat_map(|plot| plot.tree.names()).collect();
        // NSEC3 owners are not there for questions (RFC 5155 §7.2.8).
        let hashed = self
            .zones()
            .flat_map(|zone| &zone.records)
            .filter(|line| line.contains(" IN NSEC3 ") || line.contains("\tIN\tNSEC3\t"));
        names.extend(
            hashed.step_by(20).filter_map(|line| Some(Name::of(line.split_ascii_whitespace().next()?))),
        );
        names
    }
}

fn plots(scheme: Scheme, dice: &mut Dice) -> Vec<Plot> {
    let secure = scheme.is_some();
    let elsewhere: Vec<String> = [
        "www.kid.tree.test.",
        "a.bare.tree.test.",
        "other.test.",
        "b.other.test.",
        "tree.test.",
        "c.tree.test.",
        "nowhere.kid.tree.test.",
        "a.deep.ent.tree.test.",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut grow = |apex: &str, names: usize, cuts: Vec<(String, Vec<String>)>| {
        let wish = Wish {
            apex: apex.to_owned(),
            names: names * scale(),
            cuts,
            elsewhere: elsewhere.clone(),
            below_dname: apex == HIDDEN,
            secure,
        };
        let tree = Tree::grow(wish, dice);
        let signer =
            scheme.filter(|_| apex != UNSIGNED).map(|(tool, denial)| Signer::new(apex, tool, denial));
        let zone = tree.zone();
        let mut plot = Plot { tree, signer, zone };
        plot.publish();
        plot
    };
    let mut plots = Vec::new();
    let mut cuts = Vec::new();
    for (apex, cut) in CHILDREN {
        let plot = grow(apex, 30, Vec::new());
        let mut lines =
            vec![format!("@ NS ns.{cut}"), "ns A 192.0.2.7".to_owned(), "below A 192.0.2.8".to_owned()];
        let ds = plot.signer.as_ref().map(Signer::ds).unwrap_or_default();
        lines.extend(ds.into_iter().map(|ds| format!("@ DS {ds}")));
        cuts.push((cut.to_owned(), lines));
        plots.push(plot);
    }
    plots.push(grow(TREE, 130, cuts));
    plots.push(grow("other.test.", 40, Vec::new()));
    plots.push(grow(HIDDEN, 40, Vec::new()));
    plots
}

/// Whether a server comes to serve a version. It is reminded again and again: a primary's NOTIFY is a datagram, and the
/// primary itself gives up on it (RFC 1996 §3.6).
fn serves(server: SocketAddr, apex: &str, serial: u32) -> bool {
    let mut looks = 0;
    let look = || {
        let there = dig::serial(server, apex) == Some(serial);
        looks += 1;
        if !there && looks % 8 == 0 {
            datagram::over_udp(server, &datagram::notify(looks, apex), Duration::from_secs(1));
        }
        there.then_some(())
    };
    within(SOON, look).is_some()
}

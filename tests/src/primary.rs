//! What all primaries have in common.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::bind::Bind;
use crate::knot::Knot;
use crate::nsd::Nsd;
use crate::pdns::Pdns;
use crate::{Key, Port, Software, Zone, dig, tls};

/// What a primary shall serve, and to whom.
#[derive(Debug)]
pub struct Plan {
    /// Its zones, at their first serial.
    pub zones: Vec<Zone>,
    /// The key that a transfer needs and that signs its NOTIFYs; without one, everybody on loopback may transfer.
    pub key: Option<Key>,
    /// The secondaries that it notifies.
    pub notify: Vec<SocketAddr>,
    /// The only address that may transfer; BIND alone looks at it.
    pub only_from: Option<IpAddr>,
    /// Transfers go over TLS alone; BIND and NSD look at it.
    pub tls: Option<tls::Listener>,
}

impl Plan {
    /// One zone, without key and NOTIFY.
    pub fn of(zone: &Zone) -> Self {
        Self { zones: vec![zone.clone()], key: None, notify: Vec::new(), only_from: None, tls: None }
    }

    /// With a key that every transfer needs.
    pub fn key(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// With TLS for its transfers.
    pub fn tls(mut self, listener: tls::Listener) -> Self {
        self.tls = Some(listener);
        self
    }

    /// With a secondary to be notified.
    pub fn notify(mut self, secondary: SocketAddr) -> Self {
        self.notify.push(secondary);
        self
    }
}

/// A real primary on a port of its own.
pub trait Primary {
    /// What it is.
    fn software(&self) -> Software;
    /// Where it answers.
    fn port(&self) -> &Port;
    /// Puts a new version of a zone in place: at once when it runs, else for its next start.
    fn publish(&mut self, zone: &Zone);
    /// Ends it. It can be started again.
    fn stop(&mut self);
    /// Starts it again, with the zones as last published, and waits until it answers.
    fn start(&mut self);
    /// Makes it hang, or go on: its sockets stay open, but nothing is answered.
    fn freeze(&mut self, frozen: bool);
    /// The end of its log.
    fn tail(&self) -> String;

    /// Where it answers.
    fn address(&self) -> SocketAddr {
        self.port().at_loopback()
    }

    /// Waits until it serves a zone at its serial.
    fn until_serving(&self, zone: &Zone, limit: Duration) {
        dig::until_serial(self.address(), &zone.apex, zone.serial, limit, || self.tail());
    }
}

/// Starts a primary and waits until it serves all its zones.
pub fn start(software: Software, plan: Plan) -> Box<dyn Primary> {
    match software {
        Software::Bind => Box::new(Bind::primary(plan)),
        Software::Knot => Box::new(Knot::primary(plan)),
        Software::Nsd => Box::new(Nsd::primary(plan)),
        Software::Pdns => Box::new(Pdns::primary(plan)),
    }
}

/// Makes one test for each primary that this machine must have: `each_primary!(story, bind, knot)` calls
/// `story(Software::Bind)` in a test named `story::bind`.
#[macro_export]
macro_rules! each_primary {
    ($story:ident) => {
        $crate::each_primary!($story, bind Bind, knot Knot, nsd Nsd, pdns Pdns);
    };
    ($story:ident, $($name:ident $software:ident),+) => {
        mod $story {
            $(
                #[test]
                fn $name() {
                    if $crate::peers::ready(&[$crate::Software::$software]) {
                        super::$story($crate::Software::$software);
                    }
                }
            )+
        }
    };
}

//! What the plan of an instance says of who comes in: by which kind of user, and from where.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU8, Ordering},
};

use base::InstanceId;

use super::{NotAuthenticated, User};
use crate::plan::{AclType, Plan};

/// Users who may do everything are not known.
const NO_DEFAULT: u8 = 1;
/// Users with grants are not known.
const NO_APACHE: u8 = 2;
/// Nobody comes from the Internet.
const NO_INTERNET: u8 = 4;

/// What a plan closes; nothing without one.
#[derive(Debug, Default)]
pub(crate) struct Planned(AtomicU8);

impl Planned {
    /// Goes by a plan from now on, or by none.
    pub(crate) fn set(&self, plan: Option<&Plan>) {
        let closed = plan.map_or(0, |plan| {
            let lacks = |kind: AclType| !plan.acl.types.contains(&kind);
            let mut closed = 0;
            if lacks(AclType::Intelligent) {
                closed |= NO_DEFAULT;
            }
            if lacks(AclType::Apache) {
                closed |= NO_APACHE;
            }
            if plan.network.internet.is_none() {
                closed |= NO_INTERNET;
            }
            closed
        });
        self.0.store(closed, Ordering::Release);
    }

    fn closes(&self, what: u8) -> bool {
        self.0.load(Ordering::Acquire) & what != 0
    }

    /// Checks that the instance knows its users by the kind of this one.
    pub(super) fn check(&self, user: &User, instance: &InstanceId) -> Result<(), NotAuthenticated> {
        let (what, found) = match user.is_super() {
            true => (NO_DEFAULT, "DEFAULT"),
            false => (NO_APACHE, "APACHE"),
        };
        if !self.closes(what) {
            return Ok(());
        }
        Err(NotAuthenticated::Method {
            user: user.name().to_owned(),
            found,
            instance: instance.clone(),
        })
    }

    /// Whether the way from there is open: the private network's always is, that from the Internet
    /// where the plan has it.
    pub(super) fn lets_in(&self, source: IpAddr) -> bool {
        !self.closes(NO_INTERNET) || is_private(source)
    }
}

/// Whether an address is of a private network, or of this machine.
fn is_private(source: IpAddr) -> bool {
    match source.to_canonical() {
        IpAddr::V4(source) => {
            // Carriers have 100.64.0.0/10 for networks of their own.
            let [first, second, ..] = source.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            source.is_private() || source.is_loopback() || source.is_link_local() || is_shared
        }
        IpAddr::V6(source) => {
            source.is_loopback() || source.is_unique_local() || source.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Edition, FlowOut, Internet, SubSeries};

    #[test]
    fn the_internet_is_what_no_private_network_is() {
        let planned = Planned::default();
        let lets_in = |planned: &Planned, source: &str| planned.lets_in(source.parse().unwrap());
        assert!(lets_in(&planned, "203.0.113.9"));
        let mut plan = Plan::new(Edition::Shared, SubSeries::Serverless, None);
        planned.set(Some(&plan));
        for source in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.9",
            "127.0.0.1",
            "100.64.1.1",
        ] {
            assert!(lets_in(&planned, source), "{source}");
            assert!(lets_in(&planned, &format!("::ffff:{source}")), "{source}");
        }
        for source in ["::1", "fd00::7", "fe80::1"] {
            assert!(lets_in(&planned, source), "{source}");
        }
        for source in [
            "203.0.113.9",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!lets_in(&planned, source), "{source}");
        }
        plan.network.internet = Some(Internet {
            flow_out: FlowOut::Traffic,
            bandwidth: 0,
        });
        planned.set(Some(&plan));
        assert!(lets_in(&planned, "203.0.113.9"));
    }
}

//! Plans: what an instance of the managed service was ordered as, and what that entitles it to.
//!
//! A plan names an edition, a specification and a payment; the numbers that go with them are in one
//! table (`editions.json`, see [`offers`]). An instance without a plan has no limits but the
//! product's: the default instance, and those that were created without an edition.
//!
//! Names of fields, editions and values are those of the service's OpenAPI of 2022-08-01.

mod change;
mod check;
mod editions;
mod entitlement;
mod term;

use base::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    change::PlanChange,
    check::PlanError,
    editions::{Offer, ServerlessOffer, Specification, offer, offers},
    entitlement::{Entitlement, Growth},
    term::{Payment, Period, PeriodUnit, Subscription},
};

/// An enumeration whose values have codes that are stored and shown.
macro_rules! coded {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $code:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $code)] $value,)+
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$value),+];

            /// Its code.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$value => $code,)+
                }
            }

            /// The value of that code.
            pub fn of_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.code() == code)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}
use coded;

coded! {
    /// The edition: `seriesCode`.
    Edition {
        /// Shared nodes, no elastic TPS.
        Standard = "standard",
        /// Shared nodes, elastic TPS.
        Professional = "professional",
        /// Platinum: nodes of its own.
        Ultimate = "ultimate",
        /// Serverless on shared nodes.
        Shared = "shared",
        /// Serverless on nodes of its own.
        Dedicated = "dedicated",
    }
}

coded! {
    /// How an edition is set up: `subSeriesCode`. Never changes.
    SubSeries {
        /// Several nodes.
        ClusterHa = "cluster_ha",
        /// One node, for tests.
        SingleNode = "single_node",
        /// No specification: it grows with its traffic.
        Serverless = "serverless",
    }
}

coded! {
    /// Whether clients outside the private network pay for bandwidth or for traffic:
    /// `flowOutType`.
    FlowOut {
        /// A fixed bandwidth.
        Bandwidth = "payByBandwidth",
        /// What goes out.
        Traffic = "payByTraffic",
    }
}

coded! {
    /// How clients say who they are: `aclTypes`.
    AclType {
        /// One user of the instance, who may do everything.
        Intelligent = "default",
        /// Users with grants.
        Apache = "apache_acl",
    }
}

coded! {
    /// How an instance stands: `status`.
    InstanceStatus {
        /// Being made.
        Creating = "CREATING",
        /// In service.
        Running = "RUNNING",
        /// In service, and being changed.
        Changing = "CHANGING",
        /// Out of service: unsubscribed, or its subscription has ended. Nothing of it is lost.
        Stopped = "STOPPED",
        /// Out of service for good: being removed, or gone.
        Released = "RELEASED",
    }
}

/// The capacity of a serverless instance: `capacityType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// Reserved TPS, and as much again where it is needed.
    Provisioned {
        /// Messaging TPS that are reserved: `provisionedCapacity`.
        tps: u64,
    },
    /// None reserved.
    OnDemand,
}

/// The part of the TPS that sends have: `sendReceiveRatio`. Deliveries have the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SendRatio(u32);

impl SendRatio {
    const ONE: u32 = 1_000_000;
    /// Half for each.
    pub const EVEN: Self = Self(Self::ONE / 2);

    /// From a number between 0 and 1; six digits count. `None` if it is not one.
    pub fn new(ratio: f64) -> Option<Self> {
        let millionths = (ratio * f64::from(Self::ONE)).round();
        (0.0..=f64::from(Self::ONE))
            .contains(&millionths)
            .then_some(Self(millionths as u32))
    }

    /// As a number between 0 and 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }

    /// The sends' part of `tps`, rounded down.
    pub fn of(self, tps: u64) -> u64 {
        tps * u64::from(self.0) / u64::from(Self::ONE)
    }
}

/// How clients reach the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// The way from the Internet, if it is open.
    pub internet: Option<Internet>,
    /// Addresses and ranges that may come; none stands for all.
    pub ip_whitelist: Vec<String>,
    /// The private network.
    pub vpc_id: String,
    /// Its switches.
    pub v_switches: Vec<String>,
    /// Its security groups, joined by commas.
    pub security_groups: String,
}

/// The way from the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internet {
    /// What is paid for.
    pub flow_out: FlowOut,
    /// Mbit/s out; 0 where traffic is paid for.
    pub bandwidth: u32,
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclPlan {
    /// Ways to say who one is; at least one.
    pub types: Vec<AclType>,
    /// Whether clients of the private network need not say who they are.
    pub default_vpc_auth_free: bool,
}

/// What an instance was ordered as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its edition.
    pub edition: Edition,
    /// Its set-up.
    pub sub_series: SubSeries,
    /// Its specification, e.g. `rmq.p2.10xlarge`: `msgProcessSpec`. None of serverless instances.
    #[serde(default)]
    pub specification: Option<String>,
    /// How it is paid for.
    pub payment: Payment,
    /// Of serverless instances, what is reserved.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// Whether it may go past its TPS, up to the burst of its specification: `autoScaling`.
    pub elastic: bool,
    /// Of serverless instances, whether the limit follows the traffic: `adaptiveElasticity`.
    #[serde(default)]
    pub adaptive: bool,
    /// The part of the TPS that sends have.
    pub send_ratio: SendRatio,
    /// How long messages are kept, in hours: `messageRetentionTime`.
    pub retention_hours: u32,
    /// Of serverless instances, whether messages are traced; others always trace: `traceOn`.
    pub trace: bool,
    /// How clients reach it.
    #[serde(default)]
    pub network: Network,
    /// Who may come in.
    pub acl: AclPlan,
    /// The key that what is stored is encrypted with: `storageSecretKey`.
    #[serde(default)]
    pub storage_secret_key: Option<String>,
}

impl Plan {
    /// How long messages are kept where nothing else is said, in hours.
    pub const RETENTION_HOURS_DEFAULT: u32 = 72;

    /// A plan of that edition as it is where nothing else is said: paid as it goes, open to the
    /// private network alone. It is not checked.
    pub fn new(edition: Edition, sub_series: SubSeries, specification: Option<String>) -> Self {
        let serverless = sub_series == SubSeries::Serverless;
        Self {
            edition,
            sub_series,
            specification,
            payment: Payment::PayAsYouGo,
            capacity: serverless.then_some(Capacity::OnDemand),
            elastic: false,
            adaptive: false,
            send_ratio: SendRatio::EVEN,
            retention_hours: Self::RETENTION_HOURS_DEFAULT,
            trace: !serverless,
            network: Network::default(),
            acl: AclPlan {
                types: AclType::ALL.to_vec(),
                default_vpc_auth_free: false,
            },
            storage_secret_key: None,
        }
    }

    /// Whether it grows with its traffic.
    pub fn is_serverless(&self) -> bool {
        self.sub_series == SubSeries::Serverless
    }

    /// When the subscription ends; `None` if it is paid as it goes.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.payment {
            Payment::PayAsYouGo => None,
            Payment::Subscription(subscription) => Some(subscription.expires_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_parts_the_tps() {
        let ratio = SendRatio::new(0.8).unwrap();
        assert_eq!((ratio.of(1_000), ratio.get()), (800, 0.8));
        assert_eq!(SendRatio::EVEN.of(7), 3);
        for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(SendRatio::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn codes_are_those_of_the_service() {
        for edition in Edition::ALL {
            assert_eq!(Edition::of_code(edition.code()), Some(*edition));
        }
        assert_eq!(SubSeries::of_code("cluster_ha"), Some(SubSeries::ClusterHa));
        assert_eq!(FlowOut::of_code("uninvolved"), None);
    }

    #[test]
    fn a_plan_outlives_being_stored() {
        let plan = Plan::new(Edition::Shared, SubSeries::Serverless, None);
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    }
}

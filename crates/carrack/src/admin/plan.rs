//! Plans of instances on the command line.

use clap::Args;
use wire::remoting::body::PlanInfo;

use super::time;

/// What a new instance is ordered as.
#[derive(Debug, Args)]
pub(crate) struct PlanOptions {
    /// Edition: standard, professional, ultimate, shared or dedicated; without one the instance has
    /// no limits but the product's
    #[arg(long, value_name = "EDITION")]
    edition: Option<String>,
    /// Set-up: cluster_ha, single_node or serverless
    #[arg(long, value_name = "SET-UP", requires = "edition")]
    sub_series: Option<String>,
    /// PayAsYouGo or Subscription
    #[arg(long, value_name = "PAYMENT", requires = "edition")]
    payment: Option<String>,
    /// Months by which the subscription is prolonged by itself
    #[arg(long, value_name = "MONTHS", requires = "payment")]
    auto_renew: Option<u32>,
    #[command(flatten)]
    period: PeriodOptions,
    #[command(flatten)]
    size: SizeOptions,
}

/// For how long an instance is subscribed to.
#[derive(Debug, Args)]
pub(crate) struct PeriodOptions {
    /// Months of the subscription, 1 to 6
    #[arg(long, value_name = "N", conflicts_with = "years")]
    months: Option<u32>,
    /// Years of the subscription, 1 to 3
    #[arg(long, value_name = "N")]
    years: Option<u32>,
}

/// What may be changed of a plan.
#[derive(Debug, Args)]
pub(crate) struct SizeOptions {
    /// Specification, e.g. rmq.p2.10xlarge; of a serverless instance, none
    #[arg(long, value_name = "NAME")]
    spec: Option<String>,
    /// TPS that are reserved for a serverless instance
    #[arg(long, value_name = "TPS")]
    provisioned: Option<u64>,
    /// Whether it may go past its TPS up to the burst of its specification
    #[arg(long, value_name = "BOOL")]
    elastic: Option<bool>,
    /// Whether the limit of a serverless instance follows the traffic
    #[arg(long, value_name = "BOOL")]
    adaptive: Option<bool>,
    /// The part of the TPS that sends have, 0.05 to 0.95
    #[arg(long, value_name = "RATIO")]
    send_ratio: Option<f64>,
    /// How long messages are kept, in hours, 1 to 720
    #[arg(long, value_name = "HOURS")]
    retention: Option<u32>,
    /// Nodes of its own, where a fleet runs an instance of the edition ultimate
    #[arg(long, value_name = "COUNT")]
    nodes: Option<u16>,
}

impl PlanOptions {
    /// The plan; `None` without an edition, where nothing else of it is said.
    pub(super) fn info(self) -> Option<PlanInfo> {
        let mut info = PlanInfo {
            series_code: self.edition,
            sub_series_code: self.sub_series,
            payment_type: self.payment,
            auto_renew: self.auto_renew.map(|_| true),
            auto_renew_period: self.auto_renew,
            ..self.size.info()
        };
        self.period.write(&mut info);
        // Without an edition the server says what it expects.
        (info != PlanInfo::default()).then_some(info)
    }
}

impl PeriodOptions {
    pub(super) fn write(&self, info: &mut PlanInfo) {
        let unit = if self.years.is_some() {
            "Year"
        } else {
            "Month"
        };
        info.period = self.years.or(self.months);
        info.period_unit = info.period.map(|_| unit.to_owned());
    }
}

impl SizeOptions {
    pub(super) fn info(self) -> PlanInfo {
        PlanInfo {
            msg_process_spec: self.spec,
            provisioned_capacity: self.provisioned,
            auto_scaling: self.elastic,
            adaptive_elasticity: self.adaptive,
            send_receive_ratio: self.send_ratio,
            message_retention_time: self.retention,
            node_count: self.nodes,
            ..PlanInfo::default()
        }
    }
}

/// The edition of an instance in a table.
pub(super) fn edition(plan: Option<&PlanInfo>) -> String {
    let edition = plan.and_then(|plan| plan.series_code.clone());
    edition.unwrap_or_else(|| "-".to_owned())
}

/// What is shown of a plan.
pub(super) fn facts(plan: &PlanInfo) -> Vec<(&'static str, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let number = |number: Option<u64>| number.map_or_else(String::new, |n| n.to_string());
    let on = |on: Option<bool>| if on == Some(true) { "on" } else { "off" }.to_owned();
    let mut facts = vec![
        ("edition", text(&plan.series_code)),
        ("set-up", text(&plan.sub_series_code)),
        ("specification", text(&plan.msg_process_spec)),
        ("TPS", number(plan.base_tps)),
        ("burst TPS", number(plan.burst_tps)),
        ("elastic TPS", on(plan.auto_scaling)),
    ];
    let ratio = plan.send_receive_ratio;
    facts.push((
        "send ratio",
        ratio.map_or_else(String::new, |r| r.to_string()),
    ));
    let hours = plan.message_retention_time.map(u64::from);
    facts.push(("retention (hours)", number(hours)));
    if let Some(count) = plan.node_count {
        facts.push(("nodes", count.to_string()));
    }
    facts.push(("payment", text(&plan.payment_type)));
    if let Some(expires) = plan.expire_time_ms {
        facts.push(("expires", time::shown(expires)));
        let auto = plan
            .auto_renew_period
            .map(|months| format!("{months} months"));
        facts.push(("auto renewal", auto.unwrap_or_else(|| "off".to_owned())));
    }
    facts
}

//! `carrack usage`.

use clap::Args;
use wire::remoting::{body::UsageInfo, header::UsageRequest};

use super::{
    servers::Servers,
    show,
    time::{self, Point},
};
use crate::{cli::ServerOptions, exit::Failure};

/// Which usage to show.
#[derive(Debug, Args)]
pub(crate) struct UsageOptions {
    /// Id of the instance, also of one that is gone [default: all]
    id: Option<String>,
    /// First hour: a time like 2026-11-22T03:00:00Z, or ms since 1970
    #[arg(long, value_name = "TIME", default_value = "earliest")]
    from: Point,
    /// End, not included; the hour that runs is shown as far as it is
    #[arg(long, value_name = "TIME", default_value = "latest")]
    to: Point,
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) async fn run(options: UsageOptions) -> Result<(), Failure> {
    let servers = Servers::connect(&options.server).await?;
    let ms = |point| match point {
        Point::Earliest => 0,
        Point::Latest => i64::MAX,
        Point::At(ms) => ms,
    };
    let which = UsageRequest {
        instance_id: options.id.as_deref(),
        from_ms: ms(options.from),
        to_ms: ms(options.to),
    };
    let usage = servers.entry().usage(&which).await?;
    show::answer(options.server.output, &usage, || csv(&usage))
}

/// No value holds a comma or a quote.
fn csv(usage: &[UsageInfo]) -> String {
    let mut text = "instance,hour,send_units,receive_units,storage_bytes,elastic_tps\n".to_owned();
    for record in usage {
        let UsageInfo {
            instance_id,
            hour_ms,
            send_units,
            receive_units,
            storage_bytes,
            elastic_tps,
        } = record;
        let hour = time::hour(*hour_ms);
        text.push_str(&format!(
            "{instance_id},{hour},{send_units},{receive_units},{storage_bytes},{elastic_tps}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_told_as_csv() {
        let record = UsageInfo {
            instance_id: "rmq-cn-5yd34ft5y02".to_owned(),
            hour_ms: 1_700_000_000_000 / 3_600_000 * 3_600_000,
            send_units: 10,
            receive_units: 2,
            storage_bytes: 4_096,
            elastic_tps: 7,
        };
        let expected = "instance,hour,send_units,receive_units,storage_bytes,elastic_tps\n\
            rmq-cn-5yd34ft5y02,2023-11-14T22:00:00Z,10,2,4096,7\n";
        assert_eq!(csv(&[record]), expected);
    }
}

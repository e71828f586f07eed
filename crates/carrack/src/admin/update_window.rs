//! `carrack update-window`.

use clap::Subcommand;
use client::{OpenApiCall, openapi::Method};
use serde_json::{Value, json};

use super::{
    fleet::{Fleet, text},
    show,
};
use crate::{cli::FleetOptions, exit::Failure};

/// What to do with maintenance windows.
#[derive(Debug, Subcommand)]
pub(crate) enum UpdateWindowCommand {
    /// Show the maintenance window of an instance
    Get {
        /// Id of the instance
        id: String,
        #[command(flatten)]
        fleet: FleetOptions,
    },
    /// Change the maintenance window of an instance, for update tasks that are made from now on
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Set {
        /// Id of the instance
        id: String,
        /// From when to when, as 02:00-06:00; one that ends before it starts ends the next day,
        /// one that ends when it starts is always open
        #[arg(long, value_name = "HH:MM-HH:MM", group = "change")]
        window: Option<String>,
        /// Whose clocks it is of, a name of the IANA data as Asia/Shanghai
        #[arg(long, value_name = "ZONE", group = "change")]
        time_zone: Option<String>,
        #[command(flatten)]
        fleet: FleetOptions,
    },
}

pub(super) async fn run(command: UpdateWindowCommand) -> Result<(), Failure> {
    let (id, body, options) = match command {
        UpdateWindowCommand::Get { id, fleet } => (id, None, fleet),
        UpdateWindowCommand::Set {
            id,
            window,
            time_zone,
            fleet,
        } => {
            let body = json!({ "maintainTime": window, "timeZone": time_zone });
            (id, Some(body), fleet)
        }
    };
    let (operation, method) = match body {
        Some(_) => ("UpdateMaintenanceWindow", Method::PATCH),
        None => ("GetMaintenanceWindow", Method::GET),
    };
    let mut call = OpenApiCall::new(operation, method, &["instances", &id, "maintenanceWindow"]);
    call.body = body;
    let window = Fleet::of(&options).ask(&call).await?;
    show::answer(options.output, &window, || shown(&window))
}

fn shown(window: &Value) -> String {
    show::facts(&[
        ("instance", text(window, "instanceId")),
        ("window", text(window, "maintainTime")),
        ("time zone", text(window, "timeZone")),
        ("next start", text(window, "nextStartTime")),
    ])
}

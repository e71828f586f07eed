//! Settings as tools see them (codes 25, 26, 318, 319): lines of `name=value` under Apache's names.
//!
//! They are shown as far as they mean something here. None can be changed while the server runs: it
//! has a configuration file of its own.

use broker::Instance;
use wire::remoting::{Command, ResponseCode, body::DataVersion, header::GetBrokerConfigResponse};

use crate::{
    front::{CLUSTER_NAME, broker_name},
    remoting::{
        connection::Connection,
        reply::{Answer, Refusal, Reply},
        system_topic::TRACE_TOPIC,
    },
};

/// Delays of the levels 1 to 18.
const DELAY_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

type Settings = Vec<(&'static str, String)>;

/// Code 26.
pub(super) fn get(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    let version = serde_json::to_string(&DataVersion::default());
    let header = GetBrokerConfigResponse {
        version: version.as_deref().unwrap_or("{}"),
    };
    let command = request
        .response(ResponseCode::Success)
        .with_header(&header)
        .with_body(lines(&broker(connection, &instance)));
    Ok(command.into())
}

/// Code 319.
pub(super) fn get_name_server(connection: &Connection, request: &Command) -> Answer {
    let command = request
        .response(ResponseCode::Success)
        .with_body(lines(&name_server(connection)));
    Ok(command.into())
}

/// Code 25.
pub(super) fn update(connection: &Connection, request: &Command) -> Answer {
    let instance = connection.front.settle([])?;
    change(request, &broker(connection, &instance))
}

/// Code 318.
pub(super) fn update_name_server(connection: &Connection, request: &Command) -> Answer {
    change(request, &name_server(connection))
}

fn lines(settings: &Settings) -> String {
    let line = |(name, value): &(&str, String)| format!("{name}={value}\n");
    settings.iter().map(line).collect()
}

/// What is asked for is granted if it is so already.
fn change(request: &Command, settings: &Settings) -> Answer {
    let refuse = |remark: String| Err(Refusal::new(ResponseCode::InvalidParameter, remark));
    let Ok(body) = str::from_utf8(&request.body) else {
        return refuse("body is not text, expected lines of name=value".to_owned());
    };
    let changes = body.lines().map(str::trim);
    let mut changes = changes
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .peekable();
    if changes.peek().is_none() {
        return refuse("body is empty, expected lines of name=value".to_owned());
    }
    for change in changes {
        let shown: String = change.chars().take(64).collect();
        let Some((name, value)) = change.split_once('=') else {
            return refuse(format!("line `{shown}` is not name=value"));
        };
        let is_so = settings
            .iter()
            .any(|(known, now)| *known == name.trim() && now == value.trim());
        if !is_so {
            return refuse(format!(
                "`{shown}` cannot be set while the server runs: its settings are in its \
                 configuration file"
            ));
        }
    }
    Ok(Reply::success(request))
}

fn broker(connection: &Connection, instance: &Instance) -> Settings {
    let address = connection.front.advertised(&connection.info);
    let first = instance.shards().first().map(|shard| shard.id());
    let name = first.map_or_else(String::new, |shard| broker_name(instance.id(), shard));
    let automatic = instance.settings().create_automatically.to_string();
    let mut settings = vec![
        ("autoCreateSubscriptionGroup", automatic.clone()),
        ("autoCreateTopicEnable", automatic),
        ("brokerClusterName", CLUSTER_NAME.to_owned()),
        ("brokerIP1", address.host.clone()),
        ("brokerId", "0".to_owned()),
        ("brokerName", name),
        // The role of a broker without slaves.
        ("brokerRole", "ASYNC_MASTER".to_owned()),
        (
            "defaultTopicQueueNums",
            instance.settings().automatic_queues.to_string(),
        ),
        ("enablePropertyFilter", "true".to_owned()),
        ("flushDiskType", "SYNC_FLUSH".to_owned()),
        ("listenPort", address.port.to_string()),
        (
            "maxMessageSize",
            base::limits::MESSAGE_BODY_BYTES_MAX.to_string(),
        ),
        ("messageDelayLevel", DELAY_LEVELS.to_owned()),
        ("msgTraceTopicName", TRACE_TOPIC.to_owned()),
        ("namesrvAddr", address.to_string()),
        ("slaveReadEnable", "false".to_owned()),
        ("traceOn", "true".to_owned()),
        ("traceTopicEnable", "true".to_owned()),
        ("useTLS", connection.info.tls.to_string()),
    ];
    if let Some(surroundings) = &connection.front.surroundings {
        let hours = surroundings.retention_hours.to_string();
        settings.push(("fileReservedTime", hours));
        // Compat: `exportMetrics` takes it for the number of processors.
        let processors = surroundings.processors.to_string();
        settings.push(("clientCallbackExecutorThreads", processors));
        settings.sort_unstable();
    }
    settings
}

fn name_server(connection: &Connection) -> Settings {
    let address = connection.front.advertised(&connection.info);
    vec![
        ("bindAddress", address.host.clone()),
        ("listenPort", address.port.to_string()),
        ("orderMessageEnable", "true".to_owned()),
        ("returnOrderTopicConfigToBroker", "true".to_owned()),
    ]
}

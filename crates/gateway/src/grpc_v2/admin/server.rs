//! ChangeLogLevel and GetProxyRuntimeStats: the server itself.

use broker::{Counter, Window};
use tracing::level_filters::LevelFilter;
use wire::grpc_v2::{self as v2, Code, change_log_level_request::Level};

use super::{super::names, Call, Refusal};

pub(super) fn change_log_level(
    call: &Call,
    request: &v2::ChangeLogLevelRequest,
) -> Result<v2::ChangeLogLevelResponse, Refusal> {
    let level = match Level::try_from(request.level) {
        Ok(Level::Trace) => LevelFilter::TRACE,
        Ok(Level::Debug) => LevelFilter::DEBUG,
        Ok(Level::Info) => LevelFilter::INFO,
        Ok(Level::Warn) => LevelFilter::WARN,
        Ok(Level::Error) => LevelFilter::ERROR,
        Err(_) => {
            let text = format!("log level is {}, expected 0 to 4", request.level);
            return Err(Refusal::new(Code::BadRequest, text));
        }
    };
    if !call.front.change_log_level(level) {
        let text = "log level cannot be changed on this server";
        return Err(Refusal::new(Code::Unsupported, text));
    }
    tracing::info!(peer = %call.connection.peer, %level, "log level changed");
    Ok(v2::ChangeLogLevelResponse {
        remark: format!("log level is {level}"),
    })
}

pub(super) async fn get_proxy_runtime_stats(
    call: Call,
    _: v2::GetProxyRuntimeStatsRequest,
) -> Result<v2::GetProxyRuntimeStatsResponse, Refusal> {
    let instance = names::instance(&call)?;
    let rate = |counter| instance.rate(&counter, Window::Minute).per_second;
    let metrics = instance.metrics();
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let address = call.front.advertised(&call.connection);
    Ok(v2::GetProxyRuntimeStatsResponse {
        status: None,
        proxy_name: address.to_string(),
        version: call.front.version.clone(),
        in_tps: rate(Counter::AllMessagesIn),
        out_tps: rate(Counter::AllMessagesOut),
        connections: count(call.front.connections()),
        producers: count(metrics.producers),
        consumers: count(metrics.consumers),
    })
}

//! Log lines of the server, on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::{LogFormat, LogLevel};

/// Crates of this project. What libraries have to say matters only when something is wrong.
const OWN: [&str; 8] = [
    "base", "broker", "carrack", "client", "control", "gateway", "store", "wire",
];

/// Writes log lines from now on. What is returned changes how many.
pub(super) fn start(
    level: LogLevel,
    format: LogFormat,
) -> impl Fn(LevelFilter) + Send + Sync + 'static {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let (filter, reload) = reload::Layer::new(targets(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .init();
    move |level| {
        // It fails only when nothing is logged any more.
        let _ = reload.reload(targets(level));
    }
}

fn targets(level: LevelFilter) -> Targets {
    let libraries = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    Targets::new()
        .with_default(libraries)
        .with_targets(OWN.map(|crate_name| (crate_name, level)))
}

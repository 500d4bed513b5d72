//! `herald serve`

use std::path::PathBuf;
use std::process::ExitCode;

use herald_model::SinkKind;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{Done, Failure};
use crate::app::{self, Listening, Origin};
use crate::config::{Machine, Reader, Strictness};
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration
    #[arg(short, long, default_value = "config.toml", value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(arguments: &Arguments, kinds: &'static [SinkKind]) -> Done {
    telemetry::log_to_stderr();
    let reader = Reader {
        environment: &Machine,
        strictness: Strictness::Serve,
        kinds,
    };
    let loaded = reader.load(&arguments.config)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    // Before starting, so that no signal finds the default action.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listening = Listening::from_environment()?;
    if let Listening::Inherited(_) = listening {
        info!("listening on the socket that this process was started with");
    }
    let origin = Origin {
        path: Some(arguments.config.clone()),
        kinds,
    };
    let running = app::start(loaded.config, origin, listening).await?;
    info!("listening on {}", running.url());
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                let (answer, _) = tokio::sync::oneshot::channel();
                // The reloader logs its report; a full queue means that one is under way.
                let _ = running.reload().try_send(answer);
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    tokio::select! {
        () = running.stop() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Err(second_signal()),
        _ = interrupt.recv() => Err(second_signal()),
    }
}

/// The journal holds everything, so an exit at once loses nothing; open attempts are found as
/// unknown at the next start.
fn second_signal() -> Failure {
    Failure::new(
        "a second signal: stopped at once; what was in flight is tried again at the next start",
    )
}

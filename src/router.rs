//! The router as a library: a program of one's own, with kinds of sinks of one's own.
//!
//! Everything that the `herald` program can do, such a program can; `examples/custom-sink/` is one.

use std::path::Path;
use std::process::ExitCode;

use herald_model::SinkKind;

use crate::app::{self, Listening, Origin, Running};
use crate::cli;
use crate::config::{Machine, Reader, Strictness};

/// Herald with the kinds of sinks that its configuration may name.
#[derive(Debug, Clone, Copy)]
pub struct Router {
    kinds: &'static [SinkKind],
}

/// Gathers what a [`Router`] is made of.
#[derive(Debug, Clone)]
pub struct Builder {
    kinds: Vec<SinkKind>,
}

impl Router {
    /// Begins with the kinds that Herald has itself.
    pub fn builder() -> Builder {
        Builder {
            kinds: herald_sinks::ALL.to_vec(),
        }
    }

    /// Runs the command that the program's arguments name (`serve`, `check`, `send` and so on) and
    /// gives its exit code: 0, 1 for a failure, 2 for a wrong use.
    pub fn run(self) -> ExitCode {
        install_tls();
        cli::run(self.kinds)
    }

    /// Starts the router by the file at `path`, within the tokio runtime that calls it; it reloads
    /// when the file changes. Signals are left to the caller, who ends it by
    /// [`Running::stop`]. A crash in between costs at most repetitions.
    ///
    /// # Errors
    /// Every mistake of the file with its place, or what is missing on this machine; nothing is
    /// left behind.
    pub async fn start(self, path: &Path) -> Result<Running, app::Error> {
        install_tls();
        let reader = Reader {
            environment: &Machine,
            strictness: Strictness::Serve,
            kinds: self.kinds,
        };
        let loaded = reader.load(path)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let origin = Origin {
            path: Some(path.to_owned()),
            kinds: self.kinds,
        };
        app::start(loaded.config, origin, Listening::Configured).await
    }
}

impl Builder {
    /// Adds a kind of sink. One that Herald has under the same name is replaced by it.
    #[must_use]
    pub fn sink(mut self, kind: SinkKind) -> Self {
        self.kinds.retain(|other| other.name != kind.name);
        self.kinds.push(kind);
        self
    }

    /// The router.
    pub fn build(self) -> Router {
        Router {
            // A few hundred bytes, once: the kinds are needed as long as the program runs.
            kinds: self.kinds.leak(),
        }
    }
}

/// One provider for everything that speaks TLS.
fn install_tls() {
    // It fails only where one is set already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

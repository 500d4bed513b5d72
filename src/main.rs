//! The `herald` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for everything that speaks TLS; it fails only where one is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    herald::cli::run()
}

//! The `herald` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    herald::Router::builder().build().run()
}

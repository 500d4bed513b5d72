//! The commands. Each is one file; errors go to standard error, one line `herald: …` each.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use herald_model::SinkKind;

mod backup;
mod check;
mod client;
mod explain;
mod hands;
mod list;
mod r#match;
mod refused;
mod send;
mod serve;
mod show;
mod sink;
mod status;
mod table;

use crate::demo;

/// Routes cloud operation events to the people and programs that must react to them.
#[derive(Debug, Parser)]
#[command(
    name = "herald",
    version,
    about,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the router; SIGHUP reloads, SIGTERM drains and stops
    Serve(serve::Arguments),
    /// Run the router with stand-ins for all sinks and send sample events through it
    Demo(demo::Arguments),
    /// Check a configuration: all mistakes together, then its tests
    Check(check::Arguments),
    /// Print the events that match a pattern: grep for events
    Match(r#match::Arguments),
    /// Say for each subscription whether an event matches, and if not, why not
    Explain(explain::Arguments),
    /// Send events to a running router
    Send(send::Arguments),
    /// Show how a running router stands
    Status(status::Arguments),
    /// List events, newest first
    Events(list::EventArguments),
    /// List deliveries, newest first
    Deliveries(list::DeliveryArguments),
    /// List dead letters, newest first
    Dead(list::DeadArguments),
    /// Show one event or delivery with everything that followed
    Show(show::Arguments),
    /// Make deliveries that are over due again, one by one or by filter
    Replay(hands::Arguments),
    /// Suppress deliveries that wait, one by one or by filter
    Cancel(hands::Arguments),
    /// Test, pause or resume a sink
    Sink(sink::Arguments),
    /// Copy the journal, also while it is in use
    Backup(backup::Arguments),
    /// Have a running router reload its configuration
    Reload(status::ReloadArguments),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Print help on a command, or the reference of the rules: `herald help rules`
    Help {
        /// A command, or `rules`
        topic: Option<String>,
    },
    /// List bodies that were refused, show one, or send them through again
    Refused(refused::Arguments),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
}

/// What a command failed with: lines for people, each printed after `herald: `.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Vec<String>);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string().lines().map(str::to_owned).collect())
    }
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }
}

/// Runs the command that the arguments name, with these kinds of sinks, and gives the exit code: 0, 1 for a failure, 2 for a
/// wrong use.
pub fn run(kinds: &'static [SinkKind]) -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
        Command::Help { topic } => help(topic.as_deref()),
        Command::Refused(arguments) => block_on(refused::run(arguments)),
        Command::Schema => schema(kinds),
        Command::Check(arguments) => check::run(&arguments, kinds),
        Command::Match(arguments) => return r#match::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments, kinds),
        Command::Serve(arguments) => block_on(serve::run(&arguments, kinds)),
        Command::Demo(arguments) => block_on(demo::run(arguments)),
        Command::Send(arguments) => block_on(send::run(arguments)),
        Command::Status(arguments) => block_on(status::run(arguments)),
        Command::Events(arguments) => block_on(list::events(arguments)),
        Command::Deliveries(arguments) => block_on(list::deliveries(arguments)),
        Command::Dead(arguments) => block_on(list::dead(arguments)),
        Command::Show(arguments) => block_on(show::run(arguments)),
        Command::Replay(arguments) => block_on(hands::replay(arguments)),
        Command::Cancel(arguments) => block_on(hands::cancel(arguments)),
        Command::Sink(arguments) => block_on(sink::run(arguments)),
        Command::Backup(arguments) => block_on(backup::run(arguments, kinds)),
        Command::Reload(arguments) => block_on(status::reload(arguments)),
    };
    match done {
        Ok(code) => code,
        Err(Failure(lines)) => {
            for line in lines {
                eprintln!("herald: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What every command gives.
pub(crate) type Done = Result<ExitCode, Failure>;

fn block_on(command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(command);
    // A read of standard input cannot be interrupted; it must not hold up the exit.
    runtime.shutdown_background();
    done
}

fn completions(shell: clap_complete::Shell) -> Done {
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "herald",
        &mut std::io::stdout(),
    );
    Ok(ExitCode::SUCCESS)
}

fn help(topic: Option<&str>) -> Done {
    let mut command = Arguments::command();
    // Gives every command the name by which it is called.
    command.build();
    let shown = match topic {
        Some("rules") => {
            println!("{}", herald_rules::REFERENCE.trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        None => Some(&mut command),
        Some(name) => command.find_subcommand_mut(name),
    };
    match shown {
        Some(command) => command.print_long_help()?,
        None => {
            return Err(Failure::new(
                "there is no such command; `herald help` lists them",
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn schema(kinds: &[SinkKind]) -> Done {
    let schema = crate::config::schema(kinds);
    println!("{}", serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}

fn man() -> Done {
    clap_mangen::Man::new(Arguments::command()).render(&mut std::io::stdout())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}

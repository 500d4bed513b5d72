//! Herald with a kind of sink of its own, `file`: a line for every message, appended to a file.

use std::path::PathBuf;
use std::time::Duration;

use herald::model::sink::SinkDefaults;
use herald::model::{EndpointId, Notification, Outcome, Outcomes, Progress, Sink, SinkKind};
use tokio::io::AsyncWriteExt;

const KIND: SinkKind = SinkKind {
    name: "file",
    summary: "Appends a line for every message to a file.",
    example: "[sink.log]\nkind = \"file\"\npath = \"events.log\"\n",
    defaults: SinkDefaults::ORDERED,
    configure: |table| {
        let path = table.file("path").required("\"events.log\"")?;
        Some(Box::new(File { path }))
    },
};

#[derive(Debug, Clone)]
struct File {
    path: PathBuf,
}

#[async_trait::async_trait]
impl Sink for File {
    fn endpoint(&self) -> EndpointId {
        EndpointId::new(KIND.name, &self.path.to_string_lossy())
    }

    async fn deliver(&self, notification: &Notification, _: &Progress<'_>) -> Outcomes {
        let (message, text) = (notification.message, &notification.rendered);
        let line = format!("{message} {}\n", text.title);
        let outcome = match self.append(&line).await {
            Ok(()) => Outcome::delivered("appended"),
            Err(error) => Outcome::sink_fault(format!("{}: {error}", self.path.display())),
        };
        outcome.into()
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(10)
    }
}

impl File {
    async fn append(&self, line: &str) -> std::io::Result<()> {
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(&self.path).await?;
        file.write_all(line.as_bytes()).await?;
        file.sync_data().await
    }
}

fn main() -> std::process::ExitCode {
    herald::Router::builder().sink(KIND).build().run()
}

//! The program with its own kind of sink, from the configuration to the line in the file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const EVENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../attach-failed.json");

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_custom-sink"))
}

/// The router at work; killed when dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it in `folder` with the example's configuration on a free port; its address.
fn serve(folder: &Path) -> (Serving, String) {
    let config = include_str!("../config.toml").replace(":8470", ":0");
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let mut child = program()
        .arg("serve")
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let serving = Serving(child);
    let (found, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some((_, url)) = line.split_once("listening on ") {
                let _ = found.send(url.trim().to_owned());
            }
        }
    });
    (serving, address.recv_timeout(PATIENCE).unwrap())
}

#[test]
fn an_event_becomes_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (_serving, url) = serve(folder.path());
    let sent = program()
        .args(["send", "--url", &url, EVENT])
        .status()
        .unwrap();
    assert!(sent.success());
    let began = Instant::now();
    let line = loop {
        let line = std::fs::read_to_string(folder.path().join("events.log")).unwrap_or_default();
        if line.ends_with('\n') {
            break line;
        }
        assert!(began.elapsed() < PATIENCE, "no line came");
        std::thread::yield_now();
    };
    assert!(line.starts_with("msg_"), "{line}");
    assert!(line.contains("AttachNetworkInterface failed"), "{line}");
    let probed = program()
        .args(["sink", "test", "log", "--url", &url])
        .output()
        .unwrap();
    let said = String::from_utf8(probed.stdout).unwrap();
    assert!(said.contains("sink `log` works"), "{said}");
}

#[test]
fn the_other_commands_know_the_kind() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let check = |path: &str| {
        let text = include_str!("../config.toml").replace("path = \"events.log\"", path);
        std::fs::write(&config, text).unwrap();
        let checked = program()
            .args(["check", "-c"])
            .arg(&config)
            .output()
            .unwrap();
        (
            checked.status.success(),
            String::from_utf8(checked.stderr).unwrap(),
        )
    };
    assert!(check("path = \"events.log\"").0);
    let (is_sound, said) = check("paht = \"events.log\"");
    assert!(!is_sound);
    assert!(said.contains("did you mean `path`?"), "{said}");
    let schema = program().arg("schema").output().unwrap();
    let schema = String::from_utf8(schema.stdout).unwrap();
    assert!(schema.contains("\"const\": \"file\""), "{schema}");
}

#[test]
fn it_is_a_short_program() {
    let program = include_str!("../src/main.rs");
    assert!(program.lines().count() < 60);
}

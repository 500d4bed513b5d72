//! The keys of a sink of DingTalk robots.

use std::path::PathBuf;
use std::time::Duration;

use herald_model::settings::Table;
use herald_model::sink::ConnectError;
use herald_model::{Secret, Sink, SinkConfig};
use url::Url;

use super::payload::{Additions, Button, Form};
use super::{DingTalk, Robot, endpoint};
use crate::guard::Guard;
use crate::http::{Client, Settings, Target};
use crate::said::Redactor;

/// The query parameter of the webhook that holds the robot's token.
const TOKEN: &str = "access_token";

/// Buttons that a card may have. Chosen: no limit is documented, and more do not fit a phone.
const BUTTONS_AT_MOST: usize = 10;

/// Robots of one sink. Chosen: ten carry 180 messages a minute.
const ROBOTS_AT_MOST: usize = 10;

/// Checked settings of the robots.
#[derive(Debug)]
struct Config {
    first: Robot,
    others: Vec<Robot>,
    additions: Additions,
    timeout: Duration,
    ca: Option<PathBuf>,
}

/// Reads the keys; see `README.md` beside this file.
pub(super) fn configure(table: &mut Table<'_>) -> Option<Box<dyn SinkConfig>> {
    let seconds = Duration::from_secs;
    let robots = robots(table);
    let form = table
        .word(
            "message",
            &[
                ("markdown", "markdown"),
                ("text", "text"),
                ("action-card", "action-card"),
            ],
        )
        .or("markdown");
    let form = match form {
        "text" => Form::Text,
        "action-card" => Form::ActionCard,
        _ => Form::Markdown,
    };
    let additions = Additions {
        form,
        at_mobiles: table.texts("at_mobiles").or(Vec::new()),
        at_user_ids: table.texts("at_user_ids").or(Vec::new()),
        at_all: table.flag("at_all").or(false),
        keyword: table.text("keyword").optional(),
        buttons: buttons(table, form),
    };
    if form == Form::ActionCard {
        for key in ["at_mobiles", "at_user_ids", "at_all"] {
            if table.names().any(|name| name == key) {
                table.reading().warning(
                    table.span_of(key),
                    format!(
                        "`{}` calls nobody in an action card; use message = \"markdown\" or \"text\"",
                        table.path_of(key)
                    ),
                );
            }
        }
    }
    let timeout = table
        .duration("timeout", seconds(1)..=seconds(300))
        .or(seconds(10));
    let ca = table.file("ca").optional();
    let robots = robots?;
    let (first, others) = robots.split_first()?;
    Some(Box::new(Config {
        first: first.clone(),
        others: others.to_vec(),
        additions,
        timeout,
        ca,
    }))
}

/// The robots, in the order of preference: those of `robots`, or the one that `webhook` names.
/// `None` when a mistake was reported or a secret is not set.
fn robots(table: &Table<'_>) -> Option<Vec<Robot>> {
    let entries = table.tables("robots");
    let is_given = |key: &str| table.names().any(|name| name == key);
    if !is_given("robots") {
        return Some(vec![robot(table)?]);
    }
    let mut is_sound = true;
    let mut mistake = |span, what: String| {
        let what = format!("`{}`: {what}", table.path_of("robots"));
        table.reading().mistake(span, what);
        is_sound = false;
    };
    for key in ["webhook", "secret"] {
        // Read all the same, or it would be called an unknown key.
        let _ = table.secret(key).optional();
        if is_given(key) {
            let what = format!("each robot has its own `{key}`; write it in there");
            mistake(table.span_of(key), what);
        }
    }
    if entries.is_empty() || entries.len() > ROBOTS_AT_MOST {
        let what = format!(
            "name 1 to {ROBOTS_AT_MOST} robots, each as [[…robots]] with `webhook` and `secret`"
        );
        mistake(table.span_of("robots"), what);
    }
    let wanted = entries.len();
    let mut robots: Vec<Robot> = Vec::with_capacity(wanted);
    for entry in entries {
        if let Some(another) = robot(&entry) {
            if robots.iter().any(|one| one.endpoint == another.endpoint) {
                mistake(
                    entry.span(),
                    "two of them have one `access_token`".to_owned(),
                );
            }
            robots.push(another);
        }
        entry.finish();
    }
    (is_sound && robots.len() == wanted).then_some(robots)
}

/// One robot: its address, and the secret where it signs.
fn robot(table: &Table<'_>) -> Option<Robot> {
    let webhook = webhook(table);
    let secret_given = table.names().any(|name| name == "secret");
    let secret = table.secret("secret").optional();
    let (webhook, token) = webhook?;
    if secret_given && secret.is_none() {
        return None;
    }
    Some(Robot {
        endpoint: endpoint(&token),
        webhook,
        token,
        secret,
    })
}

/// The robot's URL and the token in it. The whole URL is a credential, so no message repeats it.
fn webhook(table: &Table<'_>) -> Option<(Target, Secret)> {
    let text = table
        .secret("webhook")
        .required("\"https://oapi.dingtalk.com/robot/send?access_token=…\"")?;
    let mistake = |what: &str| {
        table.reading().mistake(
            table.span_of("webhook"),
            format!("`{}`: {what}", table.path_of("webhook")),
        );
        None
    };
    let Some(mut url) = Url::parse(text.expose())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        return mistake("this is no http:// or https:// URL; copy the robot's whole address");
    };
    let token = url
        .query_pairs()
        .find(|(key, value)| key == TOKEN && !value.is_empty())
        .map(|(_, value)| Secret::new(value.into_owned()));
    let Some(token) = token else {
        return mistake("the address has no `access_token`; copy the robot's whole address");
    };
    // A copied address may still have the sign of a request; a second one would be refused.
    let kept: Vec<_> = url
        .query_pairs()
        .filter(|(key, _)| key != "timestamp" && key != "sign")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    url.set_fragment(None);
    if url.scheme() == "http" && !Guard::new(Vec::new()).is_home(&url) {
        table.reading().warning(
            table.span_of("webhook"),
            format!(
                "`{}` is not encrypted: anyone on the way can read the robot's token; use https://",
                table.path_of("webhook")
            ),
        );
    }
    Some((Target::new(url), token))
}

/// The buttons of an action card, each with a title and a link.
fn buttons(table: &Table<'_>, form: Form) -> Vec<Button> {
    let mut buttons = Vec::new();
    for entry in table.tables("buttons") {
        let title = entry.text("title").required("\"Runbook\"");
        let url = entry
            .url("url")
            .required("\"https://wiki.example.com/eni\"");
        if let (Some(title), Some(url)) = (title, url) {
            buttons.push(Button {
                title,
                url: url.into(),
            });
        }
        entry.finish();
    }
    let what = match form {
        Form::ActionCard if buttons.len() <= BUTTONS_AT_MOST => return buttons,
        Form::ActionCard => format!("at most {BUTTONS_AT_MOST} buttons fit a card"),
        _ if buttons.is_empty() => return buttons,
        _ => "only an action card has buttons; set message = \"action-card\"".to_owned(),
    };
    table.reading().mistake(
        table.span_of("buttons"),
        format!("`{}`: {what}", table.path_of("buttons")),
    );
    buttons
}

impl SinkConfig for Config {
    fn connect(&self) -> Result<Box<dyn Sink>, ConnectError> {
        let client = Client::new(&Settings {
            timeout: self.timeout,
            // So that a time-out while connecting is told from one after the request went out.
            connect_timeout: self.timeout / 2,
            guard: Guard::open(),
            is_encrypted: self.robots().any(|robot| robot.webhook.is_encrypted()),
            ca: self.ca.clone(),
            identity: None,
        })?;
        let secrets = self.robots().flat_map(|robot| {
            let own = robot.secret.iter().chain([&robot.token]).cloned();
            own.chain(robot.webhook.secrets())
        });
        Ok(Box::new(DingTalk {
            client,
            first: self.first.clone(),
            others: self.others.clone(),
            additions: self.additions.clone(),
            redactor: Redactor::new(secrets),
            timeout: self.timeout,
        }))
    }
}

impl Config {
    fn robots(&self) -> impl Iterator<Item = &Robot> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

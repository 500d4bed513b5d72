//! `[[server.token]]`: who may call, and what a token looks like.

use std::ops::Range;

use herald_model::Secret;
use herald_model::settings::{Reading, Table, did_you_mean};

use super::reading::{NAME_MAX, is_empty_list, names_of, with_places};

/// Below this many characters a token is warned about: 16 random letters and digits are about 95
/// bits, which no one guesses over a network.
const TOKEN_LENGTH_ADVISED: usize = 16;

/// A caller of the API.
#[derive(Debug, Clone)]
pub struct Token {
    /// Who this is, for the journal's record of who asked.
    pub name: String,
    /// What the caller sends as bearer: visible ASCII characters.
    pub token: Secret,
    /// What it may do; never empty, none twice.
    pub roles: Vec<Role>,
}

impl Token {
    /// Whether the caller may do what `role` allows.
    pub fn may(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Hand in events and operation results.
    Intake,
    /// Look at everything.
    Read,
    /// Replay, cancel, pause, reload.
    Operate,
    /// Approve follow-up actions.
    Approve,
}

impl Role {
    /// All roles with their words in the file.
    pub const ALL: [(&'static str, Self); 4] = [
        ("intake", Self::Intake),
        ("read", Self::Read),
        ("operate", Self::Operate),
        ("approve", Self::Approve),
    ];
}

/// Reads every `[[server.token]]`. Tokens with a mistake are left out.
pub(super) fn read_all(server: &Table<'_>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    server.note("token", None);
    for table in server.tables("token") {
        let name = table.text("name").required("\"ops\"");
        let token = table.secret("token").required("\"${env:HERALD_TOKEN}\"");
        let roles = roles(&table);
        if let Some(name) = &name {
            check_caller(&table, name, &tokens);
        }
        if let Some(token) = &token {
            check_token(&table, "token", table.span_of("token"), token);
            if let Some(other) = tokens.iter().find(|other| other.token == *token) {
                let text = format!(
                    "`server.token.token`: `{}` has the same; give each caller its own",
                    other.name
                );
                table.reading().mistake(table.span_of("token"), text);
            }
        }
        if let (Some(name), Some(token)) = (name, token) {
            tokens.push(Token { name, token, roles });
        }
        table.finish();
    }
    tokens
}

fn check_caller(table: &Table<'_>, name: &str, others: &[Token]) {
    let mistake = |text: String| table.reading().mistake(table.span_of("name"), text);
    if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        mistake(format!(
            "`server.token.name`: a name is one line of at most {NAME_MAX} characters; shorten it"
        ));
    }
    if others.iter().any(|other| other.name == name) {
        mistake(format!(
            "there are two tokens named `{name}`; names are unique, rename one"
        ));
    }
}

/// Checks what senders put into a header or an address. `key` belongs to `table`; the words never
/// repeat the token.
pub(super) fn check_token(table: &Table<'_>, key: &str, span: Range<usize>, token: &Secret) {
    let reading: &Reading<'_> = table.reading();
    let path = table.path_of(key);
    let token = token.expose();
    if token.is_empty() {
        reading.mistake(span, format!("`{path}`: must not be empty"));
    } else if !token.chars().all(|c| c.is_ascii_graphic()) {
        reading.mistake(
            span,
            format!("`{path}`: a token is made of visible ASCII characters, without spaces"),
        );
    } else if token.len() < TOKEN_LENGTH_ADVISED {
        reading.warning(
            span,
            format!(
                "`{path}`: the token is short enough to be guessed; \
                 use at least {TOKEN_LENGTH_ADVISED} random characters"
            ),
        );
    }
}

fn roles(table: &Table<'_>) -> Vec<Role> {
    let example = "[\"intake\"]";
    let known = Role::ALL.map(|(word, _)| word);
    let Some(words) = table.texts("roles").required(example) else {
        return Vec::new();
    };
    if is_empty_list(table, "roles") {
        let text = format!(
            "`server.token.roles`: a token without roles opens nothing; name some of {}",
            names_of(known)
        );
        table.reading().mistake(table.span_of("roles"), text);
    }
    let mut roles = Vec::new();
    for (word, span) in with_places(table, "roles", words) {
        match Role::ALL.iter().find(|(name, _)| *name == word) {
            Some((_, role)) if roles.contains(role) => {}
            Some((_, role)) => roles.push(*role),
            None => {
                let near = did_you_mean(&word, known);
                let text = format!(
                    "`server.token.roles`: `{word}` is none of {}{near}",
                    names_of(known)
                );
                table.reading().mistake(span, text);
            }
        }
    }
    roles
}

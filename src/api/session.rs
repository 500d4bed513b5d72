//! Being signed in to the console: a browser shows its token once and gets a cookie for it.
//!
//! The cookie holds a random word that means nothing elsewhere. Which token it stands for is known in
//! memory alone, so what ends a token ends its sessions, and so does a restart. It counts for the pages
//! of the console and nowhere else: what changes something asks for the token itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use herald_model::Secret;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

/// How long one may stay signed in. Chosen: a day's work.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// Sessions at a time; the oldest ends for a further one. Chosen: more people than look after one
/// router, and little memory.
const SESSIONS_MAX: usize = 1_000;

/// Bytes of a cookie's random word. Chosen: twice what nobody can guess.
const WORD_BYTES: usize = 32;

/// The cookie's name over plain HTTP.
const PLAIN: &str = "herald-session";

/// The cookie's name over TLS. Browsers take a name that begins so from this very host alone, with
/// `Secure` (RFC 6265bis, section 4.1.3.2).
const SECURE: &str = "__Host-herald-session";

/// Who is signed in.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<Word, Session>>);

/// The SHA-256 of a cookie's word, so that the words themselves are kept nowhere.
type Word = [u8; 32];

#[derive(Debug)]
struct Session {
    token: Secret,
    ends: Timestamp,
}

impl Sessions {
    /// Begins a session for a token and gives the word for its cookie.
    pub(super) fn begin(&self, token: Secret, now: Timestamp) -> String {
        let word = URL_SAFE_NO_PAD.encode(rand::random::<[u8; WORD_BYTES]>());
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| now < session.ends);
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, session)| session.ends);
            if let Some(oldest) = oldest.map(|(word, _)| *word) {
                open.remove(&oldest);
            }
        }
        let ends = now.checked_add(LASTS).unwrap_or(now);
        open.insert(hashed(&word), Session { token, ends });
        word
    }

    /// The token that a request's cookie stands for.
    pub(super) fn token(&self, headers: &HeaderMap, now: Timestamp) -> Option<Secret> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words(headers)
            .filter_map(|word| open.get(&hashed(word)))
            .find(|session| now < session.ends)
            .map(|session| session.token.clone())
    }

    /// Ends the session of a request's cookie.
    pub(crate) fn end(&self, headers: &HeaderMap) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for word in words(headers) {
            open.remove(&hashed(word));
        }
    }
}

fn hashed(word: &str) -> Word {
    Sha256::digest(word.as_bytes()).into()
}

/// Whether a request brings a cookie of a session, also of one that is over.
pub(crate) fn has_one(headers: &HeaderMap) -> bool {
    words(headers).next().is_some()
}

/// The words of a request's cookies.
fn words(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| matches!(*name, PLAIN | SECURE))
        .map(|(_, word)| word)
}

/// What a browser is told to keep: out of the reach of scripts, and sent along only by pages of this
/// site. `Secure` where the browser itself speaks `https://`, also to a proxy before Herald.
pub(crate) fn cookie(word: &str, is_secure: bool) -> Option<HeaderValue> {
    let lasts = if word.is_empty() { 0 } else { LASTS.as_secs() };
    let (name, more) = if is_secure {
        (SECURE, "; Secure")
    } else {
        (PLAIN, "")
    };
    let text = format!("{name}={word}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{more}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    fn with(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    fn token(sessions: &Sessions, cookie: &str, now: Timestamp) -> Option<String> {
        let token = sessions.token(&with(cookie), now);
        token.map(|token| token.expose().to_owned())
    }

    #[test]
    fn a_word_stands_for_its_token_until_it_ends() {
        let sessions = Sessions::default();
        let word = sessions.begin(Secret::new("t0ken"), now());
        assert_eq!(word.len(), 43);
        for cookie in [
            format!("herald-session={word}"),
            format!("a=b; __Host-herald-session={word}"),
            format!("herald-session=old; herald-session={word};"),
        ] {
            assert_eq!(token(&sessions, &cookie, now()).as_deref(), Some("t0ken"));
        }
        let cookie = format!("herald-session={word}");
        for other in [
            format!("session={word}"),
            format!("herald-session={word}x"),
            "herald-session=".to_owned(),
            "herald-session".to_owned(),
        ] {
            assert_eq!(token(&sessions, &other, now()), None, "{other}");
        }
        let last = now() + LASTS - SignedDuration::from_secs(1);
        assert!(token(&sessions, &cookie, last).is_some());
        assert_eq!(token(&sessions, &cookie, now() + LASTS), None);
        sessions.end(&with(&cookie));
        assert_eq!(token(&sessions, &cookie, now()), None);
    }

    #[test]
    fn the_oldest_ends_where_there_are_too_many() {
        let sessions = Sessions::default();
        let begin = |second: i64| {
            let at = now() + SignedDuration::from_secs(second);
            let word = sessions.begin(Secret::new("t0ken"), at);
            format!("herald-session={word}")
        };
        let (first, second) = (begin(0), begin(1));
        for number in 2..=1_000 {
            begin(number);
        }
        assert_eq!(token(&sessions, &first, now()), None);
        assert!(token(&sessions, &second, now()).is_some());
        assert_eq!(sessions.0.lock().unwrap().len(), SESSIONS_MAX);
    }

    #[test]
    fn a_cookie_is_for_this_site_and_no_script() {
        let plain = cookie("w", false).unwrap();
        assert_eq!(
            plain,
            "herald-session=w; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"
        );
        let secure = cookie("", true).unwrap();
        assert_eq!(
            secure,
            "__Host-herald-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
    }
}

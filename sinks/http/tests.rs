//! The client against servers on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::testing::http::Server;

/// A name server in the hands of an attacker: it says `first` once, and then always `then`.
struct Rebinding {
    first: SocketAddr,
    then: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl LookUp for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<SocketAddr>> {
        let earlier = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(vec![if earlier == 0 { self.first } else { self.then }])
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_after_the_look_up_gains_nothing() {
    let (wanted, inside) = Server::pair("").await;
    let asked = Arc::<AtomicUsize>::default();
    let look_up = Rebinding {
        first: wanted.address,
        then: inside.address,
        asked: Arc::clone(&asked),
    };
    let settings = Settings {
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(30),
        guard: Guard::new(vec!["127.0.0.2/32".parse().unwrap()]),
        is_encrypted: false,
        ca: None,
        identity: None,
    };
    let client = Client::looking_up(&settings, look_up).unwrap();
    let url = format!("http://rebinding.example:{}/", wanted.address.port());
    let send = || {
        let request = client.request(http::Method::POST, url.parse().unwrap());
        client.send(request.build().unwrap())
    };
    send().await.unwrap();
    assert_eq!(wanted.connections(), 1);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "asked once a connection");
    let refused = send().await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(_)), "{refused:?}");
    assert_eq!(inside.connections(), 0);
}

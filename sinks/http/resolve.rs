//! Name look-up with the guard in it: the addresses that come out are the ones that get dialled.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::Guard;
use crate::trouble::Unknown;

/// Who knows the addresses of a name.
pub(super) trait LookUp: Send + Sync + 'static {
    /// The addresses; their port is of no account.
    fn addresses(
        &self,
        name: &str,
    ) -> impl Future<Output = std::io::Result<Vec<SocketAddr>>> + Send;
}

/// The system's resolver.
pub(super) struct System;

impl LookUp for System {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        // Port 0 is replaced by the URL's.
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// A resolver behind a [`Guard`]. It is asked once for each connection, and what it said then is
/// what is judged and dialled: a name that means another address a moment later gains nothing.
pub(super) struct Guarded<L> {
    guard: Guard,
    look_up: Arc<L>,
}

impl<L> Guarded<L> {
    pub(super) fn new(guard: Guard, look_up: L) -> Self {
        Self {
            guard,
            look_up: Arc::new(look_up),
        }
    }
}

impl<L: LookUp> Resolve for Guarded<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, look_up) = (self.guard.clone(), Arc::clone(&self.look_up));
        Box::pin(async move {
            let found = look_up.addresses(name.as_str()).await;
            let found = found.map_err(|cause| Unknown {
                name: name.as_str().to_owned(),
                cause,
            })?;
            let kept = guard.judge_all(name.as_str(), found)?;
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

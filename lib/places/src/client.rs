//! A client that connects to nothing but allowed places.

use std::{net::SocketAddr, sync::Arc};

use reqwest::{
    Client, ClientBuilder,
    dns::{Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::net;

use crate::{Places, Refusal};

impl Places {
    /// The beginning of a client for what [`Places::url`] has read, and for nothing else: it is not asked about
    /// addresses that are written as a number.
    pub fn client(self, user_agent: &str) -> ClientBuilder {
        Client::builder()
            .user_agent(user_agent)
            .dns_resolver(Arc::new(Guarded(self)))
            // A proxy would resolve names by itself.
            .no_proxy()
            .redirect(Policy::none())
            .http1_only()
            .referer(false)
    }
}

/// Resolves names to those of their addresses that may be read from. The connection goes to the very address that
/// was looked at, so a name that changes in between leads nowhere else.
#[derive(Debug)]
struct Guarded(Places);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let places = self.0;
        Box::pin(async move {
            let found = net::lookup_host((name.as_str(), 0)).await?;
            let (fine, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
                found.partition(|address| places.has(address.ip()));
            if fine.is_empty() && !others.is_empty() {
                return Err(Refusal::Private.into());
            }
            let fine: Box<dyn Iterator<Item = SocketAddr> + Send> = Box::new(fine.into_iter());
            Ok(fine)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_at_when_it_is_resolved() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Places::Public.client("test").build().unwrap();
        let url = format!("http://localhost:{port}/");
        let url = Places::Public.url(&url, None).unwrap();
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!(Refusal::of(&error), Some(Refusal::Private), "{error:?}");
    }
}

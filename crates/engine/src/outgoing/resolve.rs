//! Names to addresses: resolved once, and the address that was checked is the one that is dialled.

use std::io;
use std::net::SocketAddr;

use domain::reach::Network;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Leads only into this network. A name with an address elsewhere is not followed at all: whoever
/// controls it could choose which of its addresses is taken.
pub(super) struct Within(pub(super) Network);

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.0;
        Box::pin(async move {
            let addresses = addresses(network, name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a name, where all of them are within a network.
pub(super) async fn addresses(
    network: Network,
    name: &str,
    port: u16,
) -> io::Result<Vec<SocketAddr>> {
    let addresses: Vec<_> = tokio::net::lookup_host((name, port)).await?.collect();
    if addresses.iter().any(|address| !network.allows(address.ip())) {
        return Err(io::Error::other("its name leads to an address that is not called"));
    }
    Ok(addresses)
}

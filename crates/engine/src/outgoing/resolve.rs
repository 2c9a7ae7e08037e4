//! Names to addresses: resolved once, and the address that was checked is the one that is dialled.

use domain::reach::Network;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Leads only into this network. A name with an address elsewhere is not followed at all: whoever
/// controls it could choose which of its addresses is taken.
pub(super) struct Within(pub(super) Network);

impl Resolve for Within {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.0;
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().any(|address| !network.allows(address.ip())) {
                let problem = "its name leads to an address that is not called";
                return Err(std::io::Error::other(problem).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

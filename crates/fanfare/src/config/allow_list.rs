//! The networks that webhooks may target although they are not public.

use fanfare_core::egress::parse_network;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

/// Networks; plain addresses are taken as networks of one.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct AllowList(Vec<IpNet>);

impl AllowList {
    /// These networks.
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The networks.
    pub(crate) fn networks(&self) -> &[IpNet] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for AllowList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| parse_network(text).map_err(serde::de::Error::custom))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[&str]) -> Result<AllowList, String> {
        toml::Value::try_from(list).unwrap().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }

    #[test]
    fn addresses_become_networks_of_one_and_stray_bits_are_dropped() {
        let list = read(&["127.0.0.1", "::1", "10.1.2.3/8", "fd00::/8"]).unwrap();
        let texts: Vec<_> = list.networks().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["127.0.0.1/32", "::1/128", "10.0.0.0/8", "fd00::/8"]);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for wrong in ["localhost", "10.0.0.0/33", "10.0.0.0/8,::1", "*", ""] {
            assert!(read(&["::1", wrong]).unwrap_err().contains(&format!("`{wrong}`")), "{wrong}");
        }
    }
}

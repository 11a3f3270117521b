//! The networks that webhooks may target although they are not public.

use std::net::IpAddr;

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
        texts.iter().map(|text| parse(text).map_err(serde::de::Error::custom)).collect::<Result<_, _>>().map(Self)
    }
}

fn parse(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    // The bits behind the prefix mean nothing; without them two spellings of one network are equal.
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network.map_err(|_| format!("`{text}` is neither a network such as 10.0.0.0/8 nor an address such as ::1"))
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

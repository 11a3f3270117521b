//! Networks as operators write them.

use std::net::IpAddr;

use ipnet::IpNet;

/// Parses a network such as 10.0.0.0/8; a plain address is a network of one.
///
/// # Errors
/// In words, when the text is neither.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    // The bits behind the prefix mean nothing; without them two spellings of one network are equal.
    let network = text.parse::<IpNet>().map(|network| network.trunc());
    network.map_err(|_| format!("`{text}` is neither a network such as 10.0.0.0/8 nor an address such as ::1"))
}

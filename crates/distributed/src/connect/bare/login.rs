//! Who we are, as the server wants to hear it: the same users, credentials and keys as for the other connection.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde::Serialize;

use crate::config::NatsConfig;
use crate::connect::servers::InUrl;
use crate::connect::{read, seed};
use crate::error::ConnectError;

/// What a client says of itself. It never has a `Debug`: passwords are in it.
#[derive(Serialize)]
struct Connect<'a> {
    name: &'static str,
    lang: &'static str,
    version: &'static str,
    verbose: bool,
    pedantic: bool,
    protocol: u8,
    echo: bool,
    headers: bool,
    no_responders: bool,
    tls_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nkey: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sig: Option<String>,
}

/// The message as JSON. Files are read anew each time: they may have changed.
///
/// # Errors
/// When a file cannot be read or does not hold what it should; nothing of it is quoted.
pub(super) fn message(
    config: &NatsConfig,
    in_url: Option<&InUrl>,
    nonce: &str,
    tls_required: bool,
) -> Result<String, ConnectError> {
    let file = match (&*config.credentials_file, &*config.nkey_file) {
        ("", "") => None,
        ("", file) | (file, _) => Some(read(file)?),
    };
    let key = file.as_deref().map(|text| KeyPair::from_seed(seed(text)).map_err(super::super::unusable)).transpose()?;
    let signed = key.as_ref().map(|key| key.sign(nonce.as_bytes()).map_err(super::super::unusable)).transpose()?;
    let by_credentials = !config.credentials_file.is_empty();
    let (mut user, mut pass, mut auth_token): (Option<&str>, Option<&str>, Option<&str>) = (None, None, None);
    if file.is_none() {
        match in_url {
            _ if !config.user.is_empty() => (user, pass) = (Some(&*config.user), Some(&*config.password)),
            Some(InUrl::User(name, password)) => (user, pass) = (Some(&**name), Some(&**password)),
            Some(InUrl::Token(token)) => auth_token = Some(&**token),
            None => {}
        }
    }
    let message = Connect {
        name: "fanfare-intake",
        lang: "rust",
        version: env!("CARGO_PKG_VERSION"),
        verbose: false,
        pedantic: false,
        protocol: 1,
        echo: false,
        headers: true,
        no_responders: false,
        tls_required,
        user,
        pass,
        auth_token,
        jwt: file.as_deref().filter(|_| by_credentials).and_then(jwt),
        nkey: key.filter(|_| !by_credentials).map(|key| key.public_key()),
        sig: signed.map(|signature| URL_SAFE_NO_PAD.encode(signature)),
    };
    Ok(serde_json::to_string(&message).expect("texts in structs always have a JSON form"))
}

/// The user's token in a credentials file.
fn jwt(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("-----BEGIN NATS USER JWT-----")?;
    rest.lines().map(str::trim).find(|line| !line.is_empty())
}

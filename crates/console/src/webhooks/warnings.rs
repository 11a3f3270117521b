//! What is allowed but probably not meant: said in the answer to create and update, and nothing else comes of it.

use fanfare_core::egress::WebhookUrl;
use fanfare_core::secret::{Secret, StandardKey};

use crate::api::Api;

/// Warns when the URL's host does not resolve, or not in time.
pub(crate) async fn about_host(api: &Api, url: &WebhookUrl) -> Option<String> {
    let host = url.host();
    tokio::select! {
        resolves = api.console.egress.resolves(url) => {
            (!resolves).then(|| format!("the host {host} does not resolve; deliveries will fail until it does"))
        }
        () = api.clock.sleep(api.console.config.resolve_wait.get()) => {
            Some(format!("the host {host} could not be looked up in time; deliveries will fail if it does not resolve"))
        }
    }
}

/// Warns when libraries for Standard Webhooks cannot verify with this secret.
pub(crate) fn about_secret(secret: &Secret) -> Option<String> {
    match secret.standard_key() {
        StandardKey::Base64 => None,
        StandardKey::Text => Some(
            "the secret is not base64, so Standard Webhooks libraries cannot verify `webhook-signature` with it; \
             `X-Webhook-Signature` is not affected; leave `secret` out to have one generated that serves both"
                .to_owned(),
        ),
    }
}

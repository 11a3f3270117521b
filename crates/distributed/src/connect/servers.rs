//! The servers' URLs without the users in them: URLs are logged by those who connect to them, and passwords must not be.

use percent_encoding::percent_decode_str;

/// Who a URL says we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InUrl {
    /// `user:password@`.
    User(String, String),
    /// `token@`.
    Token(String),
}

/// Why the URLs cannot be used. It never quotes them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServersError {
    #[error("the URLs name different users; every server is told the same one")]
    Different,
    #[error("the user or the password in a URL is not percent-encoded UTF-8")]
    Encoding,
}

/// The URLs, and the one user that they name.
pub(super) fn servers(urls: &str) -> Result<(Vec<String>, Option<InUrl>), ServersError> {
    let (mut servers, mut users) = (Vec::new(), Vec::new());
    for url in urls.split(',').map(str::trim) {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let server = match rest[..end].rsplit_once('@') {
            Some((user, _)) => {
                users.push(in_url(user)?);
                &rest[user.len() + 1..]
            }
            None => rest,
        };
        servers.push(format!("{scheme}://{server}"));
    }
    users.dedup();
    match users.as_slice() {
        [] => Ok((servers, None)),
        [user] => Ok((servers, Some(user.clone()))),
        [_, ..] => Err(ServersError::Different),
    }
}

fn in_url(text: &str) -> Result<InUrl, ServersError> {
    let decode =
        |part: &str| percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| ServersError::Encoding);
    match text.split_once(':') {
        Some((user, password)) => Ok(InUrl::User(decode(user)?, decode(password)?)),
        None => Ok(InUrl::Token(decode(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_taken_out_of_urls() {
        let user = InUrl::User("me".to_owned(), "p@ss".to_owned());
        let read = servers("tls://me:p%40ss@one:4222/, nats://two,three:1,me:p%40ss@four").unwrap();
        let plain = ["tls://one:4222/", "nats://two", "nats://three:1", "nats://four"].map(str::to_owned);
        assert_eq!(read, (plain.to_vec(), Some(user)));
        assert_eq!(servers("nats://t0ken@one").unwrap().1, Some(InUrl::Token("t0ken".to_owned())));
    }

    #[test]
    fn two_users_are_refused() {
        assert_eq!(servers("nats://me:a@one,nats://me:b@two"), Err(ServersError::Different));
        assert_eq!(servers("nats://me:%ff@one"), Err(ServersError::Encoding));
    }
}

//! The address of Redis: one server, the master that Sentinels know by a name, or a cluster.

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use crate::config::RedisConfig;

/// Where Redis is, with who we are there.
pub(crate) enum Address {
    /// One server.
    Server(Box<ConnectionInfo>),
    /// Whichever server is the master of this name.
    Master { sentinels: Vec<ConnectionAddr>, name: String, database: i64, account: Account },
    /// Several servers that share the keys.
    Cluster { nodes: Vec<ConnectionAddr>, account: Account },
}

/// A user and its password, where there are any.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

/// Why an address cannot be used. It never quotes the address, which may have a password in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("the URL cannot be understood")]
    Url(#[source] redis::RedisError),
    #[error("a host in the URL is not of the form name:port")]
    Host,
    #[error("the URL names no Sentinel's master: write redis+sentinel://host:26379,host:26379/name-of-the-master")]
    NoMaster,
    #[error("the database in the URL is not a number")]
    Database,
    #[error("a cluster has only database 0, and the URL names something after the hosts")]
    ClusterDatabase,
    #[error("the user or the password in the URL is not percent-encoded UTF-8")]
    Account,
}

impl Address {
    /// Reads the URL; user and password of the options go before those in it.
    pub(crate) fn of(config: &RedisConfig) -> Result<Self, AddressError> {
        let Some((scheme, rest)) = config.url.split_once("://") else { return Self::server(config) };
        let (kind, port, tls) = match scheme {
            "redis+sentinel" => (Self::sentinels as fn(_, _, &_) -> _, 26379, false),
            "rediss+sentinel" => (Self::sentinels as fn(_, _, &_) -> _, 26379, true),
            "redis+cluster" => (Self::cluster as fn(_, _, &_) -> _, 6379, false),
            "rediss+cluster" => (Self::cluster as fn(_, _, &_) -> _, 6379, true),
            _ => return Self::server(config),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (mut account, hosts) = match authority.rsplit_once('@') {
            Some((account, hosts)) => (Account::decode(account)?, hosts),
            None => (Account::default(), authority),
        };
        account.replace(&config.user, &config.password);
        let hosts = hosts.split(',').map(|host| address(host.trim(), port, tls)).collect::<Option<Vec<_>>>();
        kind(hosts.ok_or(AddressError::Host)?, account, path)
    }

    fn server(config: &RedisConfig) -> Result<Self, AddressError> {
        let info = config.url.as_str().into_connection_info().map_err(AddressError::Url)?;
        let mut settings = info.redis_settings().clone();
        if !config.user.is_empty() {
            settings = settings.set_username(&config.user);
        }
        if !config.password.is_empty() {
            settings = settings.set_password(&config.password);
        }
        Ok(Self::Server(Box::new(info.set_redis_settings(settings))))
    }

    fn sentinels(sentinels: Vec<ConnectionAddr>, account: Account, path: &str) -> Result<Self, AddressError> {
        let (name, database) = path.split_once('/').unwrap_or((path, "0"));
        if name.is_empty() {
            return Err(AddressError::NoMaster);
        }
        let database = database.parse().map_err(|_| AddressError::Database)?;
        Ok(Self::Master { sentinels, name: name.to_owned(), database, account })
    }

    fn cluster(nodes: Vec<ConnectionAddr>, account: Account, path: &str) -> Result<Self, AddressError> {
        if !matches!(path, "" | "0") {
            return Err(AddressError::ClusterDatabase);
        }
        Ok(Self::Cluster { nodes, account })
    }
}

impl Account {
    fn decode(text: &str) -> Result<Self, AddressError> {
        let decode = |part: &str| {
            let decoded = percent_decode_str(part).decode_utf8().map_err(|_| AddressError::Account)?;
            Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
        };
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self { user: decode(user)?, password: decode(password)? })
    }

    fn replace(&mut self, user: &str, password: &str) {
        for (mine, other) in [(&mut self.user, user), (&mut self.password, password)] {
            if !other.is_empty() {
                *mine = Some(other.to_owned());
            }
        }
    }
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
fn address(text: &str, default: u16, tls: bool) -> Option<ConnectionAddr> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    let host = (!host.is_empty()).then(|| host.to_owned())?;
    Some(if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, AddressError> {
        Address::of(&RedisConfig { url: url.to_owned(), ..RedisConfig::default() })
    }

    fn tcp(host: &str, port: u16) -> ConnectionAddr {
        ConnectionAddr::Tcp(host.to_owned(), port)
    }

    #[test]
    fn sentinels_and_their_master_are_read() {
        let url = "redis+sentinel://me:p%40ss@one:1,two,[::1]:3/mine/2";
        let Ok(Address::Master { sentinels, name, database, account }) = read(url) else { panic!("not read") };
        assert_eq!(sentinels, [tcp("one", 1), tcp("two", 26379), tcp("::1", 3)]);
        assert_eq!((name.as_str(), database), ("mine", 2));
        assert_eq!((account.user.as_deref(), account.password.as_deref()), (Some("me"), Some("p@ss")));
    }

    #[test]
    fn a_cluster_is_read_with_tls_where_the_scheme_says_so() {
        let Ok(Address::Cluster { nodes, .. }) = read("rediss+cluster://one:1,[::1]/") else { panic!("not read") };
        let tls = |host: &str, port| ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port,
            insecure: false,
            tls_params: None,
        };
        assert_eq!(nodes, [tls("one", 1), tls("::1", 6379)]);
    }

    #[test]
    fn the_options_go_before_the_url() {
        for url in ["redis://me:in-url@one/3", "redis+sentinel://me:in-url@one/m", "redis+cluster://me:in-url@one"] {
            let (user, password) = ("you".to_owned(), "in-options".to_owned());
            let config = RedisConfig { url: url.to_owned(), user, password, ..RedisConfig::default() };
            let found = match Address::of(&config).ok() {
                Some(Address::Server(info)) => {
                    let settings = info.redis_settings();
                    (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
                }
                Some(Address::Master { account, .. } | Address::Cluster { account, .. }) => {
                    (account.user, account.password)
                }
                None => panic!("{url} is not read"),
            };
            assert_eq!(found, (Some("you".to_owned()), Some("in-options".to_owned())), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_being_quoted() {
        for url in [
            "redis+sentinel://me:s3cret@one:1",
            "redis+sentinel://me:s3cret@one:1/",
            "redis+sentinel://me:s3cret@one:1/name/x",
            "redis+sentinel://me:s3cret@one:port/name",
            "redis+sentinel://me:s3cret@,two/name",
            "redis+cluster://me:s3cret@one/3",
            "redis+cluster://me:s3cret@[::1",
            "redis+cluster://me:s3cret%ff@one",
            "http://me:s3cret@one",
            "s3cret",
            "redis://me:s3cret@one:port",
        ] {
            let Err(error) = read(url) else { panic!("{url} is accepted") };
            let said = format!("{error} {error:?} {:?}", std::error::Error::source(&error).map(ToString::to_string));
            assert!(!said.contains("s3cret"), "{url}: {said}");
        }
    }
}

//! What must be taken, what must be refused, and the spellings by which guards like this one have been passed before.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> WebhookUrl {
    WebhookUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn policy(allow: &[&str]) -> EgressPolicy {
    let networks: Vec<IpNet> = allow.iter().map(|network| network.parse().unwrap()).collect();
    EgressPolicy::new(&networks)
}

/// Whether a webhook of a project with this policy could have the URL.
fn allowed(text: &str, policy: &EgressPolicy) -> bool {
    WebhookUrl::parse(text).is_ok_and(|url| url.check(policy).is_ok())
}

#[test]
fn public_https_urls_are_taken_in_their_normal_form() {
    for (text, normal) in [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM/Path?Query=1", "https://example.com/Path?Query=1"),
        ("https://example.com:443/hook", "https://example.com/hook"),
        ("https://example.com:8443/hook", "https://example.com:8443/hook"),
        ("https://example.com./hook", "https://example.com./hook"),
        ("https://bücher.example/hook", "https://xn--bcher-kva.example/hook"),
        ("https://my_host.example.com/@user/a:b", "https://my_host.example.com/@user/a:b"),
        ("https://example.com?token=a@b", "https://example.com/?token=a@b"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700:4700:0::1111]/hook", "https://[2606:4700:4700::1111]/hook"),
        ("https://1password.com/3.1", "https://1password.com/3.1"),
    ] {
        let url = parsed(text);
        assert_eq!(url.as_str(), normal);
        assert_eq!(url.check(&EgressPolicy::default()), Ok(()), "{text}");
    }
}

#[test]
fn the_parts_that_connecting_needs_are_told() {
    let url = parsed("https://Example.com:8443/hook");
    assert_eq!((url.host(), url.port(), url.is_http(), url.address()), ("example.com", 8443, false, None));
    let url = parsed("http://[::1]/hook");
    assert_eq!((url.host(), url.port(), url.is_http()), ("[::1]", 80, true));
    assert_eq!(url.address(), Some("::1".parse().unwrap()));
    assert_eq!(parsed("https://8.8.8.8/").address(), Some("8.8.8.8".parse().unwrap()));
}

#[test]
fn what_is_not_a_webhook_url_is_refused_with_the_reason() {
    for (reason, texts) in [
        (
            "begins with https://",
            &[
                "",
                "example.com",
                "/hook",
                "//example.com",
                "ftp://example.com",
                "file:///etc/passwd",
                "https:example.com",
                "https:/example.com",
                "gopher://example.com",
                "javascript://example.com",
                "httpss://example.com",
                "data:text/plain,x",
                "unix:///run/x.sock",
                "ws://example.com",
            ][..],
        ),
        (
            "no user or password",
            &[
                "https://user@example.com",
                "https://user:pw@example.com",
                "https://@example.com",
                "https://:@example.com",
                "https://a@b@example.com",
                "https://127.0.0.1%2f@example/",
                "https://example.com:pw@10.0.0.1/",
            ],
        ),
        ("no fragment", &["https://example.com/#", "https://example.com/hook#top", "https://example.com#@10.0.0.1/"]),
        (
            "no spaces, control characters or backslashes",
            &[
                " https://example.com",
                "https://example.com ",
                "https://exa mple.com",
                "https://example.com/a b",
                "https://exam\nple.com",
                "ht\ttps://example.com",
                "https://example.com\r\nX: y",
                "https://example.com/\0",
                "https://example.com\\@10.0.0.1/",
                "https:\\\\example.com",
                "https://example.com/a\\b",
                "https://example.com/\u{85}",
                "https://example.com/\u{2028}",
                "https://example\u{a0}.com",
            ],
        ),
        ("has a host", &["https://", "https:///", "https:///example.com", "https://?a", "https://:443/"]),
        (
            "port",
            &[
                "https://example.com:0/",
                "https://example.com:/",
                "https://example.com:65536",
                "https://example.com:+80",
                "https://example.com:80:80",
                "https://example.com:http",
                "https://::1/",
                "https://2606:4700::1/",
                "https://[::1]443/",
                "https://[::1]evil.com/",
            ],
        ),
        (
            "no percent-encoded",
            &[
                "https://%31%32%37.0.0.1/",
                "https://example%2ecom/",
                "https://localhos%74/",
                "https://example.com%00.evil.com/",
            ],
        ),
        ("no zone id", &["https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::1%251]/"]),
        ("not closed", &["https://[::1/", "https://["]),
        (
            "labels of 1 to 63",
            &["https://example..com/", "https://.example.com/", "https://./", "https://example.com../"],
        ),
        (
            "not a url",
            &[
                "https://[example.com]/",
                "https://[127.0.0.1]/",
                "https://[v1.x]/",
                "https://exa<mple.com/",
                "https://exa|mple.com/",
                "https://xn--a/",
                "https://[]/",
                "https://exa[mple.com/",
            ],
        ),
    ] {
        for text in texts {
            let error = WebhookUrl::parse(text).map(|url| url.to_string()).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.ends_with('.') && !error.starts_with(char::is_uppercase), "{error}");
        }
    }
}

#[test]
fn bounds_hold_for_the_text_and_for_its_normal_form() {
    let path = |bytes: usize| format!("https://example.com/{}", "a".repeat(bytes - "https://example.com/".len()));
    assert!(WebhookUrl::parse(&path(MAX_URL_BYTES)).is_ok());
    assert!(WebhookUrl::parse(&path(MAX_URL_BYTES + 1)).is_err());
    // Two bytes each as written, six when percent-encoded.
    assert!(WebhookUrl::parse(&format!("https://example.com/{}", "é".repeat(400))).is_err());
    let name = |label: usize| format!("https://{}.example.com/", "a".repeat(label));
    assert!(WebhookUrl::parse(&name(63)).is_ok());
    assert!(WebhookUrl::parse(&name(64)).is_err());
    assert!(WebhookUrl::parse(&format!("https://{}com/", "a.".repeat(126))).is_err());
}

#[test]
fn addresses_are_written_plainly_or_refused() {
    for text in [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0X7F000001",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f.1",
        "127.0.0.01",
        "127.0.0.1.",
        "00127.0.0.1",
        "0",
        "0x",
        "0x0",
        "１２７.0.0.1",
        "127。0。0。1",
        "127.0.0.①",
        "①②⑦.⓪.⓪.①",
        "8.8.2056",
        "134744072",
        "256.0.0.1",
        "1.2.3.4.5",
        "127.0.0.0x1",
        "example.0x1",
        "foo.1",
        "1.2.3.08",
    ] {
        let error = WebhookUrl::parse(&format!("https://{text}/")).expect_err(text).to_string();
        assert!(error.contains("four decimal numbers"), "{text}: {error}");
    }
}

#[test]
fn nothing_that_is_not_public_is_allowed() {
    let none = EgressPolicy::default();
    for text in [
        "https://127.0.0.1/",
        "https://0.0.0.0/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://100.100.100.200/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[0:0:0:0:0:ffff:a9fe:a9fe]/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "https://ⓛocalhost/",
        "https://local\u{ad}host/",
        "https://ｌｏｃａｌｈｏｓｔ/",
        "https://metadata.google.internal/",
        "https://metadata/",
        "https://redis/",
        "https://printer.local/",
        "https://nas.home.arpa/",
        "https://wiki.corp/",
        "https://router.lan/",
        "https://host.docker.internal/",
        "https://kubernetes.default.svc.cluster.local/",
        "https://internal./",
        "http://example.com/",
        "http://8.8.8.8/",
    ] {
        assert!(!allowed(text, &none), "{text} was allowed");
    }
    for text in
        ["https://localhost.example.com/", "https://mylocal.example/", "https://notlocalhost.com/", "https://corp.com/"]
    {
        assert!(allowed(text, &none), "{text} was refused");
    }
}

#[test]
fn exceptions_allow_what_they_say_over_http_too() {
    let private = policy(&["10.1.0.0/16"]);
    for text in [
        "https://10.1.2.3/",
        "http://10.1.2.3:8080/",
        "http://[::ffff:10.1.2.3]/",
        "https://8.8.8.8/",
        "http://redis/",
        "https://redis.internal/",
        "http://receiver.example/",
    ] {
        assert!(allowed(text, &private), "{text} was refused");
    }
    for text in
        ["https://10.2.0.1/", "http://8.8.8.8/", "https://127.0.0.1/", "https://localhost/", "http://a.localhost./"]
    {
        assert!(!allowed(text, &private), "{text} was allowed");
    }
    for loopback in ["127.0.0.0/8", "::1/128"] {
        assert!(allowed("http://localhost:8080/", &policy(&[loopback])), "{loopback}");
    }
}

#[test]
fn a_refused_address_is_named_with_its_block() {
    let error = parsed("https://169.254.169.254/").check(&EgressPolicy::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "169.254.169.254 is not allowed: 169.254.0.0/16 is not a public address (Link Local)"
    );
}

/// Ways in which programs write and read an IPv4 address.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let bits = address.to_bits();
    let [a, b, c, d] = address.octets();
    let fullwidth = |digit| match digit {
        '0'..='9' => char::from_u32('０' as u32 + digit as u32 - '0' as u32).unwrap(),
        other => other,
    };
    vec![
        format!("{address}"),
        format!("{address}."),
        format!("{bits}"),
        format!("{bits:#x}"),
        format!("0{bits:o}"),
        format!("{a}.{}", bits & 0xff_ffff),
        format!("{a}.{b}.{}", bits & 0xffff),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{a}.{b}.0x{:x}", bits & 0xffff),
        format!("{a}。{b}。{c}。{d}"),
        address.to_string().chars().map(fullwidth).collect(),
        format!("[::ffff:{address}]"),
        format!("[::FFFF:{:x}:{:x}]", bits >> 16, bits & 0xffff),
        format!("[0:0:0:0:0:ffff:{a}.{b}.{c}.{d}]"),
        format!("[64:ff9b::{address}]"),
        format!("[::{address}]"),
        format!("[2002:{:x}:{:x}::]", bits >> 16, bits & 0xffff),
    ]
}

/// Addresses, those that matter more often than chance would have it.
fn addresses() -> impl Strategy<Value = Ipv4Addr> {
    let blocks = prop::sample::select(vec![0x7f00_0000u32, 0x0a00_0000, 0xa9fe_0000, 0xc0a8_0000, 0]);
    let inside = (blocks, any::<u16>()).prop_map(|(block, low)| Ipv4Addr::from_bits(block | u32::from(low)));
    prop_oneof![any::<u32>().prop_map(Ipv4Addr::from_bits), inside]
}

proptest! {
    #[test]
    fn every_spelling_of_an_address_is_judged_as_the_address_or_refused(address in addresses()) {
        let none = EgressPolicy::default();
        let public = none.check(address.into()).is_ok();
        for spelling in spellings(address) {
            if let Ok(url) = WebhookUrl::parse(&format!("https://{spelling}/")) {
                prop_assert!(url.address().is_some(), "{} was taken for a name", spelling);
                prop_assert!(public || url.check(&none).is_err(), "{} was allowed", spelling);
            }
        }
        // Its own plain form is always read, and as itself.
        prop_assert_eq!(parsed(&format!("https://{address}/")).address(), Some(address.into()));
    }

    #[test]
    fn no_text_panics(text: String, rest in "(https?://)?[a-z0-9.:@%\\[\\]/\\\\?#x -]{0,24}") {
        let _ = WebhookUrl::parse(&text);
        let _ = WebhookUrl::parse(&format!("https://{text}"));
        let _ = WebhookUrl::parse(&rest);
    }

    #[test]
    fn a_normal_form_is_read_again_as_the_same(text in "https?://[a-zA-Zé0-9.:\\[\\]_-]{1,16}(/\\PC{0,12}){0,2}(\\?\\PC{0,12})?") {
        if let Ok(url) = WebhookUrl::parse(&text) {
            prop_assert_eq!(WebhookUrl::parse(url.as_str()), Ok(url.clone()));
            prop_assert_eq!(serde_json::from_str::<WebhookUrl>(&serde_json::to_string(&url).unwrap()).unwrap(), url);
        }
    }
}

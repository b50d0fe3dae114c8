//! Which host names a group may call.

use url::Host;

/// The host names that a group was granted.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<Name>);

/// One of them: a host, or all below a domain, at one port or at the usual one of each scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    host: Host,
    is_wildcard: bool,
    port: Option<u16>,
}

impl Names {
    /// Reads names such as `api.example.com`, `*.example.org`, `127.0.0.1:9000` and `[::1]:9000`.
    ///
    /// # Errors
    /// A sentence that says which of them is none, and what one looks like.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        texts
            .into_iter()
            .map(|text| Name::parse(text.as_ref()))
            .collect::<Result<_, _>>()
            .map(Names)
    }

    /// Whether all that another list allows is allowed by this one.
    pub fn include(&self, others: &Names) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|name| name.includes(other)))
    }

    /// Whether a host may be called at a port, where `usual` is the one of the scheme.
    pub(super) fn allow(&self, host: &Host, port: u16, usual: u16) -> bool {
        self.0.iter().any(|name| name.port.unwrap_or(usual) == port && name.covers(host))
    }
}

impl Name {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "outbound holds {text:?}, {why}; write host names such as \"api.example.com\", \"*.example.org\" or \"api.example.com:8443\""
            )
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (host, Some(port.ok_or_else(|| wrong("whose port is no number from 1 to 65535"))?))
            }
            _ => (text, None),
        };
        let below = host.strip_prefix("*.");
        let parsed =
            Host::parse(below.unwrap_or(host)).map_err(|_| wrong("which is no host name"))?;
        let is_named = |name: &String| {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        };
        if matches!(&parsed, Host::Domain(name) if !is_named(name)) {
            return Err(wrong("which is no host name"));
        }
        if below.is_some() && !matches!(parsed, Host::Domain(_)) {
            return Err(wrong("and an address has no names below it"));
        }
        Ok(Name { host: parsed, is_wildcard: below.is_some(), port })
    }

    fn includes(&self, other: &Name) -> bool {
        // All below a domain that lies below this one's does so as well.
        let is_below = self.is_wildcard && self.port == other.port && self.covers(&other.host);
        is_below || self == other
    }

    /// Hosts are compared as `url` writes them: in lower case, in punycode, and addresses as addresses.
    fn covers(&self, host: &Host) -> bool {
        match (&self.host, host) {
            (Host::Domain(domain), Host::Domain(called)) if self.is_wildcard => called
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|label| !label.is_empty()),
            (own, called) => !self.is_wildcard && own == called,
        }
    }
}

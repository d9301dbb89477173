//! Origins of pages that may call.

use std::net::Ipv4Addr;

/// In a list of allowed origins: pages served from this machine, at any port.
pub const LOOPBACK: &str = "loopback";

/// Whether pages of `origin` may call: the list has it to the letter, or it is a loopback origin and the list allows those.
#[must_use]
pub fn allows(allowed: &[String], origin: &str) -> bool {
    allowed.iter().any(|one| if one == LOOPBACK { is_loopback(origin) } else { one == origin })
}

/// `http://localhost:3000`, `https://app.localhost`, `http://127.0.0.1:5173`, `http://[::1]:8080`.
fn is_loopback(origin: &str) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let Some(rest) = rest else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (rest, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_here = host == "localhost"
        || host.strip_suffix(".localhost").is_some_and(is_name)
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_port && is_here
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &[&str], origin: &str, expected: bool) {
        let allowed: Vec<String> = allowed.iter().map(|one| (*one).to_owned()).collect();
        assert_eq!(allows(&allowed, origin), expected, "{origin} by {allowed:?}");
    }

    #[test]
    fn an_origin_is_allowed_to_the_letter() {
        check(&["https://app.example"], "https://app.example", true);
        for other in ["https://app.example:8443", "http://app.example", "https://app.example.evil", "null"] {
            check(&["https://app.example"], other, false);
        }
        check(&["https://app.example"], "http://localhost:3000", false);
        check(&[], "https://app.example", false);
    }

    #[test]
    fn loopback_is_this_machine_at_any_port() {
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:8443",
            "http://app.localhost:5173",
            "http://127.0.0.1:5173",
            "http://127.1.2.3",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            check(&[LOOPBACK, "https://app.example"], origin, true);
        }
        for origin in [
            "http://localhost.evil.example",
            "http://evil.example:3000",
            "http://127.0.0.1.evil.example",
            "http://localhost:3000.evil.example",
            "http://evil.example/.localhost",
            "http://evil@localhost",
            "http://[::2]:3000",
            "http://10.0.0.1",
            "file://localhost",
            "loopback",
            "null",
            "",
        ] {
            check(&[LOOPBACK], origin, false);
        }
    }
}

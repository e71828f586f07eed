//! Addresses of the settings, read.

use std::net::IpAddr;

use anyhow::{Context, anyhow};
use gateway::{Advertise, ListenAddress};

use crate::config::Settings;

/// Where to listen, and what to tell clients.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Where to listen.
    pub(super) listen: Vec<ListenAddress>,
    /// What to tell clients, if not where they came in.
    pub(super) advertise: Option<Advertise>,
}

impl Addresses {
    /// Reads the addresses of the settings.
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Self> {
        let read = |text: &String| {
            let address = text.parse::<ListenAddress>();
            address.map_err(|reason| anyhow!(reason))
        };
        let mut listen = Vec::new();
        for text in &settings.listen {
            listen.push(read(text).context("setting `listen`")?);
        }
        for text in &settings.admin_listen {
            let address = read(text).context("setting `admin_listen`")?;
            let admin = true;
            listen.push(ListenAddress { admin, ..address });
        }
        for text in &settings.trusted_listen {
            let address = read(text).context("setting `trusted_listen`")?;
            let trusted = true;
            listen.push(ListenAddress { trusted, ..address });
        }
        let advertise = settings.advertise.as_deref().map(advertise).transpose()?;
        Ok(Self { listen, advertise })
    }

    /// Whether only this machine can reach the server.
    pub(super) fn are_all_loopback(&self) -> bool {
        self.listen
            .iter()
            .all(|address| match address.host.parse::<IpAddr>() {
                Ok(ip) => ip.is_loopback(),
                Err(_) => address.host == "localhost",
            })
    }
}

/// Reads `HOST` or `HOST:PORT`; an IPv6 address with a port is in brackets.
fn advertise(text: &str) -> anyhow::Result<Advertise> {
    let wrong = || anyhow!("setting `advertise` is `{text}`, expected HOST or HOST:PORT");
    let (host, port) = if text.parse::<IpAddr>().is_ok() {
        (text, None)
    } else if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
        host.parse::<IpAddr>().map_err(|_| wrong())?;
        let port = if rest.is_empty() {
            None
        } else {
            Some(rest.strip_prefix(':').ok_or_else(wrong)?)
        };
        (host, port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = port
        .map(str::parse::<u16>)
        .transpose()
        .map_err(|_| wrong())?;
    if host.is_empty() || port == Some(0) {
        return Err(wrong());
    }
    Ok(Advertise {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advertised_addresses_read_as_people_write_them() {
        let of = |text: &str| advertise(text).map(|a| (a.host, a.port)).ok();
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(of("mq.example.com"), is("mq.example.com", None));
        assert_eq!(of("mq.example.com:8081"), is("mq.example.com", Some(8_081)));
        assert_eq!(of("10.0.0.1:80"), is("10.0.0.1", Some(80)));
        assert_eq!(of("::1"), is("::1", None));
        assert_eq!(of("[::1]"), is("::1", None));
        assert_eq!(of("[::1]:8081"), is("::1", Some(8_081)));
        for wrong in [
            "",
            ":80",
            "host:",
            "host:0",
            "host:x",
            "host:70000",
            "[::1",
            "[x]:1",
            "a:b:c",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_open_address_is_enough_to_be_reached() {
        let of = |listen: &[&str]| {
            let settings = Settings {
                listen: listen.iter().map(|text| (*text).to_owned()).collect(),
                ..Settings::default()
            };
            Addresses::of(&settings)
                .map(|addresses| addresses.are_all_loopback())
                .ok()
        };
        assert_eq!(of(&["127.0.0.1:1", "[::1]:2", "localhost:3"]), Some(true));
        assert_eq!(of(&["127.0.0.1:1", "0.0.0.0:2"]), Some(false));
        assert_eq!(of(&["nowhere"]), None);
    }
}

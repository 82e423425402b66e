//! The table `[replication]`, and those of single partners below it.

use std::fmt;
use std::net::SocketAddr;

use millpond::{Certificate, Direction, LinkSettings};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::Libp2p;
use super::values::{Origins, Size, Span};

macro_rules! settings {
    ($($field:ident: $type:ty,)+) => {
        /// What is set of replication; beside that a table for each partner: `[replication."repl://HOST:PORT"]`.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Replication {
            $(pub $field: $type,)+
            pub partners: Vec<LinkSettings>,
        }

        const KEYS: &[&str] = &[$(stringify!($field)),+];

        impl<'de> Visitor<'de> for Table {
            type Value = Replication;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Replication, A::Error> {
                let mut read = Replication::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        $(stringify!($field) => read.$field = map.next_value()?,)+
                        partner => read.partners.push(map.next_value::<Partner>()?.at(partner)?),
                    }
                }
                Ok(read)
            }
        }
    };
}

settings! {
    bindaddress: Option<SocketAddr>,
    also_listen: Origins,
    origin: Origins,
    libp2p: Libp2p,
    hold_down: Option<Span>,
    digest_interval: Option<Span>,
    automatic_refresh: Option<bool>,
    offline_window: Option<Span>,
    key_overlap: Option<Span>,
    tombstones: Option<Size>,
    apply_after: Option<Span>,
    max_lag: Option<Span>,
    max_lag_writes: Option<u64>,
}

impl<'de> Deserialize<'de> for Replication {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

/// A setting, or a partner.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        match KEYS.contains(&&*key) || key.starts_with(SCHEME) {
            true => Ok(Self(key)),
            false => Err(D::Error::unknown_field(&key, KEYS)),
        }
    }
}

/// A member that is known by its certificate, where it is dialled, and which way data goes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Partner {
    #[serde(rename = "type")]
    way: Way,
    #[serde(deserialize_with = "certificate")]
    partner_cert: Certificate,
    automatic_refresh: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// Both take from each other.
    MutualPull,
    /// This node takes from the partner, and gives it nothing.
    Pull,
    /// The partner takes from this node, which takes nothing, and does not dial.
    AllowPull,
}

impl Partner {
    fn at<E: Error>(self, key: &str) -> Result<LinkSettings, E> {
        let address = key.trim_start_matches(SCHEME);
        let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !has_port {
            return Err(E::custom(format_args!("{key:?} is no partner: write repl://HOST:PORT")));
        }
        let mut link = LinkSettings::new(self.partner_cert.key().to_string());
        link.address = Some(address.to_owned());
        link.automatic_refresh = self.automatic_refresh;
        (link.direction, link.dial) = match self.way {
            Way::MutualPull => (Direction::Both, true),
            Way::Pull => (Direction::Pull, true),
            Way::AllowPull => (Direction::Serve, false),
        };
        Ok(link)
    }
}

fn certificate<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Certificate, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format_args!("`partner_cert`: {error}")))
}

const SCHEME: &str = "repl://";

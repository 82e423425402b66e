//! The kinds of values in the configuration, as people write them.

use std::str::FromStr;
use std::time::Duration;

use millpond::Config;
use serde::{Deserialize, Deserializer};

/// The version of the file's format.
#[derive(Debug, Clone)]
pub(super) struct FormatVersion;

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!(
                "version {other} is not known here: this program reads version 1"
            ))),
        }
    }
}

/// One address or a list of them; the scheme `repl://` may stand before each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(pub Vec<String>);

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an address or a list of addresses")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let origins = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(origin) => vec![origin],
            OneOrMany::Many(origins) => origins,
        };
        let plain =
            |origin: String| origin.strip_prefix("repl://").map_or(origin.clone(), Into::into);
        Ok(Self(origins.into_iter().map(plain).collect()))
    }
}

/// Where the node is: a word that members of the same place share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region(pub String);

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().len() {
            1..=Config::REGION_BYTES_MAX => Ok(Self(text.trim().to_owned())),
            _ => {
                let most = Config::REGION_BYTES_MAX;
                Err(format!("a region is a text of 1 to {most} bytes: \"eu-west\""))
            }
        }
    }
}

/// Which members take writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PresetName {
    #[default]
    MultiWriter,
    PrimaryBackup,
}

/// A length of time: `250ms`, `5s`, `10m`, `2h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        let ms =
            scaled(text, &units).ok_or("a time is a number with ms, s, m, h or d: 250ms, 5s")?;
        Ok(Self(Duration::from_millis(ms)))
    }
}

/// How often something is done: a length of time, or `never`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Every(pub Option<Duration>);

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        match text.parse()? {
            Span(every) if every < Duration::from_secs(1) => {
                Err("a second at least: 10m, 1h; or never".into())
            }
            Span(every) => Ok(Self(Some(every))),
        }
    }
}

/// A number of bytes: `512KiB`, `64MiB`, `2GiB`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
        let bytes = scaled(text, &units).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("a size is a number with KiB, MiB or GiB: 64MiB".into())
    }
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// What `tracing` filters by: `info`, or `info,millpond=debug`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Level(pub String);

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<tracing_subscriber::filter::Targets>();
        parsed.map_err(|error| {
            format!("no log level: {error}; `info` or `info,millpond=debug` are")
        })?;
        Ok(Self(text.to_owned()))
    }
}

macro_rules! deserialize_from_text {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(Region, Span, Every, Size, Level);

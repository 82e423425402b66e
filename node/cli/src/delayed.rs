//! `delayed`: what a delayed replica shows.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Span;
use crate::failure::{Exit, Outcome};

/// Say what a delayed replica shows.
#[derive(Debug, Args)]
pub(crate) struct DelayedArgs {
    #[command(subcommand)]
    command: DelayedCommand,
}

#[derive(Debug, Subcommand)]
enum DelayedCommand {
    /// Show nothing more for now; go on receiving
    Pause,
    /// Show again whatever is old enough
    Resume,
    /// Show exactly what had arrived by a moment, then pause
    ApplyUntil {
        /// The moment: 2026-11-20T19:30:00Z, or so long ago: 20m
        moment: Moment,
    },
    /// Show all, take writes, and be delayed no more
    Promote,
}

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment(u64);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(Span(ago)) = text.parse() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return Ok(Self(now.saturating_sub(ago).as_millis() as u64));
        }
        let told = "a moment is 2026-11-20T19:30:00Z, in UTC, or so long ago: 20m";
        rfc3339(text).map(Self).ok_or_else(|| told.into())
    }
}

/// The moment that a text of the form `2026-11-20T19:30:00Z` names, with or without a fraction.
fn rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between: char| -> Option<Vec<u64>> {
        text.split(between).map(|part| part.parse().ok()).collect()
    };
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let ([year, month, day], [hour, minute, second]) =
        (numbers(date, '-')?[..].try_into().ok()?, numbers(whole, ':')?[..].try_into().ok()?);
    let _: [u64; 3] = [hour, minute, second];
    let is_sound = (1970..2200).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    is_sound.then(|| {
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        (Duration::from_secs(seconds) + Duration::from_secs_f64(fraction)).as_millis() as u64
    })
}

/// Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(crate) async fn delayed(args: DelayedArgs, dir: &Path) -> Outcome {
    let what = "cannot change the delay";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let (order, text) = match args.command {
        DelayedCommand::Pause => (json!({"order": "pause"}), "nothing more is shown for now"),
        DelayedCommand::Resume => (json!({"order": "resume"}), "what is old enough is shown again"),
        DelayedCommand::ApplyUntil { moment: Moment(until_ms) } => (
            json!({"order": "apply-until", "until_ms": until_ms}),
            "what had arrived by then is shown now, and nothing more until it is resumed",
        ),
        DelayedCommand::Promote => {
            (json!({"order": "promote"}), "all is shown; this node is delayed no more")
        }
    };
    let _: Value = client.post("/api/v1/delayed", &order).await.map_err(|error| error.at(what))?;
    println!("{text}");
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        assert_eq!(rfc3339("2026-11-20T09:26:32.123Z"), Some(1_795_166_792_123));
        for odd in
            ["", "2026-11-20", "2026-13-20T09:26:32Z", "1969-01-01T00:00:00Z", "x-y-zTa:b:cZ"]
        {
            assert_eq!(rfc3339(odd), None, "{odd}");
        }
        let Moment(ago_ms) = "20m".parse().unwrap();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!((1_199_000..=1_201_000).contains(&(now_ms - ago_ms)));
        assert!("soon".parse::<Moment>().unwrap_err().contains("2026-11-20T19:30:00Z"));
    }
}

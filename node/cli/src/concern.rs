//! `--concern` and what belongs to it: a write that waits until other members hold it.

use clap::Args;
use millpond::{AckLevel, Concern};
use serde::Deserialize;

use crate::client::segment;
use crate::config::Span;
use crate::failure::Exit;

/// Who else has to hold a write.
#[derive(Debug, Args)]
pub(crate) struct ConcernArgs {
    /// Wait until these members hold it, too: replicas:N, majority, all, first:N:NAME,NAME, any:N:NAME,NAME or
    /// named:NAME,NAME. Not in time is exit code 7: it is written here and stays, and may yet come to them
    #[arg(long, value_name = "WHO")]
    concern: Option<Concern>,
    /// How far it has to have come there: received, applied or durable (the default)
    #[arg(long, requires = "concern")]
    level: Option<AckLevel>,
    /// For how long to wait, such as 500ms or 2s (10s by default)
    #[arg(long, requires = "concern", value_name = "TIME")]
    timeout: Option<Span>,
    /// Write nothing unless so many other members are linked
    #[arg(long, value_name = "N")]
    min_connected: Option<usize>,
}

/// The receipt of a write, as far as its concern goes.
#[derive(Debug, Deserialize)]
pub(crate) struct Receipt {
    dot: Option<String>,
    concern: Option<Told>,
}

#[derive(Debug, Deserialize)]
struct Told {
    asked: String,
    is_met: bool,
    acked: Vec<Member>,
    late: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    standing: String,
}

impl ConcernArgs {
    /// The parameters of the request, with what leads up to them.
    pub fn query(&self) -> String {
        let level = self.level.map(|level| level.to_string());
        let timeout = self.timeout.map(|Span(time)| format!("{}ms", time.as_millis()));
        let parameters = [
            ("concern", self.concern.as_ref().map(Concern::to_string)),
            ("level", level),
            ("timeout", timeout),
            ("min_connected", self.min_connected.map(|members| members.to_string())),
        ];
        let given = parameters.iter().filter_map(|(name, value)| {
            value.as_ref().map(|value| format!("{name}={}", segment(value)))
        });
        let given: Vec<String> = given.collect();
        if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
    }
}

impl Receipt {
    /// Says who has it, and, if that is not enough, what that means.
    pub fn report(&self, is_json: bool) -> Exit {
        let Some(told) = &self.concern else { return Exit::Ok };
        if told.is_met {
            if !is_json {
                println!("held by {}", names(&told.acked, |member| member.name.clone()));
            }
            return Exit::Ok;
        }
        let acked = names(&told.acked, |member| member.name.clone());
        let late = names(&told.late, |member| format!("{} ({})", member.name, member.standing));
        eprintln!(
            "unknown: {} is not met in time\n  why: held by {acked}; late: {late}\n  do:  do not write it again: it \
             is stored here and stays, and may yet come to them{}",
            told.asked,
            self.dot.as_ref().map_or(String::new(), |dot| format!(" (GET /api/v1/acks?dot={dot})")),
        );
        Exit::ConcernNotMet
    }
}

fn names(members: &[Member], text: impl Fn(&Member) -> String) -> String {
    match members {
        [] => "nobody".into(),
        members => members.iter().map(text).collect::<Vec<_>>().join(", "),
    }
}

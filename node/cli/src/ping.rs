//! `peers ping`: by which way a member is reached.

use std::path::Path;

use clap::Args;
use millpond::status::PeerStatus;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::status::{age_text, table};

/// By which way a member is reached, or all of them, and how far it is
///
/// Links measure their round trips all the time, so nothing is sent for it. Of several ways to a member the cheapest
/// is taken when the link is made: a Unix socket, QUIC, libp2p. Exits with 1 if a member is not linked.
#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// Its name or key
    peer: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &PingArgs, dir: &Path) -> Outcome {
    let what = "cannot tell the ways to the peers";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let found: Value = client.get("/api/v1/peers").await.map_err(|error| error.at(what))?;
    let mut peers: Vec<PeerStatus> =
        serde_json::from_value(found["peers"].clone()).unwrap_or_default();
    if let Some(wanted) = &args.peer {
        peers.retain(|peer| peer.name == *wanted || is_start_of_key(wanted, &peer.key));
        if peers.is_empty() {
            return Err(Failure::new(what)
                .why(format!("there is no member `{wanted}`"))
                .fix("millpond peers ls"));
        }
    }
    if args.json {
        println!("{}", json!({"routes": peers.iter().map(route).collect::<Vec<_>>()}));
    } else {
        print!("{}", text(&peers));
    }
    let all_linked = peers.iter().all(|peer| peer.link.is_some());
    Ok(if all_linked { Exit::Ok } else { Exit::Failed })
}

/// Eight digits tell a key from others, as everywhere.
fn is_start_of_key(wanted: &str, key: &str) -> bool {
    wanted.len() >= 8 && key.starts_with(wanted)
}

fn route(peer: &PeerStatus) -> Value {
    let link = peer.link.as_ref();
    json!({
        "name": peer.name, "key": peer.key, "linked": link.is_some(),
        "transport": link.map(|link| &link.transport),
        "remote_address": link.map(|link| &link.remote_address),
        "dialed": link.map(|link| link.dialed),
        "round_trip_us": link.map(|link| link.round_trip_us),
        "up_s": link.map(|link| link.up_s),
        "last_error": peer.last_error,
    })
}

fn text(peers: &[PeerStatus]) -> String {
    let head = ["PEER", "BY", "RTT", "FOR", "WAY"].map(String::from);
    let rows = peers.iter().map(|peer| match &peer.link {
        Some(link) => {
            let way = if link.dialed { "dialled at" } else { "came from" };
            let ms = link.round_trip_us as f64 / 1000.0;
            [
                peer.name.clone(),
                link.transport.clone(),
                if link.round_trip_us > 0 { format!("{ms:.2}ms") } else { "-".into() },
                age_text(link.up_s as f64),
                format!("{way} {}", link.remote_address),
            ]
        }
        None => {
            let why = peer.last_error.clone().unwrap_or_else(|| "not linked".into());
            [peer.name.clone(), "-".into(), "-".into(), "-".into(), why]
        }
    });
    table(std::iter::once(head).chain(rows).collect())
}

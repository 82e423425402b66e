//! `invite`: who may become a member.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use millpond::{InviteState, IssuedInvite};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::Client;
use crate::config::Span;
use crate::failure::{Cause, Exit, Failure, Outcome};
use crate::status::{age_text, first_digits, table};

/// Make an invite for one further member; list invites, and revoke them
///
/// It is a secret, redeemed at this node by whoever has it first. Each node that joins uses it up by one, and a node
/// that comes again with it because it had no answer does not.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    command: Option<InviteCommand>,
    /// What the new member may do: admin, writer or reader
    #[arg(long, default_value = "writer")]
    role: String,
    /// For how long the invite is valid: 10m, 2h, 1d
    #[arg(long, default_value = "10m")]
    expires: Span,
    /// How many nodes may join with it: up to 1,000
    #[arg(long, default_value = "1")]
    uses: u32,
    /// Let each of them wait until an admin has compared three words and approved it: millpond peers approve
    #[arg(long)]
    approve: bool,
    /// Print it as a QR code too, for a telephone's camera
    #[arg(long)]
    qr: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "qr")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum InviteCommand {
    /// The invites of this node, until a day after they expired
    #[command(visible_alias = "ls")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let nobody in any more by an invite; who has joined stays
    Revoke {
        /// Its id, or the invite itself
        invite: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize, Deserialize)]
struct Invited {
    invite: String,
    id: String,
    role: String,
    expires_s: u64,
    uses: u32,
}

pub(crate) async fn invite(args: InviteArgs, dir: &Path) -> Outcome {
    match args.command {
        None => issue(args, dir).await,
        Some(InviteCommand::List { json }) => list(json, dir).await,
        Some(InviteCommand::Revoke { invite, json }) => revoke(&invite, json, dir).await,
    }
}

async fn issue(args: InviteArgs, dir: &Path) -> Outcome {
    let what = "cannot make an invite";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let expires_s = args.expires.0.as_secs();
    let body = json!({"role": args.role, "expires_s": expires_s, "uses": args.uses, "approve": args.approve});
    let invited: Invited =
        client.post("/api/v1/invites", &body).await.map_err(|error| error.at(what))?;
    if args.json {
        println!("{}", json!(invited));
        return Ok(Exit::Ok);
    }
    if args.qr {
        println!("{}", qr(&invited.invite)?);
    }
    println!("{}", invited.invite);
    let Invited { id, role, expires_s, uses, .. } = invited;
    let expires = age_text(expires_s as f64);
    let whom = match uses {
        1 => format!("one {role}"),
        _ => format!("{uses} nodes, each as {role}"),
    };
    eprintln!("for {whom}, within {expires}. It is a secret. On the other machine:");
    eprintln!("  millpond join --dir FOLDER INVITE");
    if args.approve {
        eprintln!("then compare the three words that it shows: millpond peers pending");
    }
    eprintln!("to take it back: millpond invite revoke {id} --dir {}", dir.display());
    Ok(Exit::Ok)
}

/// The invite as blocks of text. In capitals it takes a third less room, and means the same.
fn qr(invite: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(invite.to_ascii_uppercase(), EcLevel::L);
    let code = code.map_err(|error| {
        Failure::new("the invite does not fit into a QR code").why(error).cause(Cause::Usage).fix(
            "leave --qr out, and pass the text on; a node with fewer addresses has a shorter one",
        )
    })?;
    // Light on dark, as terminals are: a reader wants the code itself dark.
    let mut drawn = code.render::<Dense1x2>();
    Ok(drawn.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

async fn list(json: bool, dir: &Path) -> Outcome {
    let what = "cannot list the invites";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let found: Value = client.get("/api/v1/invites").await.map_err(|error| error.at(what))?;
    if json {
        println!("{found}");
        return Ok(Exit::Ok);
    }
    let invites: Vec<IssuedInvite> =
        serde_json::from_value(found["invites"].clone()).unwrap_or_default();
    if invites.is_empty() {
        println!("no invite is remembered here\nnext: millpond invite");
        return Ok(Exit::Ok);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    print!("{}", invite_table(&invites, now.as_millis() as u64));
    Ok(Exit::Ok)
}

async fn revoke(invite: &str, json: bool, dir: &Path) -> Outcome {
    let what = "the invite was not revoked";
    let client = Client::of_dir(dir).map_err(|error| error.at(what))?;
    let body = json!({"invite": invite});
    let revoked: IssuedInvite =
        client.post("/api/v1/invites/revoke", &body).await.map_err(|error| error.at(what))?;
    if json {
        println!("{}", json!(revoked));
        return Ok(Exit::Ok);
    }
    let joined = match revoked.used_by.len() {
        0 => "nobody has joined with it".into(),
        1 => "the one that has joined with it stays".into(),
        count => format!("the {count} that have joined with it stay"),
    };
    println!("revoked {}; {joined}", revoked.id);
    Ok(Exit::Ok)
}

fn invite_table(invites: &[IssuedInvite], now_ms: u64) -> String {
    let head = ["INVITE", "ROLE", "USED", "STATE", "BY"].map(String::from);
    let rows = invites.iter().map(|invite| {
        let left_s = invite.expires_ms.saturating_sub(now_ms) as f64 / 1000.0;
        let state = match invite.state {
            InviteState::Open => format!("open for {}", age_text(left_s)),
            InviteState::Used => "used".into(),
            InviteState::Expired => "expired".into(),
            InviteState::Revoked => "revoked".into(),
            _ => "unknown".into(),
        };
        let by: Vec<String> = invite.used_by.iter().map(|key| first_digits(key)).collect();
        let used = format!("{} of {}", invite.used_by.len(), invite.uses);
        [invite.id.clone(), invite.role.to_string(), used, state, by.join(" ")]
    });
    table(std::iter::once(head).chain(rows).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_of_a_long_invite_fits_into_a_terminal() {
        let code = qr(&format!("mp1{}", "abcdefgh234567".repeat(20))).unwrap();
        let width = code.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(width <= 80, "{width} columns");
        assert!(code.chars().all(|shown| " ▀▄█\n".contains(shown)), "{code}");
    }

    #[test]
    fn invites_are_listed_with_what_is_left_of_them() {
        let invite = |state: &str, used_by: &[&str]| -> IssuedInvite {
            let told = json!({"id": "0a1b2c3d", "role": "writer", "expires_ms": 90_000, "uses": 3,
                "used_by": used_by, "state": state});
            serde_json::from_value(told).unwrap()
        };
        let key = "ab".repeat(32);
        assert_eq!(
            invite_table(&[invite("open", &[&key]), invite("revoked", &[])], 30_000),
            "INVITE    ROLE    USED    STATE        BY\n\
             0a1b2c3d  writer  1 of 3  open for 1m  abababab\n\
             0a1b2c3d  writer  0 of 3  revoked\n"
        );
    }
}

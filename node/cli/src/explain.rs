//! `explain`: what an error's code means, or why a field shows what it shows.

use std::path::Path;
use std::str::FromStr;

use clap::Args;
use millpond::ErrorCode;
use millpond::records::RecordId;
use serde_json::json;

use crate::conflicts::{self, PlaceArgs};
use crate::failure::{Cause, Exit, Failure, Outcome};

/// What an error's code means, or why a field shows what it shows.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The code of an error, as E0412; or a record, as collection/key
    what: Explained,
    /// The field of a record; contact/phone lies in contact
    field: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A record's name always has a slash, and a code never has one.
#[derive(Debug, Clone)]
enum Explained {
    Code(ErrorCode),
    Record(RecordId),
}

impl FromStr for Explained {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.contains('/') {
            true => text.parse().map(Self::Record).map_err(|error: millpond::records::IdError| error.to_string()),
            false => text.parse().map(Self::Code).map_err(|_| {
                "neither the code of an error, as E0412, nor a record, as collection/key; docs/ERRORS.md lists the codes"
                    .into()
            }),
        }
    }
}

pub(crate) async fn explain(args: ExplainArgs, dir: &Path) -> Outcome {
    let ExplainArgs { what, field, json } = args;
    match (what, field) {
        (Explained::Code(code), None) => {
            page(code, json);
            Ok(Exit::Ok)
        }
        (Explained::Record(record), Some(field)) => {
            conflicts::show(&PlaceArgs { record, field, json }, dir).await
        }
        (Explained::Code(code), Some(_)) => {
            Err(Failure::new(format!("{code} is an error, and has no fields"))
                .cause(Cause::Usage)
                .fix(format!("millpond explain {code}"))
                .exit(Exit::Usage))
        }
        (Explained::Record(record), None) => Err(Failure::new(format!("which field of {record}?"))
            .cause(Cause::Usage)
            .fix(format!("millpond explain {record} FIELD    millpond get {record} lists them"))
            .exit(Exit::Usage)),
    }
}

fn page(code: ErrorCode, is_json: bool) {
    let page = code.page();
    match is_json {
        true => println!(
            "{}",
            json!({
                "code": code.to_string(), "title": page.title, "why": page.why, "hint": page.hint,
                "retryable": page.is_retryable,
            })
        ),
        false => println!("{page}"),
    }
}

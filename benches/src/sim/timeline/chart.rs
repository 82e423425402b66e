//! The chart: one page that needs no network, with the events in it. The script in the page draws them, so
//! that they can be filtered and searched.

use millpond::sim::{Event, EventKind};
use serde::Serialize;

use super::{Story, head};

/// The page.
pub fn page(story: &Story<'_>) -> String {
    let events: Vec<Row<'_>> = story.run.timeline.iter().map(Row::of).collect();
    let story = Data { title: story.title(), head: head(story), events };
    // No text may end the script that it is in.
    let json =
        serde_json::to_string(&story).expect("plain values are JSON").replace('<', "\\u003c");
    PAGE.replacen("/*STORY*/null", &json, 1)
}

#[derive(Serialize)]
struct Data<'a> {
    title: String,
    head: String,
    events: Vec<Row<'a>>,
}

/// An event, as the script reads it.
#[derive(Serialize)]
struct Row<'a> {
    at: u64,
    node: usize,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bulk: bool,
    label: &'a str,
    text: &'a str,
}

impl<'a> Row<'a> {
    fn of(event: &'a Event) -> Self {
        let (kind, peer) = match event.kind {
            EventKind::Frame { from, .. } => ("frame", Some(from)),
            EventKind::Link { peer } => ("link", Some(peer)),
            EventKind::Disk => ("disk", None),
            EventKind::Client => ("client", None),
            EventKind::Fault { peer } => ("fault", peer),
            EventKind::Started => ("started", None),
            EventKind::Ended => ("ended", None),
            EventKind::Violation => ("violation", None),
            _ => ("other", None),
        };
        let (sent, bulk) = match event.kind {
            EventKind::Frame { sent_ms, is_bulk, .. } => (Some(sent_ms), is_bulk),
            _ => (None, false),
        };
        let (at, node, label, text) = (event.at_ms, event.node, event.label(), &event.text);
        Self { at, node, kind, peer, sent, bulk, label, text }
    }
}

const PAGE: &str = include_str!("chart.html");

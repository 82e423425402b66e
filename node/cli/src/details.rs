//! `status --details`: the settings of each link, the way of each origin, and what moved.

use indicatif::HumanBytes;
use millpond::Direction;
use millpond::status::{LimitStatus, LinkCounters, OriginStatus, PeerStatus, Status};

use crate::status::{age_text, first_digits, table};

/// Tables of what the short status leaves out.
pub(crate) fn render(status: &Status) -> String {
    let mut out = String::new();
    out += &section("links", links(&status.peers));
    out += &section("ways of what each member writes", ways(&status.sources));
    out += &section("rows by peer", rows(&status.peers));
    out += &section("control bytes sent", control(&status.peers));
    out += &section("limits", limits(&status.limits));
    out
}

/// Nothing, if the table has only a head.
fn section<const N: usize>(title: &str, rows: Vec<[String; N]>) -> String {
    if rows.len() < 2 {
        return String::new();
    }
    format!("\n{title}\n{}", table(rows))
}

fn limits(limits: &[LimitStatus]) -> Vec<[String; 3]> {
    let head = ["OF", "USED", "LIMIT"].map(String::from);
    let rows = limits.iter().map(|it| {
        let used = it.used.map_or("-".into(), |used| used.to_string());
        [it.what.clone(), used, it.limit.to_string()]
    });
    std::iter::once(head).chain(rows).collect()
}

fn links(peers: &[PeerStatus]) -> Vec<[String; 7]> {
    let mut rows = vec![
        ["PEER", "REGION", "COST", "RIPPLE", "DATA", "DIALLED BY", "ANNOUNCES"].map(Into::into),
    ];
    for peer in peers {
        let Some(link) = &peer.link else { continue };
        let direction = match link.direction {
            Direction::Both => "both ways",
            Direction::Pull => "from it only",
            Direction::Serve => "to it only",
            _ => "unknown",
        };
        let announces = match (link.announcing, link.announced) {
            (true, true) => "both ways",
            (true, false) => "to it",
            (false, true) => "to this node",
            (false, false) => "-",
        };
        rows.push([
            peer.name.clone(),
            peer.region.clone().unwrap_or("-".into()),
            link.cost.to_string(),
            link.ripple.word().into(),
            direction.into(),
            if link.dialed { "this node".into() } else { "it".into() },
            announces.into(),
        ]);
    }
    rows
}

fn ways(origins: &[OriginStatus]) -> Vec<[String; 6]> {
    let mut rows =
        vec![["WRITER", "FROM", "STANDBY", "DEADLINE", "LAST GAP", "SENT ON TO"].map(Into::into)];
    let ms = |ms: Option<u64>| ms.map_or("-".into(), |ms| format!("{ms}ms"));
    let gap = |gap: Option<u64>| match gap {
        Some(gap) if gap >= 1000 => age_text(gap as f64 / 1000.0),
        short => ms(short),
    };
    for origin in origins {
        let namesakes = origins.iter().filter(|it| it.origin == origin.origin).count();
        let writer = match namesakes {
            1 => origin.origin.clone(),
            _ => format!("{} ({})", origin.origin, first_digits(&origin.incarnation)),
        };
        let source = match (&origin.source, origin.is_own) {
            (_, true) => "this node".into(),
            (Some(source), _) => source.clone(),
            (None, _) => "nobody".into(),
        };
        let fed = match &origin.fed[..] {
            [] => "nobody".into(),
            fed => fed.join(", "),
        };
        rows.push([
            writer,
            source,
            origin.standby.clone().unwrap_or("-".into()),
            ms(origin.deadline_ms),
            gap(origin.last_gap_ms),
            fed,
        ]);
    }
    rows
}

fn rows(peers: &[PeerStatus]) -> Vec<[String; 11]> {
    type Read = fn(&LinkCounters) -> u64;
    let columns: [(&str, Read); 10] = [
        ("SENT", |c| c.rows_sent),
        ("RECEIVED", |c| c.rows_received),
        ("NEW", |c| c.rows_new),
        ("DUPLICATE", |c| c.rows_duplicate),
        ("HELD", |c| c.rows_held),
        ("ANNOUNCED", |c| c.rows_announced),
        ("FORWARDED", |c| c.rows_forwarded),
        ("GRAFTED", |c| c.rows_grafted),
        ("PRUNED", |c| c.rows_pruned),
        ("SUPPRESSED", |c| c.rows_suppressed),
    ];
    let row = |first: &str, cell: &dyn Fn(usize) -> String| {
        std::array::from_fn(|index| if index == 0 { first.into() } else { cell(index - 1) })
    };
    let mut rows = vec![row("PEER", &|column| columns[column].0.into())];
    for peer in peers {
        rows.push(row(&peer.name, &|column| (columns[column].1)(&peer.counters).to_string()));
    }
    rows
}

fn control(peers: &[PeerStatus]) -> Vec<[String; 8]> {
    let head = ["PEER", "ANNOUNCE", "GRAFT", "PRUNE", "ACK", "HEARTBEAT", "CREDIT", "OTHER"];
    let mut rows = vec![head.map(Into::into)];
    for peer in peers {
        let it = peer.counters.control;
        let bytes = [it.announce, it.graft, it.prune, it.ack, it.heartbeat, it.credit, it.other];
        let mut cells = vec![peer.name.clone()];
        cells.extend(bytes.map(|bytes| HumanBytes(bytes).to_string()));
        rows.push(cells.try_into().expect("a name and seven kinds"));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let node = json!({"key": "aa", "name": "paris", "domain": "d", "role": "admin", "incarnation": null,
            "boot": 1, "listen": "", "addresses": [], "state_dir": null, "fenced": null,
            "uptime_s": 1, "store_bytes": 1, "version": "0"});
        let link = json!({"transport": "quic", "dialed": true, "remote_address": "", "round_trip_us": 1,
            "up_s": 1, "fed": true, "feeding": true, "catching_up": null, "cost": 11,
            "ripple": "hold-down", "direction": "pull", "announcing": false, "announced": true});
        let counters = json!({"rows_sent": 1, "rows_received": 22, "rows_new": 21, "rows_duplicate": 1,
            "control": {"announce": 2048, "ack": 10}});
        let peer = |name: &str, link: serde_json::Value| {
            json!({"key": "bb", "name": name, "role": "writer", "addresses": [], "region": "asia",
                "state": "current", "they_lack": null, "we_lack": null, "link": link,
                "last_seen_s": null, "last_error": null, "counters": counters})
        };
        let way = |origin: &str, is_own: bool, source: Option<&str>, fed: &[&str]| {
            json!({"origin": origin, "key": "", "incarnation": "abcdef0123", "is_own": is_own, "source": source,
                "standby": source.map(|_| "lyon"), "fed": fed, "deadline_ms": source.map(|_| 120),
                "last_gap_ms": source.map(|_| 61_000)})
        };
        let mut before = way("rome", false, None, &[]);
        before["incarnation"] = json!("0123456789");
        let status = json!({"verdict": {"health": "ok", "text": ""}, "node": node,
            "peers": [peer("tokyo", link), peer("lyon", json!(null))],
            "sources": [way("paris", true, None, &["lyon", "tokyo"]), way("rome", false, Some("tokyo"), &[]), before],
            "namespaces": [], "warnings": [], "next": [],
            "totals": {"transactions": 0, "dots_issued": 0, "commits": 0, "links": {}}});
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn the_details_of_a_node_with_two_peers() {
        assert_eq!(
            render(&status()),
            "
links
PEER   REGION  COST  RIPPLE     DATA          DIALLED BY  ANNOUNCES
tokyo  asia    11    hold-down  from it only  this node   to this node

ways of what each member writes
WRITER           FROM       STANDBY  DEADLINE  LAST GAP  SENT ON TO
paris            this node  -        -         -         lyon, tokyo
rome (abcdef01)  tokyo      lyon     120ms     1m1s      nobody
rome (01234567)  nobody     -        -         -         nobody

rows by peer
PEER   SENT  RECEIVED  NEW  DUPLICATE  HELD  ANNOUNCED  FORWARDED  GRAFTED  PRUNED  SUPPRESSED
tokyo  1     22        21   1          0     0          0          0        0       0
lyon   1     22        21   1          0     0          0          0        0       0

control bytes sent
PEER   ANNOUNCE  GRAFT  PRUNE  ACK   HEARTBEAT  CREDIT  OTHER
tokyo  2.00 KiB  0 B    0 B    10 B  0 B        0 B     0 B
lyon   2.00 KiB  0 B    0 B    10 B  0 B        0 B     0 B
"
        );
    }

    #[test]
    fn a_node_alone_has_no_details() {
        let mut status = status();
        status.peers.clear();
        status.sources.clear();
        assert_eq!(render(&status), "");
    }
}

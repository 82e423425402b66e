//! The mesh as text: a tree for each member that writes, spare links, and what if a node dies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use millpond::status::{Survey, SurveyEdge, SurveyLink, SurveyLoss, SurveyNode, SurveyTree};

/// The whole picture.
pub(super) fn draw(survey: &Survey) -> String {
    let mut out = head(survey);
    for tree in &survey.trees {
        out += &draw_tree(survey, tree);
    }
    out += &spare_links(survey);
    for loss in &survey.losses {
        out += &draw_loss(loss);
    }
    let bridges = survey.links.iter().filter(|link| link.is_bridge);
    let bridges: Vec<String> = bridges.map(|link| format!("{} - {}", link.a, link.b)).collect();
    if !bridges.is_empty() {
        let _ = writeln!(out, "\nsome member hangs on one link: {}", bridges.join(", "));
    }
    out
}

/// Who has answered, and how they are set.
fn head(survey: &Survey) -> String {
    let asker = survey.nodes.iter().find(|node| node.is_this_node);
    let asker = asker.map_or("this node", |node| &node.name);
    let silent: Vec<&str> =
        survey.nodes.iter().filter(|it| !it.answered).map(|it| &it.name[..]).collect();
    let answered = survey.nodes.len() - silent.len();
    let mut out = format!("{answered} of {} members have told {asker}", survey.nodes.len());
    if !silent.is_empty() {
        let _ = write!(out, "; silent: {}", silent.join(", "));
    }
    out.push('\n');
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for node in survey.nodes.iter().filter(|node| node.answered) {
        alike.entry(settings(node)).or_default().push(&node.name);
    }
    for (settings, nodes) in alike {
        let _ = writeln!(out, "{settings}: {}", nodes.join(", "));
    }
    out
}

fn settings(node: &SurveyNode) -> String {
    let mut text = node.mode.clone().unwrap_or("unknown".into());
    if let Some(fanout) = node.fanout {
        let _ = write!(text, " of fanout {fanout}");
    }
    if let Some(ripple) = &node.ripple {
        let _ = write!(text, ", ripple {ripple}");
    }
    if let Some(region) = &node.region {
        let _ = write!(text, ", in {region}");
    }
    text
}

fn draw_tree(survey: &Survey, tree: &SurveyTree) -> String {
    let mut out = format!("\nwhat {} writes\n", tree.origin);
    let mut children: BTreeMap<&str, Vec<&SurveyEdge>> = BTreeMap::new();
    tree.edges.iter().for_each(|edge| children.entry(&edge.from).or_default().push(edge));
    let _ = writeln!(out, "  {}", tree.origin);
    let mut drawn = BTreeSet::from([&tree.origin[..]]);
    // What is still to draw, the next one last: its edge, what stands before it, whether none follows.
    let below = |node: &str, indent: &str| -> Vec<(&SurveyEdge, String, bool)> {
        let edges = children.get(node).map_or(&[][..], Vec::as_slice);
        let last_first = edges.iter().rev().enumerate();
        last_first.map(|(place, &edge)| (edge, indent.to_owned(), place == 0)).collect()
    };
    let mut open = below(&tree.origin, "  ");
    while let Some((edge, indent, is_last)) = open.pop() {
        let branch = if is_last { "└─" } else { "├─" };
        let _ = writeln!(out, "{indent}{branch} {}", edge_text(survey, edge));
        // Nodes tell at different moments: two may name each other while the tree changes.
        if drawn.insert(&edge.to) {
            let indent = format!("{indent}{}", if is_last { "   " } else { "│  " });
            open.extend(below(&edge.to, &indent));
        }
    }
    for edge in tree.edges.iter().filter(|edge| !drawn.contains(&edge.to[..])) {
        let _ = writeln!(out, "  {} from {}, to which no way leads now", edge.to, edge.from);
    }
    if !tree.unfed.is_empty() {
        let _ = writeln!(out, "  sent by nobody to {}", tree.unfed.join(", "));
    }
    out
}

/// `lyon  3.1ms, cost 1, else from paris`
fn edge_text(survey: &Survey, edge: &SurveyEdge) -> String {
    let mut facts = Vec::new();
    if let Some(link) = link(survey, &edge.from, &edge.to) {
        facts.extend(round_trip(link));
        let cost = if link.a == edge.to { link.cost_to_a } else { link.cost_to_b };
        facts.extend(cost.map(|cost| format!("cost {cost}")));
    }
    facts.extend(edge.standby.as_ref().map(|standby| format!("else from {standby}")));
    format!("{}  {}", edge.to, facts.join(", ")).trim_end().to_owned()
}

pub(super) fn link<'a>(survey: &'a Survey, a: &str, b: &str) -> Option<&'a SurveyLink> {
    survey.links.iter().find(|link| link.a == a.min(b) && link.b == a.max(b))
}

/// `3.1ms`
pub(super) fn round_trip(link: &SurveyLink) -> Option<String> {
    link.round_trip_us.map(|us| format!("{:.1}ms", us as f64 / 1000.0))
}

fn spare_links(survey: &Survey) -> String {
    let spare: Vec<&SurveyLink> = survey.links.iter().filter(|link| link.is_spare).collect();
    if spare.is_empty() {
        return String::new();
    }
    let mut out = "\nspare links, over which nothing comes now\n".to_owned();
    for link in spare {
        let cost = match (link.cost_to_a, link.cost_to_b) {
            (Some(a), Some(b)) if a != b => Some(format!("cost {a} and {b}")),
            (Some(cost), _) | (None, Some(cost)) => Some(format!("cost {cost}")),
            (None, None) => None,
        };
        let facts: Vec<String> = round_trip(link).into_iter().chain(cost).collect();
        let line = format!("  {} - {}  {}", link.a, link.b, facts.join(", "));
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn draw_loss(loss: &SurveyLoss) -> String {
    let mut out = format!("\nif {} dies\n", loss.node);
    let mut turns: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
    for turn in &loss.turns {
        turns.entry((&turn.node, turn.to.as_deref())).or_default().push(&turn.origin);
    }
    for ((node, to), origins) in turns {
        let origins = origins.join(", ");
        let _ = match to {
            Some(to) => writeln!(out, "  {node} asks {to} for what {origins} writes"),
            None => writeln!(out, "  {node} waits to hear who has what {origins} writes"),
        };
    }
    if !loss.cut_off.is_empty() {
        let _ = writeln!(out, "  cut off until new links are made: {}", loss.cut_off.join(", "));
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// paris feeds london and tokyo, london feeds lyon; lab-pi hangs on tokyo and is silent.
    pub(in crate::topology) fn sample() -> Survey {
        let node = |name: &str, region: Option<&str>| {
            json!({"name": name, "key": "", "is_this_node": name == "paris", "answered": name != "lab-pi",
                "region": region, "cost": 0, "mode": "spanning-tree", "fanout": 2, "ripple": "adaptive"})
        };
        let link = |a: &str, b: &str, us: u64, cost: u32, is_spare: bool, is_bridge: bool| {
            json!({"a": a, "b": b, "round_trip_us": (us > 0).then_some(us), "cost_to_a": cost,
                "cost_to_b": cost, "is_spare": is_spare, "is_bridge": is_bridge})
        };
        let edge = |from: &str, to: &str, standby: Option<&str>| json!({"from": from, "to": to, "standby": standby});
        let survey = json!({
            "nodes": [node("lab-pi", None), node("london", Some("eu")), node("lyon", Some("eu")),
                node("paris", Some("eu")), node("tokyo", Some("asia"))],
            "links": [link("lab-pi", "tokyo", 0, 1, true, true), link("london", "lyon", 3_100, 1, false, false),
                link("london", "paris", 12_345, 1, false, false), link("lyon", "paris", 9_000, 1, true, false),
                link("paris", "tokyo", 120_000, 11, false, false)],
            "trees": [{"origin": "paris", "incarnation": "0a", "unfed": [],
                "edges": [edge("paris", "london", None), edge("london", "lyon", Some("paris")),
                    edge("paris", "tokyo", None)]}],
            "losses": [
                {"node": "london", "turns": [{"node": "lyon", "origin": "paris", "to": "paris"}], "cut_off": []},
                {"node": "tokyo", "turns": [], "cut_off": ["lab-pi"]}],
        });
        serde_json::from_value(survey).unwrap()
    }

    #[test]
    fn the_whole_picture() {
        assert_eq!(
            draw(&sample()),
            "\
4 of 5 members have told paris; silent: lab-pi
spanning-tree of fanout 2, ripple adaptive, in asia: tokyo
spanning-tree of fanout 2, ripple adaptive, in eu: london, lyon, paris

what paris writes
  paris
  ├─ london  12.3ms, cost 1
  │  └─ lyon  3.1ms, cost 1, else from paris
  └─ tokyo  120.0ms, cost 11

spare links, over which nothing comes now
  lab-pi - tokyo  cost 1
  lyon - paris  9.0ms, cost 1

if london dies
  lyon asks paris for what paris writes

if tokyo dies
  cut off until new links are made: lab-pi

some member hangs on one link: lab-pi - tokyo
"
        );
    }

    #[test]
    fn the_page_on_topologies_shows_what_is_drawn() {
        let page = include_str!("../../../../docs/TOPOLOGY.md");
        assert!(page.contains(&format!("```\n{}```", draw(&sample()))));
    }

    #[test]
    fn a_circle_is_drawn_once_and_named() {
        let mut survey = sample();
        let tree = &mut survey.trees[0];
        tree.edges.iter_mut().find(|edge| edge.to == "london").unwrap().from = "lyon".into();
        tree.unfed.push("lab-pi".into());
        let text = draw_tree(&survey, &survey.trees[0]);
        assert_eq!(
            text,
            "
what paris writes
  paris
  └─ tokyo  120.0ms, cost 11
  london from lyon, to which no way leads now
  lyon from london, to which no way leads now
  sent by nobody to lab-pi
"
        );
    }
}

//! The mesh as a graph for other programs to draw.

use std::fmt::Write;

use millpond::status::{Survey, SurveyEdge, SurveyTree};

use super::text::{link, round_trip};

/// For Graphviz: a cluster for each member that writes, in it an arrow to each receiver, and dashed the links
/// over which nothing of that comes.
pub(super) fn dot(survey: &Survey) -> String {
    let mut out = "digraph millpond {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (number, tree) in survey.trees.iter().enumerate() {
        let _ = writeln!(out, "  subgraph cluster_{number} {{");
        let _ = writeln!(out, "    label={};", quoted(&format!("what {} writes", tree.origin)));
        for (place, node) in survey.nodes.iter().enumerate() {
            let style = if node.answered { "" } else { ", style=dotted" };
            let _ = writeln!(out, "    t{number}n{place} [label={}{style}];", quoted(&node.name));
        }
        for edge in &tree.edges {
            let (from, to) = (place(survey, &edge.from), place(survey, &edge.to));
            let label = quoted(&label(survey, edge));
            let _ = writeln!(out, "    t{number}n{from} -> t{number}n{to} [label={label}];");
        }
        for (a, b) in others(survey, tree) {
            let style = "[dir=none, style=dashed, constraint=false]";
            let _ = writeln!(out, "    t{number}n{a} -> t{number}n{b} {style};");
        }
        out.push_str("  }\n");
    }
    out + "}\n"
}

/// For Mermaid, in the same way.
pub(super) fn mermaid(survey: &Survey) -> String {
    let mut out = "graph LR\n".to_owned();
    for (number, tree) in survey.trees.iter().enumerate() {
        let title = quoted(&format!("what {} writes", tree.origin));
        let _ = writeln!(out, "  subgraph t{number} [{title}]");
        for (place, node) in survey.nodes.iter().enumerate() {
            let name =
                if node.answered { node.name.clone() } else { format!("{} (silent)", node.name) };
            let _ = writeln!(out, "    t{number}n{place}[{}]", quoted(&name));
        }
        for edge in &tree.edges {
            let (from, to) = (place(survey, &edge.from), place(survey, &edge.to));
            let label = quoted(&label(survey, edge));
            let _ = writeln!(out, "    t{number}n{from} -->|{label}| t{number}n{to}");
        }
        for (a, b) in others(survey, tree) {
            let _ = writeln!(out, "    t{number}n{a} -.- t{number}n{b}");
        }
        out.push_str("  end\n");
    }
    out
}

/// Links over which nothing of this tree comes, by the places of their ends.
fn others<'a>(survey: &'a Survey, tree: &'a SurveyTree) -> impl Iterator<Item = (usize, usize)> {
    let is_used = |a: &str, b: &str| {
        tree.edges.iter().any(|it| (it.from == a && it.to == b) || (it.from == b && it.to == a))
    };
    let others = survey.links.iter().filter(move |link| !is_used(&link.a, &link.b));
    others.map(|link| (place(survey, &link.a), place(survey, &link.b)))
}

fn label(survey: &Survey, edge: &SurveyEdge) -> String {
    let Some(link) = link(survey, &edge.from, &edge.to) else { return " ".into() };
    let cost = if link.a == edge.to { link.cost_to_a } else { link.cost_to_b };
    let cost = cost.map(|cost| format!("cost {cost}"));
    round_trip(link).into_iter().chain(cost).collect::<Vec<_>>().join(", ")
}

fn place(survey: &Survey, name: &str) -> usize {
    survey.nodes.iter().position(|node| node.name == name).unwrap_or(survey.nodes.len())
}

/// Names are anybody's choice: what would end a text of either language early is left out.
fn quoted(text: &str) -> String {
    let safe: String =
        text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    format!("\"{safe}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::text::tests::sample;

    #[test]
    fn a_graph_for_graphviz() {
        assert_eq!(
            dot(&sample()),
            r#"digraph millpond {
  rankdir=LR;
  node [shape=box];
  subgraph cluster_0 {
    label="what paris writes";
    t0n0 [label="lab-pi", style=dotted];
    t0n1 [label="london"];
    t0n2 [label="lyon"];
    t0n3 [label="paris"];
    t0n4 [label="tokyo"];
    t0n3 -> t0n1 [label="12.3ms, cost 1"];
    t0n1 -> t0n2 [label="3.1ms, cost 1"];
    t0n3 -> t0n4 [label="120.0ms, cost 11"];
    t0n0 -> t0n4 [dir=none, style=dashed, constraint=false];
    t0n2 -> t0n3 [dir=none, style=dashed, constraint=false];
  }
}
"#
        );
    }

    #[test]
    fn a_graph_for_mermaid() {
        assert_eq!(
            mermaid(&sample()),
            r#"graph LR
  subgraph t0 ["what paris writes"]
    t0n0["lab-pi (silent)"]
    t0n1["london"]
    t0n2["lyon"]
    t0n3["paris"]
    t0n4["tokyo"]
    t0n3 -->|"12.3ms, cost 1"| t0n1
    t0n1 -->|"3.1ms, cost 1"| t0n2
    t0n3 -->|"120.0ms, cost 11"| t0n4
    t0n0 -.- t0n4
    t0n2 -.- t0n3
  end
"#
        );
    }

    #[test]
    fn a_name_ends_no_text_early() {
        assert_eq!(quoted("a\"]; b\\\n"), "\"a]; b\"");
    }
}

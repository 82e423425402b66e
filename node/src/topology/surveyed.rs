//! From what the nodes of a mesh report to what an operator asks: the tree of each origin, spare links, and
//! what would follow if a node died.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::message::{NodeReport, OriginReport, ReportedMode};
use millpond_core::{Incarnation, NodeKey};

use super::parts::Mesh;
use crate::status::{
    Survey, SurveyEdge, SurveyLink, SurveyLoss, SurveyNode, SurveyTree, SurveyTurn,
};
use crate::topology::settings::{Mode, Ripple};

/// The answers to a survey.
#[derive(Debug)]
pub(crate) struct Surveyed {
    /// Who asked.
    pub(crate) asker: NodeKey,
    /// All members and their names.
    pub(crate) members: BTreeMap<NodeKey, String>,
    /// Whose the incarnations of the reports are.
    pub(crate) owners: BTreeMap<Incarnation, NodeKey>,
    /// One for each node that has answered.
    pub(crate) reports: Vec<NodeReport>,
}

impl Surveyed {
    /// What the answers come to.
    pub(crate) fn survey(&self) -> Survey {
        let names = self.names();
        let trees = self.trees(&names);
        let links = self.links(&names, &trees);
        let losses = self.losses(&names, &links, &trees);
        let mut nodes: Vec<SurveyNode> =
            names.iter().map(|(key, name)| self.node(*key, name)).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Survey { nodes, links, trees, losses }
    }

    /// A name for each member that no other one has.
    fn names(&self) -> BTreeMap<NodeKey, String> {
        let mut bearers: BTreeMap<&str, u32> = BTreeMap::new();
        self.members.values().for_each(|name| *bearers.entry(name).or_default() += 1);
        let name = |(key, name): (&NodeKey, &String)| {
            let name = match &name[..] {
                "" => key.short().to_string(),
                name if bearers[name] > 1 => format!("{name} ({})", key.short()),
                name => name.to_owned(),
            };
            (*key, name)
        };
        self.members.iter().map(name).collect()
    }

    fn node(&self, key: NodeKey, name: &str) -> SurveyNode {
        let report = self.reports.iter().find(|report| report.key == key);
        let (mode, fanout) = match report.map(|report| report.mode) {
            Some(ReportedMode::FullMesh) => (Some(Mode::FullMesh.word()), None),
            Some(ReportedMode::SpanningTree { fanout }) => {
                (Some(Mode::SpanningTree { fanout: 1 }.word()), Some(fanout))
            }
            Some(ReportedMode::Static) => (Some(Mode::Static.word()), None),
            Some(_) => (Some("unknown"), None),
            None => (None, None),
        };
        let ripple = report.map(|report| match report.is_adaptive {
            true => Ripple::Adaptive,
            false => Ripple::HoldDown,
        });
        let region = report.map(|report| report.region.clone());
        SurveyNode {
            name: name.to_owned(),
            key: key.to_string(),
            is_this_node: key == self.asker,
            answered: report.is_some(),
            region: region.filter(|region| !region.is_empty()),
            cost: report.map_or(0, |report| report.cost),
            mode: mode.map(Into::into),
            fanout,
            ripple: ripple.map(|ripple| ripple.word().into()),
        }
    }

    fn trees(&self, names: &BTreeMap<NodeKey, String>) -> Vec<SurveyTree> {
        let mut origins: BTreeSet<Incarnation> =
            self.reports.iter().flat_map(|it| it.origins.iter().map(|it| it.origin)).collect();
        origins.extend(self.reports.iter().filter_map(|report| report.open));
        let mut trees: Vec<SurveyTree> =
            origins.into_iter().filter_map(|origin| self.tree(origin, names)).collect();
        trees.sort_by(|a, b| (&a.origin, &a.incarnation).cmp(&(&b.origin, &b.incarnation)));
        trees
    }

    /// `None` for an origin that nobody knows, or under which its owner writes no more.
    fn tree(&self, origin: Incarnation, names: &BTreeMap<NodeKey, String>) -> Option<SurveyTree> {
        let owner = *self.owners.get(&origin)?;
        let owners_word = self.reports.iter().find(|report| report.key == owner);
        if owners_word.is_some_and(|report| report.open != Some(origin)) {
            return None;
        }
        let (mut edges, mut unfed) = (Vec::new(), Vec::new());
        for report in self.reports.iter().filter(|report| report.key != owner) {
            let Some(to) = names.get(&report.key) else { continue };
            let known = report.origins.iter().find(|it| it.origin == origin);
            let peer = |place: fn(&OriginReport) -> Option<usize>| {
                let link = report.links.get(place(known?)?)?;
                names.get(&link.peer).cloned()
            };
            match peer(|it| it.source) {
                Some(from) => {
                    edges.push(SurveyEdge { from, to: to.clone(), standby: peer(|it| it.standby) });
                }
                None => unfed.push(to.clone()),
            }
        }
        edges.sort_by(|a, b| a.to.cmp(&b.to));
        unfed.sort();
        let (origin, incarnation) = (names.get(&owner)?.clone(), origin.to_string());
        Some(SurveyTree { origin, incarnation, edges, unfed })
    }

    fn links(&self, names: &BTreeMap<NodeKey, String>, trees: &[SurveyTree]) -> Vec<SurveyLink> {
        let mut links: BTreeMap<(&str, &str), SurveyLink> = BTreeMap::new();
        for report in &self.reports {
            let Some(own) = names.get(&report.key) else { continue };
            for told in &report.links {
                let Some(peer) = names.get(&told.peer) else { continue };
                let (a, b) = if own < peer { (own, peer) } else { (peer, own) };
                let link = links.entry((a, b)).or_insert_with(|| SurveyLink {
                    a: a.clone(),
                    b: b.clone(),
                    round_trip_us: None,
                    cost_to_a: None,
                    cost_to_b: None,
                    is_spare: true,
                    is_bridge: false,
                });
                let known = Some(told.round_trip_us).filter(|&us| us > 0);
                link.round_trip_us = link.round_trip_us.into_iter().chain(known).min();
                let cost = if own == a { &mut link.cost_to_a } else { &mut link.cost_to_b };
                *cost = Some(told.cost);
            }
        }
        for edge in trees.iter().flat_map(|tree| &tree.edges) {
            let (from, to) = (&edge.from[..], &edge.to[..]);
            if let Some(link) = links.get_mut(&(from.min(to), from.max(to))) {
                link.is_spare = false;
            }
        }
        let order: Vec<&String> = names.values().collect();
        for (a, b) in mesh(&order, links.values()).bridges() {
            let (a, b) = (&order[a][..], &order[b][..]);
            if let Some(link) = links.get_mut(&(a.min(b), a.max(b))) {
                link.is_bridge = true;
            }
        }
        links.into_values().collect()
    }

    fn losses(
        &self,
        names: &BTreeMap<NodeKey, String>,
        links: &[SurveyLink],
        trees: &[SurveyTree],
    ) -> Vec<SurveyLoss> {
        let order: Vec<&String> = names.values().collect();
        let mesh = mesh(&order, links);
        let here = names.keys().position(|key| *key == self.asker).unwrap_or_default();
        let loss = |(index, node): (usize, &&String)| {
            // What a dead node would have written is lost with it; what it passes on is not.
            let passed_on = trees.iter().filter(|tree| tree.origin != **node);
            let turns = passed_on.flat_map(|tree| {
                let fed = tree.edges.iter().filter(|edge| edge.from == **node);
                fed.map(|edge| SurveyTurn {
                    node: edge.to.clone(),
                    origin: tree.origin.clone(),
                    to: edge.standby.clone(),
                })
            });
            let mut turns: Vec<SurveyTurn> = turns.collect();
            turns.sort_by(|a, b| (&a.node, &a.origin).cmp(&(&b.node, &b.origin)));
            let parted = mesh.parted_without(index, here);
            let mut cut_off: Vec<String> = parted.into_iter().map(|it| order[it].clone()).collect();
            cut_off.sort();
            SurveyLoss { node: (*node).clone(), turns, cut_off }
        };
        let losses = order.iter().enumerate().map(loss);
        let mut losses: Vec<SurveyLoss> =
            losses.filter(|loss| !loss.turns.is_empty() || !loss.cut_off.is_empty()).collect();
        losses.sort_by(|a, b| a.node.cmp(&b.node));
        losses
    }
}

/// The links, with nodes by their places.
fn mesh<'a>(order: &[&String], links: impl IntoIterator<Item = &'a SurveyLink>) -> Mesh {
    let places: BTreeMap<&str, usize> =
        order.iter().enumerate().map(|(index, name)| (&name[..], index)).collect();
    let mut mesh = Mesh::of(order.len());
    for link in links {
        mesh.link(places[&link.a[..]], places[&link.b[..]]);
    }
    mesh
}

#[cfg(test)]
mod tests {
    use super::*;
    use millpond_core::message::LinkReport;

    fn key(node: u8) -> NodeKey {
        NodeKey::from_bytes([node; 32])
    }

    fn incarnation(node: u8) -> Incarnation {
        Incarnation::from_bytes([node; 16])
    }

    /// A node that is linked to these, and takes what each of these writes from a source, with a standby.
    fn report(node: u8, peers: &[u8], sources: &[(u8, Option<u8>, Option<u8>)]) -> NodeReport {
        let place = |peer: &Option<u8>| peers.iter().position(|it| Some(*it) == *peer);
        let link = |&peer: &u8| LinkReport {
            peer: key(peer),
            round_trip_us: u64::from(node) * 100 + u64::from(peer),
            cost: node.into(),
        };
        let origin = |(origin, source, standby): &(u8, Option<u8>, Option<u8>)| OriginReport {
            origin: incarnation(*origin),
            source: place(source),
            standby: place(standby),
        };
        NodeReport {
            key: key(node),
            name: String::new(),
            region: "eu".into(),
            cost: 2,
            mode: ReportedMode::SpanningTree { fanout: 8 },
            is_adaptive: true,
            open: Some(incarnation(node)),
            links: peers.iter().map(link).collect(),
            origins: sources.iter().map(origin).collect(),
        }
    }

    /// A mesh of nodes `n1` to `n{count}`, asked by the first.
    fn mesh(count: u8, reports: Vec<NodeReport>) -> Survey {
        let members = (1..=count).map(|node| (key(node), format!("n{node}"))).collect();
        let owners = (1..=count).map(|node| (incarnation(node), key(node))).collect();
        Surveyed { asker: key(1), members, owners, reports }.survey()
    }

    fn edge(from: &str, to: &str, standby: Option<&str>) -> SurveyEdge {
        SurveyEdge { from: from.into(), to: to.into(), standby: standby.map(Into::into) }
    }

    /// 1 - 2 - 3, and 1 - 3 as a spare; 4 hangs on 3 and is silent.
    fn chain() -> Survey {
        mesh(
            4,
            vec![
                report(1, &[2, 3], &[]),
                report(2, &[1, 3], &[(1, Some(1), None)]),
                report(3, &[1, 2, 4], &[(1, Some(2), Some(1))]),
            ],
        )
    }

    #[test]
    fn a_tree_has_an_edge_for_each_node_that_tells_of_a_source() {
        let survey = chain();
        let tree = survey.trees.iter().find(|tree| tree.origin == "n1").unwrap();
        assert_eq!(tree.edges, [edge("n1", "n2", None), edge("n2", "n3", Some("n1"))]);
        assert!(tree.unfed.is_empty());
        let tree = survey.trees.iter().find(|tree| tree.origin == "n2").unwrap();
        assert_eq!((&tree.edges[..], &tree.unfed[..]), (&[][..], &["n1".into(), "n3".into()][..]));
    }

    #[test]
    fn a_silent_member_is_shown_with_what_others_know_of_it() {
        let survey = chain();
        let silent: Vec<&str> =
            survey.nodes.iter().filter(|it| !it.answered).map(|it| &it.name[..]).collect();
        assert_eq!(silent, ["n4"]);
        let link = survey.links.iter().find(|link| link.b == "n4").unwrap();
        assert_eq!((&link.a[..], link.cost_to_a, link.cost_to_b), ("n3", Some(3), None));
        assert!(survey.nodes[0].is_this_node && survey.nodes[0].answered);
        assert_eq!(survey.nodes[0].fanout, Some(8));
    }

    #[test]
    fn links_are_spare_when_nothing_comes_over_them_and_bridges_when_all_hangs_on_them() {
        let links = chain().links;
        let told: Vec<(&str, &str, bool, bool)> =
            links.iter().map(|it| (&it.a[..], &it.b[..], it.is_spare, it.is_bridge)).collect();
        assert_eq!(
            told,
            [
                ("n1", "n2", false, false),
                ("n1", "n3", true, false),
                ("n2", "n3", false, false),
                ("n3", "n4", true, true),
            ]
        );
        assert_eq!(links[0].round_trip_us, Some(102), "the lesser of the two");
    }

    #[test]
    fn a_loss_tells_who_turns_where_and_who_is_cut_off() {
        let losses = chain().losses;
        let nodes: Vec<&str> = losses.iter().map(|it| &it.node[..]).collect();
        assert_eq!(nodes, ["n2", "n3"], "of the death of the others nothing follows");
        let turn = SurveyTurn { node: "n3".into(), origin: "n1".into(), to: Some("n1".into()) };
        assert_eq!((&losses[0].turns[..], losses[0].cut_off.is_empty()), (&[turn][..], true));
        assert_eq!(losses[1].cut_off, ["n4"]);
    }

    #[test]
    fn an_incarnation_under_which_its_node_writes_no_more_has_no_tree() {
        let mut late = report(1, &[2], &[]);
        late.open = Some(incarnation(9));
        let survey = mesh(2, vec![late, report(2, &[1], &[(1, Some(1), None)])]);
        assert_eq!(survey.trees.iter().map(|it| &it.origin[..]).collect::<Vec<_>>(), ["n2"]);
    }

    #[test]
    fn members_of_one_name_are_told_apart() {
        let members =
            BTreeMap::from([(key(1), "n".into()), (key(2), "n".into()), (key(3), String::new())]);
        let surveyed =
            Surveyed { asker: key(1), members, owners: BTreeMap::new(), reports: Vec::new() };
        let names: Vec<String> = surveyed.survey().nodes.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["03030303", "n (01010101)", "n (02020202)"]);
    }

    /// A peer may say anything of what it is linked to.
    #[test]
    fn links_to_nobody_to_itself_and_in_circles_do_no_harm() {
        let strange = report(2, &[2, 77, 1, 1], &[(1, Some(77), Some(2)), (1, Some(2), None)]);
        let survey = mesh(2, vec![report(1, &[2], &[(2, Some(2), None)]), strange]);
        let tree = survey.trees.iter().find(|tree| tree.origin == "n1").unwrap();
        assert_eq!(tree.unfed, ["n2"]);
        assert_eq!(survey.links.iter().filter(|link| link.a != link.b).count(), 1);
    }
}

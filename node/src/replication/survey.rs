//! Surveys: how the whole mesh is, from one question.
//!
//! A node knows its own sources only. So a survey floods over the open links, each node passing it on once,
//! and every node answers the way that it came. What it tells is for people: nothing acts on it. Whoever did
//! not answer within [`ANSWER_MS`] is told to be silent.

use std::collections::{BTreeMap, BTreeSet};

use millpond_core::limits::{SURVEYED_LINKS_MAX, SURVEYED_ORIGINS_MAX};
use millpond_core::message::{LinkReport, Message, NodeReport, OriginReport, ReportedMode};
use millpond_core::transport::Lane;
use millpond_core::{Incarnation, Namespace, NodeKey};
use rand_core::Rng;

use super::engine::Engine;
use super::link::Link;
use super::{Answer, LinkId, RequestId};
use crate::limits::SURVEYS_MAX;
use crate::planted::planted;
use crate::probes::never;
use crate::topology::settings::{Mode, Ripple};
use crate::topology::surveyed::Surveyed;

/// The surveys that this node has heard of lately.
#[derive(Debug, Default)]
pub(super) struct Surveys(BTreeMap<u64, Survey>);

/// One survey.
#[derive(Debug)]
struct Survey {
    until_ms: u64,
    /// Whose reports have passed.
    heard: BTreeSet<NodeKey>,
    way: Way,
}

/// Where its reports go.
#[derive(Debug)]
enum Way {
    /// To the peer that asked first.
    Back(LinkId),
    /// Here: the application asked.
    Here { request: RequestId, reports: Vec<NodeReport> },
}

#[cfg(test)]
impl Surveys {
    /// Those that are remembered.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.0.keys().copied().collect()
    }

    /// Reports that are held for the application.
    pub(super) fn reports(&self) -> usize {
        let ways = self.0.values().map(|survey| &survey.way);
        ways.map(|way| if let Way::Here { reports, .. } = way { reports.len() } else { 0 }).sum()
    }
}

impl Surveys {
    /// How many are remembered.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }
}

impl Engine {
    /// The application asks how the mesh is.
    pub(super) fn ask_survey(&mut self, request: RequestId) {
        let id = self.rng.next_u64();
        let key = self.config.key;
        let survey = Survey {
            until_ms: self.now.mono_ms + ANSWER_MS,
            heard: BTreeSet::from([key]),
            way: Way::Here { request, reports: vec![self.node_report()] },
        };
        self.surveys.0.insert(id, survey);
        self.pass_on(id, None);
        self.finish_survey_if_whole(id);
    }

    /// A peer passes a survey on.
    pub(super) fn survey(&mut self, link_id: LinkId, id: u64) {
        let now_ms = self.now.mono_ms;
        // Those that were asked here end by themselves.
        self.surveys.0.retain(|_, it| matches!(it.way, Way::Here { .. }) || it.until_ms > now_ms);
        let is_known = self.surveys.0.contains_key(&id);
        if is_known && !planted!("a survey is passed on once") {
            return;
        }
        if self.surveys.0.len() >= SURVEYS_MAX && !planted!("surveys are few") {
            tracing::debug!(link = link_id.0, "survey ignored: there are many");
            return;
        }
        let heard = BTreeSet::from([self.config.key]);
        let survey = Survey { until_ms: now_ms + KEPT_MS, heard, way: Way::Back(link_id) };
        self.surveys.0.entry(id).or_insert(survey);
        self.pass_on(id, Some(link_id));
        let report = self.node_report();
        self.send(link_id, Lane::Bulk, &Message::Surveyed { id, report });
    }

    /// A node's report comes, on its way to who asked.
    pub(super) fn surveyed(&mut self, id: u64, report: NodeReport) {
        if self.members.get(report.key).is_none() && !planted!("reports are of members") {
            never!("reports of who is no member");
            return;
        }
        let Some(survey) = self.surveys.0.get_mut(&id) else { return };
        if !survey.heard.insert(report.key) && !planted!("a node reports once") {
            return;
        }
        match &mut survey.way {
            Way::Here { reports, .. } => reports.push(report),
            Way::Back(link_id) => {
                let link_id = *link_id;
                let has_room = |link: &mut Link| *link.unsent(Lane::Bulk) < REPORTS_UNSENT_BYTES;
                let has_room = self.links.get_mut(&link_id).is_some_and(has_room);
                if has_room || planted!("reports do not pile up") {
                    self.send(link_id, Lane::Bulk, &Message::Surveyed { id, report });
                }
            }
        }
        self.finish_survey_if_whole(id);
    }

    /// Answers the surveys whose time is up.
    pub(super) fn run_surveys(&mut self) {
        let now_ms = self.now.mono_ms;
        let asked = self.surveys.0.iter().filter(|(_, it)| matches!(it.way, Way::Here { .. }));
        let due: Vec<u64> =
            asked.filter(|(_, it)| it.until_ms <= now_ms).map(|(&id, _)| id).collect();
        due.into_iter().for_each(|id| self.finish_survey(id));
    }

    pub(super) fn next_survey_ms(&self) -> u64 {
        let asked = self.surveys.0.values().filter(|it| matches!(it.way, Way::Here { .. }));
        asked.map(|it| it.until_ms).min().unwrap_or(u64::MAX)
    }

    fn pass_on(&mut self, id: u64, from: Option<LinkId>) {
        let open = self.links.iter().filter(|(link, it)| it.is_open() && Some(**link) != from);
        let to: Vec<LinkId> = open.map(|(&link, _)| link).collect();
        for link in to {
            self.send(link, Lane::Control, &Message::Survey { id });
        }
    }

    fn finish_survey_if_whole(&mut self, id: u64) {
        let Some(Survey { heard, way: Way::Here { .. }, .. }) = self.surveys.0.get(&id) else {
            return;
        };
        if self.members.iter().all(|(key, _)| heard.contains(&key)) {
            self.finish_survey(id);
        }
    }

    fn finish_survey(&mut self, id: u64) {
        let Some(survey) = self.surveys.0.remove(&id) else { return };
        let Way::Here { request, reports } = survey.way else { return };
        let named: BTreeSet<Incarnation> = reports
            .iter()
            .flat_map(|report| report.origins.iter().map(|it| it.origin).chain(report.open))
            .collect();
        let owners = named.into_iter().filter_map(|it| Some((it, self.owner(it)?))).collect();
        let members = self.members.iter().map(|(key, member)| (key, member.name.clone())).collect();
        let surveyed = Surveyed { asker: self.config.key, members, owners, reports };
        self.answer(request, Answer::Survey(Box::new(surveyed)));
    }

    /// What this node tells of itself.
    fn node_report(&self) -> NodeReport {
        let config = &self.config;
        let open: Vec<&Link> = self.links.values().filter(|link| link.is_open()).collect();
        let links = open.iter().take(SURVEYED_LINKS_MAX).map(|link| LinkReport {
            peer: link.peer,
            round_trip_us: link.round_trip_us.unwrap_or(0),
            cost: link.rules.cost,
        });
        let links: Vec<LinkReport> = links.collect();
        let place = |key: Option<NodeKey>| links.iter().position(|link| Some(link.peer) == key);
        let namespace = Namespace::MAIN;
        // Those that write now come first, should there ever be too many.
        let moving = self.moving_origins();
        let quiet = self.applied(namespace).iter().map(|dot| dot.incarnation);
        let quiet = quiet.filter(|it| !moving.contains(it) && self.owner(*it).is_some());
        let origins = moving.iter().copied().chain(quiet);
        let origins = origins.filter(|it| self.owner(*it) != Some(config.key));
        let origins = origins.take(SURVEYED_ORIGINS_MAX).map(|origin| OriginReport {
            origin,
            source: place(self.source_of(namespace, origin)),
            standby: place(self.standby_of(namespace, origin)),
        });
        NodeReport {
            key: config.key,
            name: config.name.clone(),
            region: config.region.clone().unwrap_or_default(),
            cost: config.cost,
            mode: match config.topology.mode {
                Mode::FullMesh => ReportedMode::FullMesh,
                Mode::SpanningTree { fanout } => {
                    ReportedMode::SpanningTree { fanout: fanout.try_into().unwrap_or(u32::MAX) }
                }
                Mode::Static => ReportedMode::Static,
            },
            is_adaptive: config.topology.ripple == Ripple::Adaptive,
            open: self.heads.open,
            origins: origins.collect(),
            links,
        }
    }
}

/// How long to wait for answers: many round trips of the longest links.
const ANSWER_MS: u64 = 2_000;
/// How long a survey is remembered, so that no late way brings it again.
const KEPT_MS: u64 = 10_000;
/// Unsent bytes on a link beyond which reports are dropped: who asked sees their nodes as silent.
const REPORTS_UNSENT_BYTES: usize = 4 << 20;

//! What an operator asks of a refresh: to be made now, or what it would do.
//!
//! What it would do is told by a comparison such as a verification makes, of which nothing is taken.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use millpond_core::message::Purpose;
use millpond_core::{Entry, Namespace, NodeKey, Path, RowDot};

use super::comparing::SessionId;
use super::engine::{Engine, NAMESPACES};
use super::{Answer, LinkId, RequestId};
use crate::planted::planted;
use crate::state::View;
use crate::status::{RefreshError, RefreshReport, RefreshSide};

/// Somebody waits for a refresh, or for what one would do.
pub(super) struct AskedRefresh {
    id: RequestId,
    link: LinkId,
    is_needed: bool,
    /// The comparison that tells what one would do.
    plan: Option<SessionId>,
    /// The peer is busy with others: it is asked again.
    is_put_off: bool,
    until_ms: u64,
}

impl Engine {
    /// The operator wants a refresh with a peer.
    pub(super) fn ask_refresh(&mut self, id: RequestId, peer: NodeKey) {
        let Some(link_id) = self.link_to_take(peer) else {
            return self.answer(id, Answer::Refreshed(Err(RefreshError::NotLinked)));
        };
        let asked = self.asked_refresh(id, link_id);
        self.asked_refreshes.push(asked);
        if let Some(link) = self.links.get_mut(&link_id) {
            link.refresh_wanted.extend(NAMESPACES);
            link.refresh_after_ms.clear();
        }
        self.consider_pulls();
    }

    /// The operator wants to know what a refresh with a peer would do.
    pub(super) fn plan_refresh(&mut self, id: RequestId, peer: NodeKey) {
        let Some(link_id) = self.link_to_take(peer) else {
            return self.answer(id, Answer::Refreshed(Err(RefreshError::NotLinked)));
        };
        let session = self.ask_comparison(link_id, Namespace::MAIN, Purpose::Verify);
        let asked = self.asked_refresh(id, link_id);
        let plan = session.map(|session| (link_id, session));
        self.asked_refreshes.push(AskedRefresh { plan, ..asked });
    }

    /// The peer compares with others first.
    pub(super) fn put_off_plan(&mut self, session: SessionId) {
        if planted!("a plan waits until its peer has time") {
            return;
        }
        let asked = self.asked_refreshes.iter_mut().filter(|it| it.plan == Some(session));
        asked.for_each(|it| it.is_put_off = true);
    }

    fn asked_refresh(&self, id: RequestId, link: LinkId) -> AskedRefresh {
        let is_needed = NAMESPACES.iter().any(|of| self.needs_refresh_in(link, *of));
        let until_ms = self.now.mono_ms + TAKES_PART_MS;
        AskedRefresh { id, link, is_needed, plan: None, is_put_off: false, until_ms }
    }

    fn link_to_take(&self, peer: NodeKey) -> Option<LinkId> {
        let mut links = self.links.iter();
        links.find(|(_, link)| link.peer == peer && link.may_take()).map(|(&id, _)| id)
    }

    /// Whether a comparison is to tell what a refresh would do.
    pub(super) fn plans(&self, session: SessionId) -> bool {
        self.asked_refreshes.iter().any(|asked| asked.plan == Some(session))
    }

    /// The peer has told what it holds where the two differ.
    pub(super) fn planned(
        &mut self,
        session: SessionId,
        rows: &BTreeMap<Path, Vec<RowDot>>,
        is_partial: bool,
    ) {
        let Some(place) = self.asked_refreshes.iter().position(|it| it.plan == Some(session))
        else {
            return;
        };
        let AskedRefresh { id, is_needed, .. } = self.asked_refreshes.remove(place);
        let mut report =
            RefreshReport { is_dry: true, is_needed, is_partial, ..RefreshReport::default() };
        self.plan(session, rows, &mut report);
        self.answer(id, Answer::Refreshed(Ok(report)));
    }

    fn plan(
        &self,
        session: SessionId,
        rows: &BTreeMap<Path, Vec<RowDot>>,
        report: &mut RefreshReport,
    ) {
        let Some(comparing) = self.comparisons.get(&session) else { return };
        let (Some((theirs, _)), Some(differs)) = (&comparing.theirs, comparing.differs()) else {
            return;
        };
        for (path, row) in rows {
            let is_new = row.iter().any(|it| !comparing.vv.covers(it.dot));
            report.come.note(is_new, path);
        }
        let nothing = Vec::new();
        let mut visit = |path: &Path, entry: Entry| {
            let row = rows.get(path).unwrap_or(&nothing);
            let is_there = |dot| row.iter().any(|it| it.dot == dot);
            let mut absent = entry.live().iter().filter(|live| !is_there(live.dot));
            let is_replaced = row.iter().any(|it| !comparing.vv.covers(it.dot));
            let is_gone = !is_replaced && absent.clone().any(|live| theirs.covers(live.dot));
            let is_unknown = absent.any(|live| !theirs.covers(live.dot));
            // Of what was not told it is not known.
            report.go.note(is_gone && !report.is_partial, path);
            report.stay.note(is_unknown, path);
            ControlFlow::Continue(())
        };
        let view = View::new(comparing.snapshot.clone(), comparing.namespace);
        let visited = view.and_then(|view| differs.visit(&view, None, PATHS_MAX, &mut visit));
        report.is_partial |= !matches!(visited, Ok(None)) && differs.listed().is_none();
    }

    pub(super) fn next_asked_refresh_ms(&self) -> u64 {
        match self.asked_refreshes.is_empty() {
            true => u64::MAX,
            false => self.now.mono_ms + LOOK_MS,
        }
    }

    /// Answers who waits for nothing more.
    pub(super) fn run_asked_refreshes(&mut self) {
        let now_ms = self.now.mono_ms;
        for mut asked in std::mem::take(&mut self.asked_refreshes) {
            if std::mem::take(&mut asked.is_put_off) && now_ms < asked.until_ms {
                let session = self.ask_comparison(asked.link, Namespace::MAIN, Purpose::Verify);
                asked.plan = session.map(|session| (asked.link, session)).or(asked.plan);
            }
            let is_under_way = self.comparisons.keys().any(|session| match asked.plan {
                Some(plan) => *session == plan,
                None => session.0 == asked.link,
            });
            let wanted = self.links.get(&asked.link).map(|link| !link.refresh_wanted.is_empty());
            let is_late = asked.until_ms <= now_ms && !is_under_way;
            match (asked.plan, wanted) {
                (None, Some(false)) => {
                    let is_needed = asked.is_needed;
                    let report = RefreshReport { is_needed, ..RefreshReport::default() };
                    self.answer(asked.id, Answer::Refreshed(Ok(report)));
                }
                (_, None) => {
                    self.answer(asked.id, Answer::Refreshed(Err(RefreshError::NotLinked)));
                }
                (Some(_), _) if !is_under_way => {
                    self.answer(asked.id, Answer::Refreshed(Err(RefreshError::Refused)));
                }
                _ if is_late => {
                    if let Some(link) = self.links.get_mut(&asked.link) {
                        link.refresh_wanted.clear();
                    }
                    self.answer(asked.id, Answer::Refreshed(Err(RefreshError::Refused)));
                }
                _ => self.asked_refreshes.push(asked),
            }
        }
    }
}

impl RefreshSide {
    fn note(&mut self, is_of_it: bool, path: &Path) {
        if !is_of_it {
            return;
        }
        self.count += 1;
        if self.paths.len() < PATHS_TOLD_MAX {
            self.paths.push(path.to_string());
        }
    }
}

/// How long the peer may take until it takes part.
const TAKES_PART_MS: u64 = 60_000;
/// How often it is looked whether it is done.
const LOOK_MS: u64 = 250;
/// Paths looked at to tell what a refresh would do.
const PATHS_MAX: usize = 100_000;
/// Paths told to people.
const PATHS_TOLD_MAX: usize = 20;

//! The bodies of a survey and of its answers, version 1: frozen, like those of [`super::control_v1`].

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::control_v1::{List, Text};
use crate::limits::{SURVEYED_LINKS_MAX, SURVEYED_ORIGINS_MAX};
use crate::survey::{LinkReport, NodeReport, OriginReport, ReportedMode};
use crate::{Incarnation, NodeKey};

/// Id.
#[derive(Serialize, Deserialize)]
pub(super) struct SurveyV1(pub u64);

#[derive(Serialize, Deserialize)]
pub(super) struct SurveyedV1<'a> {
    id: u64,
    key: [u8; 32],
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    region: Text<'a>,
    cost: u32,
    mode: u8,
    fanout: u32,
    is_adaptive: bool,
    open: Option<[u8; 16]>,
    links: List<LinkV1, SURVEYED_LINKS_MAX>,
    origins: List<OriginV1, SURVEYED_ORIGINS_MAX>,
}

/// Peer, round trip in microseconds, cost.
#[derive(Serialize, Deserialize)]
struct LinkV1([u8; 32], u64, u32);

/// Incarnation, source, standby: places in the list of links, counted from one; zero is nobody.
#[derive(Serialize, Deserialize)]
struct OriginV1([u8; 16], u32, u32);

impl<'a> SurveyedV1<'a> {
    pub(super) fn new(id: u64, report: &'a NodeReport) -> Self {
        let fanout = match report.mode {
            ReportedMode::SpanningTree { fanout } => fanout,
            _ => 0,
        };
        let link = |link: &LinkReport| LinkV1(*link.peer.as_bytes(), link.round_trip_us, link.cost);
        let place = |index: Option<usize>| index.map_or(0, |index| index as u32 + 1);
        let origin = |it: &OriginReport| {
            OriginV1(*it.origin.as_bytes(), place(it.source), place(it.standby))
        };
        Self {
            id,
            key: *report.key.as_bytes(),
            name: Text(&report.name),
            region: Text(&report.region),
            cost: report.cost,
            mode: report.mode.number(),
            fanout,
            is_adaptive: report.is_adaptive,
            open: report.open.map(|open| *open.as_bytes()),
            links: report.links.iter().map(link).collect(),
            origins: report.origins.iter().map(origin).collect(),
        }
    }
}

impl TryFrom<SurveyedV1<'_>> for (u64, NodeReport) {
    type Error = DecodeError;

    fn try_from(body: SurveyedV1<'_>) -> Result<Self, DecodeError> {
        let link = |LinkV1(peer, round_trip_us, cost)| LinkReport {
            peer: NodeKey::from_bytes(peer),
            round_trip_us,
            cost,
        };
        let links: Vec<LinkReport> = body.links.0.into_iter().map(link).collect();
        let index = |place: u32| match place as usize {
            0 => Ok(None),
            place if place <= links.len() => Ok(Some(place - 1)),
            _ => Err(DecodeError::Malformed),
        };
        let origin = |OriginV1(origin, source, standby)| {
            let origin = Incarnation::from_bytes(origin);
            Ok(OriginReport { origin, source: index(source)?, standby: index(standby)? })
        };
        let origins: Result<Vec<OriginReport>, DecodeError> =
            body.origins.0.into_iter().map(origin).collect();
        let mode = ReportedMode::from_numbers(body.mode, body.fanout);
        let report = NodeReport {
            key: NodeKey::from_bytes(body.key),
            name: body.name.0.to_owned(),
            region: body.region.0.to_owned(),
            cost: body.cost,
            mode: mode.ok_or(DecodeError::Malformed)?,
            is_adaptive: body.is_adaptive,
            open: body.open.map(Incarnation::from_bytes),
            origins: origins?,
            links,
        };
        Ok((body.id, report))
    }
}

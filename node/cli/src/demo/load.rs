//! What the demo writes: which records, by whom, and how many rows that makes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dataset;
use crate::failure::{Cause, Failure};
use crate::transfer::is_gzip;

/// The records, in memory.
pub(super) struct Load {
    nodes: usize,
    /// Where they go.
    pub(super) collection: &'static str,
    /// Written by every node while the links are cut.
    contested: Vec<String>,
    /// Written by one node each.
    rest: Vec<String>,
    contested_rows: u64,
    rest_rows: u64,
    /// The key of a contested record, for an example.
    pub(super) example: String,
}

impl Load {
    /// The records of a file, or the built-in places.
    pub(super) fn read(file: Option<&Path>, nodes: usize) -> Result<Self, Failure> {
        let Some(path) = file else { return Self::of_lines(dataset::open(), "places", nodes) };
        let what = format!("cannot load {}", path.display());
        let open =
            File::open(path).map_err(|error| Failure::new(&*what).cause(Cause::Demo).why(error))?;
        let load = match is_gzip(path) {
            true => Self::of_lines(BufReader::new(MultiGzDecoder::new(open)), "records", nodes),
            false => Self::of_lines(BufReader::new(open), "records", nodes),
        };
        load.map_err(|failure| failure.what(what))
    }

    fn of_lines(
        input: impl BufRead,
        collection: &'static str,
        nodes: usize,
    ) -> Result<Self, Failure> {
        let mut load = Self {
            nodes,
            collection,
            contested: Vec::new(),
            rest: Vec::new(),
            contested_rows: 0,
            rest_rows: 0,
            example: String::new(),
        };
        for (index, line) in input.lines().enumerate() {
            let line = line.map_err(|error| Failure::new("").cause(Cause::Demo).why(error))?;
            if line.trim().is_empty() {
                continue;
            }
            load.add(line).map_err(|why| {
                let fix = "each line is one object with an \"id\": {\"id\":\"milk\",\"title\":\"Buy milk\"}";
                Failure::new("").cause(Cause::Demo).why(format!("line {}: {why}", index + 1)).fix(fix)
            })?;
        }
        match load.contested.is_empty() {
            true => Err(Failure::new("").cause(Cause::Demo).why("it holds no records")),
            false => Ok(load),
        }
    }

    fn add(&mut self, line: String) -> Result<(), String> {
        let fields = fields(&line).map_err(|error| error.to_string())?;
        let key = fields.get("id").ok_or("there is no field \"id\"")?;
        let own = u64::from(!fields.contains_key(VISITED_BY));
        let rows = fields.len() as u64;
        let count = self.contested.len() + self.rest.len();
        if count.is_multiple_of(CONTESTED_EVERY) {
            if self.contested.is_empty() {
                self.example = key.get().trim_matches('"').into();
            }
            self.contested_rows += rows + own;
            self.contested.push(line);
        } else {
            self.rest_rows += rows;
            self.rest.push(line);
        }
        Ok(())
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Records that every node writes.
    pub(super) fn contested(&self) -> usize {
        self.contested.len()
    }

    /// Dots that all nodes together issue.
    pub(super) fn updates(&self) -> u64 {
        self.contested_rows * self.nodes as u64 + self.rest_rows
    }

    /// What a node writes of the contested records: each signed with its name.
    pub(super) fn contested_lines(&self, node: &str) -> Vec<u8> {
        let name = serde_json::value::to_raw_value(node).expect("text has a JSON form");
        let mut lines = Vec::new();
        for line in &self.contested {
            let mut fields = fields(line).expect("it was parsed before");
            fields.insert(VISITED_BY.into(), &name);
            serde_json::to_writer(&mut lines, &fields).expect("memory takes it");
            lines.push(b'\n');
        }
        lines
    }

    /// The share of the other records that a node imports, by its number from 0.
    pub(super) fn share(&self, index: usize) -> Vec<u8> {
        let size = self.rest.len().div_ceil(self.nodes);
        let share = self.rest.chunks(size.max(1)).nth(index).unwrap_or_default();
        let mut lines = Vec::new();
        for line in share {
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
        }
        lines
    }
}

/// The top-level fields of an object, their values as they are written.
fn fields(line: &str) -> serde_json::Result<BTreeMap<String, &RawValue>> {
    let mut parser = serde_json::Deserializer::from_str(line);
    let fields = BTreeMap::deserialize(&mut parser)?;
    parser.end()?;
    Ok(fields)
}

/// Five in a hundred records are written by every node.
const CONTESTED_EVERY: usize = 20;

/// The field in which the nodes disagree.
pub(super) const VISITED_BY: &str = "visited_by";

#[cfg(test)]
mod tests {
    use super::*;

    fn load(lines: usize, nodes: usize) -> Load {
        let text: String =
            (0..lines).map(|n| format!("{{\"id\":\"k{n:03}\",\"n\":1.50}}\n")).collect();
        Load::of_lines(text.as_bytes(), "records", nodes).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_record_is_written_once_or_by_every_node() {
        let load = load(50, 3);
        assert_eq!((load.contested(), load.example.as_str()), (3, "k000"));
        let contested = String::from_utf8(load.contested_lines("node-2")).unwrap();
        let first = contested.lines().next();
        assert_eq!(first, Some(r#"{"id":"k000","n":1.50,"visited_by":"node-2"}"#));
        let shares: Vec<u8> = (0..3).flat_map(|index| load.share(index)).collect();
        assert_eq!(String::from_utf8(shares).unwrap().lines().count(), 47);
        assert_eq!(load.updates(), 3 * 3 * 3 + 47 * 2);
    }

    #[test]
    fn fewer_records_than_nodes_are_enough() {
        let load = load(2, 5);
        assert_eq!(load.contested(), 1);
        assert_eq!(load.share(0).len(), "{\"id\":\"k001\",\"n\":1.50}\n".len());
        assert!(load.share(4).is_empty());
    }

    #[test]
    fn a_line_that_is_no_record_is_named() {
        for (text, why) in [("{\"id\":1}\n\n[1]\n", "line 3: "), ("{\"a\":1}\n", "\"id\"")] {
            let failure = Load::of_lines(text.as_bytes(), "records", 3).err().unwrap();
            assert!(failure.to_string().contains(why), "{failure}");
        }
    }
}

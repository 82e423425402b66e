//! The data set that `demo` loads: 136,406 real places of the world, embedded in the binary.
//!
//! The records come from [GeoNames](https://www.geonames.org/), under the Creative Commons
//! Attribution 4.0 licence; `data/README.md` lists the fields and how the file was made, and
//! `THIRD-PARTY.md` at the root of the repository gives the attribution.

use std::io::{BufRead, BufReader};

use flate2::bufread::GzDecoder;

/// How many records [`open`] yields, one to a line.
#[cfg(test)]
pub(crate) const RECORDS: u64 = 136_406;

/// The records as JSON Lines, decompressed as they are read.
///
/// Each line is one object of at most eight fields, all strings and numbers, at most 256 bytes
/// long without its line feed. Its `"id"` is a string no other record has, and the lines come in
/// byte order of it. A read fails only if the embedded file is damaged, which the tests exclude.
pub(crate) fn open() -> impl BufRead {
    BufReader::with_capacity(BUFFER_BYTES, GzDecoder::new(COMPRESSED))
}

static COMPRESSED: &[u8] = include_bytes!("../data/places.jsonl.gz");

/// Some four hundred records to a refill; the decompressor holds a window of 32 KiB besides.
const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    const COMPRESSED_BYTES_MAX: usize = 5_000_000;
    const LINE_BYTES_MAX: usize = 256;

    fn lines() -> impl Iterator<Item = String> {
        open().lines().map(|line| line.expect("the embedded file is whole"))
    }

    fn parse(line: &str) -> Map<String, Value> {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn compressed_file_fits_its_budget() {
        assert!(COMPRESSED.len() <= COMPRESSED_BYTES_MAX, "{} bytes", COMPRESSED.len());
    }

    #[test]
    fn record_count_is_as_declared() {
        assert_eq!(lines().count() as u64, RECORDS);
    }

    #[test]
    fn ids_are_unique_and_sorted() {
        let mut previous = String::new();
        for line in lines() {
            let id = parse(&line)["id"].as_str().expect("the id is a string").to_owned();
            assert!(previous < id, "{id} follows {previous}");
            previous = id;
        }
    }

    #[test]
    fn every_record_is_a_short_flat_object() {
        for line in lines() {
            assert!(line.len() <= LINE_BYTES_MAX, "{line}");
            let record = parse(&line);
            for name in ["id", "name", "country", "timezone"] {
                assert!(record[name].is_string(), "{line}");
            }
            for name in ["lat", "lon"] {
                assert!(record[name].is_f64(), "{line}");
            }
            assert!(record["population"].is_u64(), "{line}");
            let region = record.get("region");
            assert!(region.is_none_or(Value::is_string), "{line}");
            assert_eq!(record.len(), 7 + usize::from(region.is_some()), "{line}");
        }
    }

    #[test]
    fn a_known_place_reads_back_exactly() {
        let paris = lines().find(|line| line.starts_with(r#"{"id":"2988507","#));
        assert_eq!(
            paris.as_deref(),
            Some(concat!(
                r#"{"id":"2988507","name":"Paris","country":"FR","region":"11","lat":48.85341,"#,
                r#""lon":2.3488,"population":2138551,"timezone":"Europe/Paris"}"#
            ))
        );
    }
}

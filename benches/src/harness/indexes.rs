//! Indexes: what they take from writes, and what they give to reads.

use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use millpond::records::RecordError;
use millpond::{IndexState, Record, Replica, WriteTx};
use serde_json::json;

use crate::folder::ScratchFolder;
use crate::report::{Figures, Report, median};
use crate::workload::Random;
use crate::{Common, Result, replicas};

pub const NAME: &str = "indexes";
pub const ABOUT: &str = "records of four fields, each transaction's on disk before the next, at a replica that keeps an \
                         index of one of them. Limit: the same at one that keeps none. Bar: 0.7 of the limit";

/// What can be varied.
#[derive(Args)]
pub struct Parameters {
    #[command(flatten)]
    pub common: Common,
    /// Records of a transaction.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    records: u32,
    /// Transactions of each side in a sample, by turns.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    transactions: u32,
}

#[derive(Debug, Default, Record)]
struct Task {
    #[millpond(key)]
    id: u64,
    owner: String,
    title: String,
    #[millpond(index)]
    due: u64,
    done: bool,
}

/// One sample: records in a second, and microseconds of a question.
struct Sample {
    plain: f64,
    indexed: f64,
    by_index_us: f64,
    by_scan_us: f64,
}

pub async fn run(parameters: &Parameters, folder: &ScratchFolder) -> Result<Report> {
    let mut samples = Vec::new();
    for number in 1..=parameters.common.samples {
        let place = folder.path().join(format!("sample-{number}"));
        let sample = measure(parameters, &place).await?;
        std::fs::remove_dir_all(&place)?;
        eprintln!(
            "sample {number}: {:.0} records/s with an index, {:.0} without",
            sample.indexed, sample.plain
        );
        samples.push(sample);
    }
    let of = |figure: fn(&Sample) -> f64| -> Vec<f64> { samples.iter().map(figure).collect() };
    let plain = of(|it| it.plain);
    let figures =
        Figures { unit: "records/s", samples: of(|it| it.indexed), limit: median(&plain) };
    let described =
        json!({ "records": parameters.records, "transactions": parameters.transactions });
    let report = Report::new(NAME, described, figures, folder)
        .with("limit_samples", plain)
        .with("ten_by_index_us", median(&of(|it| it.by_index_us)))
        .with("ten_by_scan_us", median(&of(|it| it.by_scan_us)));
    let is_met = report.ratio() >= SHARE;
    Ok(report.judged(folder, format!("{SHARE} of the writes without an index"), is_met))
}

async fn measure(parameters: &Parameters, place: &Path) -> Result<Sample> {
    let open = |name: &str| Replica::builder(replicas::config(place, name).dir).offline();
    let (plain, indexed) = (open("plain").open().await?, open("indexed").register::<Task>());
    let indexed = indexed.open().await?;
    while indexed.collection::<Task>()?.by(TaskIndex::due()).state()? != IndexState::Ready {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (mut times, mut random) = ([Duration::ZERO; 2], Random::new(1));
    for round in 0..parameters.transactions {
        let tasks: Vec<Task> = (0..parameters.records).map(|_| task(&mut random)).collect();
        let tasks = std::sync::Arc::new(tasks);
        // Who comes first takes turns as well.
        for side in [round % 2, 1 - round % 2].map(|side| side as usize) {
            let tasks = tasks.clone();
            let store =
                move |tx: &mut WriteTx<'_>| tasks.iter().try_for_each(|task| tx.store(task));
            let start = Instant::now();
            [&plain, &indexed][side].write(store).await?;
            times[side] += start.elapsed();
        }
    }
    let tasks = indexed.collection::<Task>()?;
    let ask = || Ok::<_, RecordError>(tasks.by(TaskIndex::due()).limit(10).list()?.len());
    let (_, by_index_us) = timed(ask)?;
    let (count, by_scan_us) = timed(|| {
        let mut all = tasks.list(&millpond::Keys::all())?;
        all.sort_by_key(|task| task.due);
        Ok::<_, RecordError>(all.len())
    })?;
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    let sample = Sample { plain: rate(times[0]), indexed: rate(times[1]), by_index_us, by_scan_us };
    plain.close().await;
    indexed.close().await;
    Ok(sample)
}

fn task(random: &mut Random) -> Task {
    let text = |random: &mut Random| format!("{:016x}", random.below(u64::MAX));
    let (id, due) = (random.below(u64::MAX), random.below(1 << 32));
    Task { id, owner: text(random), title: text(random).repeat(3), due, done: false }
}

/// The median time of some runs, and what the last one came to.
fn timed<T, E>(
    mut run: impl FnMut() -> std::result::Result<T, E>,
) -> std::result::Result<(T, f64), E> {
    let mut times_us = Vec::new();
    loop {
        let start = Instant::now();
        let result = run()?;
        times_us.push(start.elapsed().as_secs_f64() * 1e6);
        if times_us.len() == RUNS {
            return Ok((result, median(&times_us)));
        }
    }
}

/// How often a question is asked.
const RUNS: usize = 21;
/// Of the writes without an index.
const SHARE: f64 = 0.7;

//! `crash-store`: the embedded store over a disk that loses power.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use millpond::store::embedded::crash::{self, CrashReport};
use serde::Serialize;

#[derive(Args)]
pub struct Arguments {
    /// From how many images of a cut disk to open the store.
    #[arg(long, default_value_t = 10_000)]
    images: u64,
    /// The seed of the first ten images; the next ten have the next seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// How many threads; all cores if not given. What is found does not depend on it.
    #[arg(long)]
    threads: Option<NonZero<usize>>,
    /// Print one JSON object instead of a text.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    crash: CrashReport,
    seconds: f64,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok());
    let threads = threads.unwrap_or(NonZero::<usize>::MIN);
    let start = Instant::now();
    let crash = crash::campaign(arguments.images, arguments.first_seed, threads, &|images| {
        if images % 10_000 == 0 {
            eprintln!("{images} images");
        }
    });
    let report = Report { crash, seconds: start.elapsed().as_secs_f64() };
    if arguments.json {
        let json = serde_json::to_string(&report).expect("numbers and texts are JSON");
        println!("{json}");
    } else {
        println!("{}; {:.1} s", report.crash, report.seconds);
    }
    if report.crash.is_clean() {
        return ExitCode::SUCCESS;
    }
    if let Some((seed, _)) = &report.crash.first_failure {
        let images = crash::IMAGES_PER_SEED;
        eprintln!("again: millpond-sim crash-store --first-seed {seed} --images {images}");
    }
    ExitCode::FAILURE
}

//! `crash-store`: the embedded store over a disk that loses power, and over one that fails.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use millpond::store::embedded::crash::{self, CrashReport, ErrorReport, FlipReport};
use serde::Serialize;

#[derive(Args)]
pub struct Arguments {
    /// From how many images of a cut disk to open the store.
    #[arg(long, default_value_t = 10_000)]
    images: u64,
    /// The seed of the first ten images; the next ten have the next seed.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Let every so-manieth operation of some workloads fail, too: 1 for each, 0 for none.
    #[arg(long, default_value_t = 1)]
    error_step: u64,
    /// Flip so many single bits in files of the store, and count who notices. A measurement, not a check.
    #[arg(long, default_value_t = 0)]
    flips: u64,
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
    /// For the images.
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_at: Option<Timed<ErrorReport>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bit_flips: Option<Timed<FlipReport>>,
}

/// A report, and how long it took.
#[derive(Serialize)]
struct Timed<T> {
    #[serde(flatten)]
    report: T,
    seconds: f64,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok());
    let threads = threads.unwrap_or(NonZero::<usize>::MIN);
    // Panics are counted and told; where they came from is of interest when one of them is looked into.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let crash = timed(|| {
        crash::campaign(arguments.images, arguments.first_seed, threads, &progress("images"))
    });
    let error_at = NonZero::new(arguments.error_step)
        .map(|step| timed(|| crash::error_at_each(step, threads, &progress("faults"))));
    let (flips, seed) = (arguments.flips, arguments.first_seed);
    let bit_flips =
        (flips > 0).then(|| timed(|| crash::flip_bits(flips, seed, threads, &progress("flips"))));
    let report = Report { crash: crash.report, seconds: crash.seconds, error_at, bit_flips };
    report.print(arguments.json);
    if let Some((seed, _)) = &report.crash.first_failure {
        let images = crash::IMAGES_PER_SEED;
        eprintln!(
            "again: millpond-sim crash-store --first-seed {seed} --images {images} --error-step 0"
        );
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Report {
    fn is_clean(&self) -> bool {
        let errors = self.error_at.as_ref();
        self.crash.is_clean() && errors.is_none_or(|errors| errors.report.is_clean())
    }

    fn print(&self, json: bool) {
        if json {
            let json = serde_json::to_string(self).expect("numbers and texts are JSON");
            return println!("{json}");
        }
        println!("{}; {:.1} s", self.crash, self.seconds);
        if let Some(Timed { report, seconds }) = &self.error_at {
            println!("{report}; {seconds:.1} s");
        }
        if let Some(Timed { report, seconds }) = &self.bit_flips {
            println!("{report}; {seconds:.1} s");
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Timed<T> {
    let start = Instant::now();
    let report = work();
    Timed { report, seconds: start.elapsed().as_secs_f64() }
}

/// Says now and then how far it is.
fn progress(unit: &str) -> impl Fn(u64) + Sync {
    move |count| {
        if count.is_multiple_of(10_000) {
            eprintln!("{count} {unit}");
        }
    }
}

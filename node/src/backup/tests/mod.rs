//! What a backup promises.

mod damage;
mod files;
mod round_trip;
mod schedule;
mod world;

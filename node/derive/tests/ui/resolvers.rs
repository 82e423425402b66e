use millpond::Record;
use millpond::typed::Candidate;

#[derive(Record)]
struct Task {
    #[millpond(key, resolve = first)]
    id: String,
}

#[derive(Record)]
struct Note {
    #[millpond(key)]
    id: String,
    #[millpond(index, resolve = first)]
    title: String,
}

fn first(candidates: &[Candidate<String>]) -> String {
    candidates[0].value.clone()
}

fn main() {}

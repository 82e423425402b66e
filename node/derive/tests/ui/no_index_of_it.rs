use millpond::{Counter, Record};

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    #[millpond(index)]
    votes: Counter,
}

fn main() {}

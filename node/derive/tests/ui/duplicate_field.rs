use millpond::Record;

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: String,
    title: String,
}

fn main() {}

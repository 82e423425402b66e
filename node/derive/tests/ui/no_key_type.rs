use millpond::Record;

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: f64,
    title: String,
}

fn main() {}

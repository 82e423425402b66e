use millpond::Record;

#[derive(serde::Serialize, serde::Deserialize)]
enum State {
    Open,
    Closed,
}

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    state: State,
}

fn main() {}

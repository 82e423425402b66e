use millpond::Record;

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: String,
    #[millpond(rename = "title")]
    heading: String,
    #[millpond(rename = "")]
    done: bool,
    #[millpond(rename = "a", rename = "b")]
    votes: u32,
}

#[derive(Record)]
struct Note {
    #[millpond(key, rename = "name")]
    id: String,
    text: String,
}

fn main() {}

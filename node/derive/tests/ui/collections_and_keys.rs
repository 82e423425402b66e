use millpond::Record;

#[derive(Record)]
#[millpond(collection = "a/b")]
struct Slash {
    #[millpond(key)]
    id: String,
}

#[derive(Record)]
#[millpond(collection = "tasks")]
struct Keyless {
    title: String,
}

#[derive(Record)]
struct TwoKeys {
    #[millpond(key)]
    id: String,
    #[millpond(key)]
    number: u32,
}

fn main() {}

use millpond::Record;

#[derive(Record)]
#[millpond(index(agenda(owner, due), title(owner)))]
struct Task {
    #[millpond(key, index)]
    id: String,
    #[millpond(index)]
    title: String,
    owner: String,
}

#[derive(Record)]
struct Address {
    #[millpond(index)]
    street: String,
}

fn main() {}

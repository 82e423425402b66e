use millpond::Record;

#[derive(Record)]
#[millpond(table = "tasks")]
struct Task {
    #[millpond(key)]
    id: String,
    #[millpond(merge = "multi")]
    title: String,
    #[millpond(kye)]
    done: bool,
}

fn main() {}

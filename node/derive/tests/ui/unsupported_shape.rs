use millpond::Record;

#[derive(Record)]
enum State {
    Open,
    Closed,
}

#[derive(Record)]
struct Pair(String, u32);

#[derive(Record)]
struct Nothing;

#[derive(Record)]
struct Task<T> {
    #[millpond(key)]
    id: String,
    title: T,
}

#[derive(Record)]
struct Borrowed<'a> {
    #[millpond(key)]
    id: &'a str,
}

fn main() {}

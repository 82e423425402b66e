use millpond::Record;

struct Colour(u8);

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    colour: Colour,
}

fn main() {}

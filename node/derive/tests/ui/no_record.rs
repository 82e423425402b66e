use millpond::records::RecordError;
use millpond::{Nested, Record, WriteTx};

#[derive(Record)]
struct Address {
    street: String,
}

#[derive(Record)]
struct Task {
    #[millpond(key)]
    id: String,
    title: String,
}

#[derive(Record)]
struct Project {
    #[millpond(key)]
    id: String,
    task: Nested<Task>,
}

fn store(tx: &mut WriteTx<'_>, address: &Address) -> Result<(), RecordError> {
    tx.store(address)
}

fn main() {}

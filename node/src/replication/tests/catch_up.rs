use super::world::World;
#[test]
fn a_mesh_forms() {
    let mut world = World::mesh(3, 1);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    assert_eq!(world.values(2, "c/k/f"), ["v"]);
    println!("{} ms", world.now_ms);
}

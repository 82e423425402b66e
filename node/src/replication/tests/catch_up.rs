use super::world::World;
#[test]
fn a_mesh_forms() {
    let mut world = World::mesh(3, 1);
    world.put(0, "c/k/f", "v");
    world.settle().unwrap();
    assert_eq!(world.values(2, "c/k/f"), ["v"]);
}

#[test]
fn nodes_that_wrote_apart_meet() {
    let mut world = World::mesh(2, 1);
    world.cut(0, 1);
    world.put(0, "c/0/f", "v");
    world.put(1, "c/1/f", "v");
    world.run(4_000);
    world.heal(0, 1);
    world.settle().unwrap();
    assert_eq!(world.values(0, "c/1/f"), ["v"]);
}

#[test]
fn a_path_deleted_by_two_nodes_travels_in_a_catch_up() {
    let mut world = World::mesh(3, 1);
    world.isolate(2, true);
    world.run(4_000);
    for node in [1, 0] {
        world.put(node, "c/k/f", "v");
        world.settle_within(60_000).ok();
        world.delete(node, "c/k/f");
        world.run(2_000);
    }
    world.isolate(2, false);
    world.settle().unwrap();
    assert_eq!(world.values(2, "c/k/f"), [""; 0]);
}

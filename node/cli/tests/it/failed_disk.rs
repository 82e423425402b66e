//! A disk that fails: the store stops at the first error, and the node with it.

use crate::node::Node;

#[test]
fn a_failed_disk_ends_the_node_and_loses_nothing_that_was_acknowledged() {
    let mut node = Node::start();
    assert_eq!(node.stop("TERM"), Some(0));
    node.restart_with_files_up_to(2 << 20);

    let fields = format!(r#"{{"text":"{}"}}"#, "v".repeat(100_000));
    let mut stored = 0;
    let refused = loop {
        let put = node.run_with(&["put", &format!("large/{stored}"), "-"], fields.as_bytes());
        if put.code != Some(0) {
            break put;
        }
        stored += 1;
        assert!(stored < 50, "the file cannot hold that");
    };
    assert!(stored > 3, "{refused:?}");
    assert_eq!(node.ended(), Some(1), "it may not answer any more; {refused:?}");
    node.run(&["ls"]).failed(4);

    node.restart();
    let listed = node.run(&["ls"]).ok();
    // What was refused last may be there or not: nobody knew.
    let expected = [stored, stored + 1].map(|count| format!("{count:>10}  large\n"));
    assert!(expected.contains(&listed), "{listed} instead of {expected:?}");
    node.run_with(&["put", "large/after", "-"], fields.as_bytes()).ok();
    assert_eq!(node.stop("TERM"), Some(0));
}

//! What is held: records and their indexes, stamps, disks, transactions, backups.

use super::PlantedBug;

pub(super) const PLANTED: &[PlantedBug] = bugs! {
    // Conflicts are ended.
    ["a decision keeps the stamp of what it decides"] "own", ["swarm"],
        "keeping one of two values wins over a later write that its maker has not seen";
    ["what is brought back leaves what is beside it"] "own", ["swarm"],
        "undoing a decision overwrites what somebody else wrote meanwhile";
    // Indexes are what a scan of all records says.
    ["a record that has moved leaves its place"] "own", ["indexes"],
        "an index lists a record under values that it had before";
    ["what was hidden is indexed anew"] "own", ["indexes"],
        "rows of a first catch-up are listed before it is there, or nowhere";
    ["an index that is being built follows changes"] "own", ["indexes"],
        "a record that changes while an index is built stays listed under what it was";
    ["what an index does not tell of is looked at"] "own", ["indexes"],
        "records of a cut that is being folded, and a transaction's own, are not found";
    ["an index is kept by every boot"] "own", [],
        "an index counts as right though a program that did not keep it had the store open";
    ["an index that is declared otherwise is built anew"] "own", [],
        "an index of other fields than those declared counts as built";
    ["an index that is wrong is built anew"] "own", [],
        "an index whose rows are lost or left over stays so";
    // Stamps and values.
    ["a stamp is above what it overwrites"] "M10", ["clock", "swarm"],
        "writes are stamped by the wall clock";
    ["the clock's ceiling is on disk"] "M10", ["clock"],
        "after a restart with a clock set back, stamps are given out again";
    ["a write may resolve any number of values"] "S9, 28", ["offline", "swarm"],
        "a write over more than two concurrent values is refused";
    ["each incarnation counts in its own slot"] "S1", ["swarm"],
        "a node counts in the first slot that it finds";
    // The disk.
    ["an answer waits for the disk"] "M3", ["disk", "swarm"],
        "a write is acknowledged when it is given to the disk";
    ["what failed is not applied"] "own", ["disk"],
        "pushes that found no room go into the ring";
    ["an inbox falls back with its disk"] "own", ["disk"],
        "pushes that found no room count as received";
    ["a catch-up that found no room pauses"] "own", [],
        "what the disk had no room for is asked for again and again";
    // Transactions.
    ["a push follows its predecessor", "a push waits for its predecessor"] "M11", ["swarm"],
        "a push is taken before the one that its origin made before it";
    ["causes come before effects", "a push waits for its causes"] "M11, 21", ["swarm"],
        "a push is taken before what it depends on";
    ["a transaction is applied whole"] "own", ["transactions"],
        "only the first write of a transaction is applied";
    ["a group is one commit"] "own", ["disk"],
        "entries are committed before the vector that covers them";
    ["what was shown early is synced"] "own", ["disk"],
        "what others wrote is acknowledged as durable before it is";
    // Two rules that stand behind another one.
    ["a push overwrites only what it depends on", "the first push of a boot depends on all",
     "the ring has a base"] "3, 21", ["swarm"],
        "the first push of a boot overwrites what has not come";
    // Backups.
    ["a restored replica continues no incarnation"] "15", [],
        "a node that was restored writes on under the incarnation that the backup knew as open";
    ["a block vouches for all before it"] "own", [],
        "an altered byte of a backup is restored";
    ["the end of a backup tells what was before it"] "own", [],
        "a backup with a block left out is restored";
    ["a backup has its name once it is whole"] "own", [],
        "a process that is killed leaves half a backup under the name of a whole one";
    ["refusals of long ago do not count"] "own", [],
        "who was refused some catch-ups long ago waits for seconds when a supplier is busy for a moment";
    ["whoever refuses is asked ever later"] "own", [],
        "a supplier whose disk rots is asked three times a second by each peer, for ever";
    ["what nobody has is not lacking"] "own", ["restore"],
        "a node says for ever that it is behind what a peer lost with its folder";
    ["what is overwritten tells nothing of a history"] "own", [],
        "a node that folds takes its own overwritten write for another history, and issues anew what all have";
    ["who is released speaks as a new boot"] "own", ["fence", "clone"],
        "a node that a person has released is taken for a copy again, on what was heard of the other one before";
};

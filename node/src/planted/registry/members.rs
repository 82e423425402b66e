//! Who is who: members and keys, what each issues, joining, primaries, and those that must not write or vouch.

use super::PlantedBug;

pub(super) const PLANTED: &[PlantedBug] = bugs! {
    // Closed incarnations leave the vectors (R5).
    ["an incarnation that ended is closed"] "S20", ["restore"],
        "the next incarnation does not close the one before, nor does anything later: vectors grow with each restart";
    ["one that reappears higher is closed again"] "16", ["restore"],
        "an incarnation that was closed too low is listed for ever";
    ["a final seq never falls"] "16", [],
        "of what two have recorded of one incarnation the later record counts, not the greater";
    ["a closed incarnation is covered only where it is"] "16", [],
        "who has heard that an incarnation is closed says that it holds all of it";
    ["a table that is not known is asked for"] "own", [],
        "a hello that is relative to an unknown table is ignored, and the two never meet";
    ["a table that was told is kept"] "own", [],
        "a link on which one side is slow to hear ends when the other's table changes often";
    ["a stranger's table is not asked for"] "own", [],
        "a restored node takes a member that it does not know yet for a liar";
    ["a removal closes what its subject issued", "an incarnation that ended is closed"] "own", [],
        "vectors list removed members for ever";
    // Members and keys that are revoked.
    ["links of who is removed end"] "own", [],
        "a removed member goes on over the links that it has";
    ["a retired key is refused"] "own", [],
        "whoever has a key that was revoked is taken for its member";
    ["links of a retired key end"] "own", [],
        "whoever has a key that was revoked goes on over the links that it has";
    ["a retired key has said its last"] "own", [],
        "whoever has stolen a key that was retired since names its own as the next one";
    ["a succession is signed"] "own", [],
        "anybody takes the place of a member by saying so";
    ["an old key is valid while it overlaps"] "own", [],
        "an old key is refused where the new one is not known yet";
    ["a key is shown once all members know it"] "own", [],
        "two nodes that changed their keys while they were cut off from each other never meet again";
    ["a hello comes with whose successor its key is"] "own", [],
        "a member that was away while another one changed its key takes it for a stranger";
    ["who may only take gives nothing"] "own", [],
        "a peer that may only take writes here all the same";
    ["the next key is on disk before it is told"] "own", [],
        "a node that is stopped has lost the key that the others expect";
    // Which incarnation a node writes under (R5).
    ["continuity is proven"] "M1, 15", ["restore", "clone"],
        "a store that was put back goes on with the seqs that it had issued before";
    ["a lease holds the highest seqs"] "S2", ["restore"],
        "a lease proves a volume that was rolled back within its boot";
    ["a lease is not of an ended incarnation"] "own", [],
        "a lease written before the store has heard that its incarnation has ended lets the next boot go on";
    ["boots differ in their random part", "equal numbers are no equal history"] "S19", [],
        "a lease proves an image that was opened before under the same number";
    ["an ended incarnation is not continued"] "own", ["restore", "disk"],
        "an incarnation whose end found no room is written on";
    ["a node may not know its own incarnations"] "own", ["restore"],
        "a restored node is not told which incarnations were its own";
    ["a peer that knows more fences"] "15", [],
        "a node goes on writing though a peer holds dots of it that it never issued";
    ["two that are heard are copies"] "15", ["clone"],
        "two live nodes hold one key, and nobody says so";
    ["a restart is no copy"] "S4", ["swarm"],
        "a node that restarts before its old link ends is taken for a copy";
    ["a late hello is no copy"] "S4", ["swarm"],
        "what a dead boot had sent makes the next one a copy";
    ["a fenced node takes no dots"] "own", [],
        "a fenced node records its own name, under dots that a copy may have taken";
    ["a fenced node takes no writes", "a fenced node takes no dots"] "15", ["clone"],
        "a fenced node goes on writing";
    ["a fence outlives its boot"] "15", [],
        "a fenced node that restarts writes again until it meets who knows more";
    ["a fence is noted until it is on disk"] "own", [],
        "a fence that finds the disk full is forgotten with the process";
    ["equal numbers are no equal history"] "15", [],
        "a store that fell back and wrote as much as it had lost is taken for level";
    ["fencing lowers the vector"] "S5", [],
        "what others hold under disputed numbers is rejected as known";
    ["a re-issued write keeps its stamp"] "9", [],
        "a write that is issued anew wins over what users wrote since";
    ["of a slot only the gain is issued again"] "S1", [],
        "what a counter gained is joined with what others hold of its slot, and lost";
    ["only a member's word fences"] "own", [],
        "anybody can stop this node's writes";
    // Seqs.
    ["each namespace counts its seqs"] "S12", ["swarm"],
        "one counter of seqs over all namespaces leaves gaps in each";
    ["seqs have no gaps"] "17", ["swarm"],
        "each boot skips a block of seqs, which peers wait for";
    // Joining and logging.
    ["a covered dot that is absent stays so"] "M7", ["delete-heavy"],
        "a dot that was overwritten is taken again when it comes late";
    ["losers of a race are kept"] "8", ["swarm"],
        "merging drops the value of the lesser stamp";
    ["equal stamps are told apart"] "M4", ["swarm"],
        "of two values with one stamp the first to come stays";
    ["merging has no limit"] "28", ["offline", "swarm"],
        "a value that comes to more than two concurrent ones is refused";
    ["an overwritten dot leaves the log"] "own", ["swarm"],
        "the log goes on naming dots that are no longer live";
    ["a delete stays in the log"] "8", ["delete-heavy"],
        "a delete leaves no trace";
    ["a write overwrites what its node has covered"] "3", ["catch-up"],
        "a write overwrites dots of a catch-up that is still arriving";
    // Primary and backup.
    ["a backup takes no writes"] "own", ["delayed"],
        "each member writes, whoever is the primary";
    ["only an admin promotes"] "own", [],
        "a writer makes itself the primary";
    ["who has seen a promotion comes after it"] "own", [],
        "a promotion at a node whose clock is behind does nothing, and is acknowledged";
    ["what an author has seen comes before its word"] "own", [],
        "an admin whose clock is behind that of who made it one promotes and invites in vain, and is told that it did";
    // Delay.
    ["what is delayed is not shown early"] "catalogue 37", ["delayed"],
        "a delayed replica shows at once what it receives";
    ["a restart shows nothing early"] "catalogue 37", ["delayed"],
        "the delay is measured by the wall clock, from which a restart begins anew";
    ["what came later is not shown"] "own", ["delayed"],
        "a delayed replica that is to show what was before a mistake shows the mistake too";
    ["a record is of what readers see"] "own", ["delayed"],
        "a delayed replica shows the vector of a cut whose rows are still being folded";
    ["a delayed replica takes no writes"] "catalogue 37", ["delayed"],
        "a write at a delayed replica is acknowledged, and not seen there for an hour";
    ["an order about the delay holds at once"] "own", ["delayed"],
        "what was due when a delayed replica was paused is shown after the pause";
    ["a promotion is final"] "own", ["delayed"],
        "a pause that crosses a promotion brings the delay back, without what came between the two";
    ["a delayed replica is waited for"] "catalogue 37", ["delayed"],
        "tombstones are collected that a delayed replica has yet to receive";
    ["a delayed replica is the last source"] "own", [],
        "a node catches up from a delayed replica though others are there";
    // Rehab.
    ["who has not caught up is no source"] "own", [],
        "a restored node serves others before it knows what it lacks";
    ["who catches up has what others had"] "own", [],
        "a restored node calls itself ready at its first link";
    ["who serves again is asked again"] "own", [],
        "a peer that did not serve at first is never asked for its live feed";
    ["who is far behind is not ready"] "own", [],
        "clients are sent to a node that lags by minutes";
    // Concerns and their acks.
    ["who does not count is not counted"] "30, L1", [],
        "a concern counts the acks of delayed replicas, of members in rehab, evicted or fenced";
    ["a delayed replica acks nothing"] "L1", ["sessions"],
        "the ack of a delayed replica counts for a concern";
    ["what is disputed is not acknowledged"] "own", [],
        "another write that has the same dot is taken for the one that a caller waits for";
    ["who is no voter has no vote"] "own", [],
        "a delayed replica that is asked counts itself, and a majority is met by too few";
    ["who is late is looked for at the deadline"] "own", [],
        "who has acknowledged everything is called late, if the deadline has come";
    ["a delayed replica is no voter"] "L1", [],
        "a delayed replica makes majorities larger, and keeps all from ever being there";
    ["who is in rehab acks nothing"] "own", [],
        "the ack of a member that has yet to catch up counts for a concern";
    ["who has told more of itself acks nothing"] "L1", ["sessions"],
        "the ack of a delayed replica counts for a moment after it has become one";
    ["a majority is of all voters"] "30", ["sessions"],
        "a majority counts its writer twice";
    ["first is of those linked"] "30", [],
        "FIRST waits for names that are not linked, and not for those that stand in for them";
    ["too few that are linked are waited for"] "30", [],
        "FIRST is content with fewer members than it names when no more are linked";
    ["what is received is not durable"] "S13", ["sessions"],
        "what a member has received counts as if it were on its disk";
    ["what earlier runs have heard is no ack"] "18", [],
        "acks that were remembered across a restart count";
    ["too few that are linked refuse a write"] "own", [],
        "a write is taken though fewer members are linked than its caller wants";
    ["who is hurried acks at once"] "S14", [],
        "receipts wait for the next ack that comes by itself";
    // Bookmarks.
    ["a reader waits for its bookmark"] "29", ["sessions"],
        "a reader is answered at once, whatever it has seen elsewhere";
    ["a delayed replica answers behind"] "29", ["sessions"],
        "a delayed replica takes what it holds for what it shows";
    ["who has to catch up answers behind"] "29", [],
        "a fresh or restored node answers to a bookmark that leaves out what all members have";
    ["who has yet to catch up proves nothing"] "own", [],
        "a node that fell back and is started again answers readers with less than it had told";
    ["who may have fallen back answers behind"] "29", ["sessions"],
        "a node with an older folder answers to a bookmark that leaves out what it once had";
    ["a bookmark keeps what an evicted member may lack"] "29", ["sessions"],
        "a bookmark leaves out what all but evicted members have";
    ["what a reader waits for is pulled"] "own", [],
        "a reader waits until what it lacks comes by itself";
};

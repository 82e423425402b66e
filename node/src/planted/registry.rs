//! All planted bugs.
//!
//! What the sources name and is not here, since what it is about is not built yet:
//!
//! | source | waits for |
//! |---|---|
//! | findings 7, 10, 11, 12 | logs, documents, bounded counters, sets |
//! | S5 | repair of what the clock has spoilt |
//! | finding 25, S6 | a check of peers' clocks |
//! | finding 27, S8 | roles that change; eviction |
//! | findings 31, 32 | change tokens, budgets for many namespaces |
//!
//! Of finding 17 the dirty mark waits for the level Buffered.

/// A rule, and what happens without it.
#[derive(Debug)]
pub(crate) struct PlantedBug {
    /// The rules taken out: more than one where each of them holds alone. The first one names the bug.
    pub(crate) rules: &'static [&'static str],
    /// What the code does instead.
    pub(crate) bug: &'static str,
    /// Where it comes from: a row of the catalogue of mutations ("M6"), a finding of the red team ("15",
    /// "S4"), or "own".
    pub(crate) source: &'static str,
    /// The profiles of the simulator that should notice, the best one first; none when only a directed test
    /// can: no honest peer makes the rule necessary, or what is lost without it is time only.
    pub(crate) profiles: &'static [&'static str],
}

/// One row for each bug: rules, source, profiles, and what the code does instead.
macro_rules! bugs {
    ($([$($rule:literal),+] $source:literal, [$($profile:literal),*], $bug:literal;)+) => {
        &[$(PlantedBug {
            rules: &[$($rule),+],
            bug: $bug,
            source: $source,
            profiles: &[$($profile),*],
        }),+]
    };
}

/// All planted bugs.
pub(crate) const PLANTED: &[PlantedBug] = bugs! {
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
    // Live feeds.
    ["the first push of a boot depends on all"] "own", ["swarm"],
        "the first push of a boot names no dependencies";
    ["a push names its causes"] "M11, 21", ["swarm", "transactions"],
        "a push names no dependencies at all";
    ["what waits is bounded"] "catalogue 25", ["overload", "swarm"],
        "pushes wait without a bound";
    ["the ring is bounded"] "catalogue 25", ["overload"],
        "the ring keeps all of a minute";
    ["what came by replication is held back"] "S15", ["quiet", "swarm"],
        "every node forwards everything at once";
    ["what is held back is forwarded"] "own", ["quiet"],
        "a relay never forwards; a cut is bridged by digests and catch-up only";
    ["what is acknowledged is not forwarded"] "catalogue 28", ["quiet", "swarm"],
        "what a peer has got from elsewhere is sent to it again";
    ["a feed that was refused is asked for again"] "own", ["quiet", "catch-up"],
        "after a catch-up a peer is not fed by its supplier";
    ["a catch-up raises the ring's base"] "21", ["catch-up", "quiet"],
        "peers are fed from a ring that lacks what a catch-up brought";
    ["a fed peer is told of a cut"] "21", ["catch-up", "quiet"],
        "what a catch-up brought reaches fed peers after a digest only";
    ["a duplicate is credited"] "own", ["swarm"],
        "each push that came before closes the window a little";
    ["a push that is dropped is credited"] "own", ["overload", "swarm"],
        "each push that finds no room to wait closes the window a little";
    ["the ring has a base"] "21", ["catch-up", "quiet"],
        "a feed begins though the ring lacks what a catch-up brought";
    ["a push introduces its incarnations"] "S7, 26", [],
        "a push names incarnations that the peer has not heard of";
    ["acks are prompt"] "S14", ["quiet"],
        "acks travel with digests only, and relays act on old vectors";
    ["progress restarts the clocks"] "S13", [],
        "a peer that lags is sent the same rows by others";
    // Acks.
    ["an ack is true"] "M5", ["disk", "overload"],
        "what is received is acknowledged as durable";
    ["a hello replaces what was acknowledged"] "18", ["restore"],
        "acks of a state that a peer has fallen back from count on";
    ["a hello tells what is durable"] "4", ["disk"],
        "a hello counts what is on its way to the disk";
    ["a digest tells what is applied"] "23", ["disk"],
        "a digest counts what is on its way to the disk";
    ["a digest goes out in time"] "24", ["clone", "quiet"],
        "a node that has nothing to say is not heard";
    // Catch-up.
    ["what stays lacking is pulled"] "24", ["swarm", "disk"],
        "what no feed brings is never asked for";
    ["a batch introduces its incarnations"] "S7, 26", ["restore", "catch-up"],
        "a catch-up names incarnations that the peer has not heard of";
    ["a catch-up is of one snapshot"] "catalogue 22", ["catch-up"],
        "each frame of rows is read from the store as it is by then";
    ["rows that are given up are credited"] "own", ["catch-up", "swarm"],
        "the rows of a catch-up that broke off fill the window for ever";
    ["one supplier at a time"] "24, S18", ["catch-up", "quiet"],
        "a node that returns is sent everything by every peer";
    ["a catch-up before the feed"] "S18", [],
        "a node that returns is fed by every relay what it could pull once";
    ["a request states what is durable", "a batch is complete relative to its base"] "4", ["disk"],
        "a batch above what is durable is committed after a fall-back";
    ["a resumption sends what changed"] "5", ["catch-up"],
        "a catch-up that goes on with a newer snapshot omits what changed behind its cursor";
    ["a resumption starts from the oldest rows"] "5", [],
        "a second resumption omits what changed before the first";
    ["a cut is of one boot", "a cut never falls back"] "S11", [],
        "rows of a supplier that fell back complete those that it sent before";
    ["who is below the floor is not supplied", "a batch meets who is above its floor"] "M7, 13", [],
        "a node that was absent for long catches up, and keeps what was deleted meanwhile";
    ["a batch meets who is above its floor"] "own", [],
        "a fresh node that takes a push while it catches up keeps what was deleted";
    ["a resumption is above the floor"] "S11", [],
        "a catch-up goes on though deletes behind its cursor were collected";
    ["a floor comes with its batch"] "1", [],
        "a node passes on a catch-up without the deletes that its supplier had collected";
    // Tombstones.
    ["a word counts once it is covered"] "M8, 20, S10", [],
        "a delete is forgotten before a member that nobody here has heard of has it";
    ["a word that waits is not replaced"] "20", [],
        "under load nobody's word ever counts, and no delete is forgotten";
    ["who has said nothing has nothing", "words of third parties are relayed"] "M2", ["delete-heavy"],
        "a delete is forgotten though a member that has never spoken may lack it";
    ["the floor rises with what is collected"] "M9, 13", [],
        "who was evicted is caught up without the deletes that were forgotten";
    ["an absent member is evicted"] "own", ["delete-heavy"],
        "a member that is gone for ever holds all deletes back";
    ["only time in which it listened counts"] "27", [],
        "a node that has slept for a week takes all others for gone";
    ["counters that were reset are compacted"] "R13", ["delete-heavy"],
        "each slot of a counter stays for ever, though the counter was reset";
    ["what is compacted takes dots"] "8", ["delete-heavy"],
        "what is compacted vanishes at one node, and nobody is told";
    ["compaction waits until it covers what members have"] "S10", [],
        "a reset is forgotten before what was counted beside it has come, and all comes back";
    ["compaction waits for who was evicted"] "12", [],
        "a member that was evicted returns with a count, and all that was reset comes back";
    ["one member compacts"] "R13", [],
        "all members delete the same slots at once";
    ["words of third parties are relayed"] "18", ["mesh"],
        "in a chain no delete is ever forgotten, and members that live count as gone";
    ["who is linked with a member is not told of it"] "S14", [],
        "each node tells each other one what all have, on all links";
    ["a relayed word has the age that is told"] "18", [],
        "a member that is gone is taken to live as long as others tell of it";
    ["the youngest boot holds"] "S19", [],
        "what a boot said that has fallen back since counts on at third parties";
    ["a relayed word counts once it is covered"] "S10", [],
        "a delete is forgotten on the word of a third party that knows of members whom this node does not know";
    ["a relayed word is a sign of life"] "27", [],
        "a member that lives is evicted by all that are not linked with it";
    ["a fold ends before a collection"] "7.3", [],
        "tombstones that a fold brings after a collection are never collected";
    ["what the dead hold back is bounded"] "own", [],
        "a dead member fills the others' disks with deletes";
    ["what lingers is bounded"] "own", [],
        "where much is deleted, the disk grows with its pace, for readers who may come back";
    ["rows are joined under the vector before the flip"] "6", ["catch-up"],
        "staged rows are folded under a vector that covers them, and so rejected";
    ["a cut is seen whole"] "6, 7.3", ["catch-up"],
        "readers see of a cut that is visible what is folded by then";
    ["a write folds its path first"] "6", ["catch-up"],
        "what is written at a path is undone when the path is folded";
    ["a cut waits for the fold before it"] "6", ["catch-up"],
        "rows of a cut that is arriving mingle with those of one that is visible";
    ["what is supplied is folded"] "6, S16", ["catch-up"],
        "a node that folds supplies what its tables hold alone";
    ["a fold goes on"] "6", ["catch-up"],
        "what is visible is never folded";
    ["a fold is sliced"] "S17", [],
        "one commit folds all that a catch-up has brought";
    ["a drop is sliced"] "S17", [],
        "one commit drops all that is left of a catch-up";
    ["a batch waits until what is hidden is gone"] "own", [],
        "a batch makes visible what was left of a catch-up that was given up";
    ["a catch-up outlasts the fold before it"] "S16", [],
        "a catch-up that waits for a fold is given up for want of progress";
    ["a snapshot is given back in time"] "5", [],
        "a slow catch-up keeps the supplier's store from using its space again";
    ["a direct cut meets an empty state"] "own", [],
        "rows go straight to tables that are not empty";
    ["a continuation needs its beginning"] "own", [],
        "rows continue a cut that was given up";
    ["a flip names its cut"] "own", [],
        "a flip whose last rows were refused makes visible whatever cut is here";
    ["nothing stays of a cut that is given up"] "own", ["catch-up"],
        "rows of a cut that was given up are taken for the next one's";
    ["a partial cut covers nothing"] "M6", ["catch-up"],
        "the vector moves before all rows of a catch-up are here";
    ["a row sent again holds all its deletes"] "5", ["catch-up"],
        "a row that is sent again after a resumption omits the deletes that it replaces";
    ["hidden dots are not supplied"] "6, S16", ["catch-up"],
        "a batch shows dots of a catch-up that its supplier is still receiving";
    ["a batch carries the deletes"] "1", ["delete-heavy"],
        "a batch carries live dots only";
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
    // Transactions.
    ["a push follows its predecessor", "a push waits for its predecessor"] "M11", ["swarm"],
        "a push is taken before the one that its origin made before it";
    ["causes come before effects", "a push waits for its causes"] "M11, 21", ["swarm"],
        "a push is taken before what it depends on";
    ["a transaction is applied whole"] "own", ["transactions"],
        "only the first write of a transaction is applied";
    ["a group is one commit"] "own", ["disk"],
        "entries are committed before the vector that covers them";
    // Sessions.
    ["members are read again"] "own", ["swarm"],
        "who joins is not known before the next boot";
    ["the greater key lets the other dial"] "own", [],
        "both ends of a link dial at once";
    ["a short outage is redialled soon"] "own", [],
        "whom an outage kept away is dialled seconds after its end";
    ["dials of many absent members are few"] "own", [],
        "a node that is cut off from a large group sends a flood of dials";
    ["who comes back is not alone"] "own", [],
        "after an outage each peer waits for its own next dial";
    ["only the end of an outage hurries dials"] "own", [],
        "each link that breaks for a moment has all absent members dialled";
    ["both ends keep the same link"] "catalogue 27", [],
        "of two links each end keeps the one that it dialled";
    ["two nodes are linked once"] "catalogue 27", ["swarm"],
        "of two links both stay";
    ["a later boot ends the older's links"] "own", [],
        "a node that restarts waits until the link to its dead process times out";
    ["an open link ends the back-off"] "catalogue 26", ["quiet", "swarm"],
        "a link that was hard to open takes as long the next time";
    ["a brief link goes on with the back-off"] "catalogue 26", ["mesh"],
        "who wants no link is dialled ten times a second";
    ["a link is open once hello is said"] "own", ["swarm"],
        "what ends with an older link turns to a new one before its hello";
    ["an invite is redeemed once"] "27", ["guests"],
        "two nodes join with one invite";
    ["an invite is used before its role is granted"] "own", [],
        "a disk that is full for a moment forgets that an invite was used";
    ["an invite expires"] "own", ["guests"],
        "a node joins with an invite of long ago";
    ["a node with data enters no other domain"] "own", [],
        "a join leaves the data of before without its domain";
    ["who has company enters no other domain"] "own", [],
        "a join leaves the other members of a domain without their admin";
    ["who was not approved is no member"] "own", ["guests"],
        "a node joins that an admin has yet to approve";
    ["few wait for approval at once"] "own", [],
        "whoever has an invite for many fills the inviter's list, and its disk";
    ["a domain has so many members at most"] "own", [],
        "a domain outgrows what its nodes can tell of each other";
    ["few strangers are at the door"] "own", [],
        "whoever has no invite makes a node hold a frame for each of its links";
    ["a revoked invite lets nobody in"] "own", ["guests"],
        "a node joins with an invite that was revoked";
    ["a removed member needs a new invite"] "own", [],
        "a removed member is back at once, by the invite that it had joined with";
    // The tree: who sends what to whom.
    ["what is late is grafted"] "22", ["mesh"],
        "what a source does not bring waits for the slow pull";
    ["a second source is pruned"] "22", ["mesh"],
        "two sources send all that an origin writes";
    ["who sends twice is pruned"] "22", [],
        "a peer that sends what is here already goes on sending";
    ["whom this node pruned is not adopted"] "22", [],
        "two grafts that cross two prunes leave a node with no source";
    ["sources are per connection"] "22", [],
        "a source outlives its link, and is waited for";
    ["who is fed is no source"] "22", [],
        "two nodes wait for each other";
    ["who misses a deadline is suspect"] "23c", [],
        "each origin waits out its own deadline when one link fails";
    ["suspicion ends with the next frame"] "23c", [],
        "a source that was late once is awaited no more";
    ["a push announces what it depends on"] "23a", [],
        "a transaction waits for a cause that nobody asks for";
    ["a pruned origin goes on announcing"] "23d", [],
        "in a full mesh a node learns late that its source has failed";
    ["only what is applied is announced"] "23e, S16", ["mesh"],
        "a node announces what it cannot serve";
    ["progress restarts a deadline"] "S13", [],
        "a feed that lags is grafted around again and again";
    ["what comes beyond a gap is no progress"] "own", [],
        "a gap before what comes all the time is closed by the slow pull only";
    ["who overslept looks again first"] "S13", [],
        "a node that was kept from running asks for what waits to be read";
    ["who is ahead becomes the source"] "own", [],
        "updates go on taking the slower way";
    ["a burst is one sample"] "own", [],
        "busy nodes change their sources all the time, and get twice what crosses each change";
    ["a cheaper way that is no slower is taken"] "own", [],
        "updates cross the ocean once for each node beyond it";
    ["a source that was only late is given more time"] "own", [],
        "whatever stalls now and then is sent twice each time";
    ["a source that stalls now and then is awaited"] "own", [],
        "each stall of a link that keeps order has all behind it sent twice";
    ["what was late once is forgotten in time"] "own", [],
        "after one stall each failure is noticed a quarter of a second later, for ever";
    ["whoever is behind once begins again"] "own", [],
        "three stalls of a link, however far apart, change the sources of all that comes over it";
    ["a stall counts once"] "own", [],
        "each stall of a link changes the sources of all that came over it";
    ["a graft beyond the ring is answered"] "21", ["mesh"],
        "a graft for what is no longer at hand is taken, and brings a part";
    ["some links are picked by lot"] "own", [],
        "parts of a mesh that are near to themselves hear nothing of each other";
    ["who is out of reach is tried"] "own", [],
        "two parts of a large mesh never look for each other again";
    ["who asks to be told is told of all"] "own", [],
        "a node that picks a new link hears over it of what is written from then on only";
    ["a new ripple looks at all again"] "own", [],
        "what a relay has not announced is never passed on when it ceases to announce";
    ["a static node refuses whom it does not name"] "own", [],
        "a node whose links are all named is linked with whoever dials it";
    ["an ack's names are numbered at once"] "own", [],
        "the second half of an ack takes back the numbers that its first half has used";
    ["numbers are given in turn"] "own", [],
        "a peer's numbers stand for other incarnations than it means";
    ["a one-way link carries nothing back"] "own", [],
        "what is only to be read is written to";
    ["what was told must add up"] "own", [],
        "two nodes go on with different views of what one of them has";
    // Peers that lie.
    ["a push overwrites only what it depends on"] "3", [],
        "a push removes dots that its receiver has yet to take";
    ["nobody else writes in this node's name"] "own", [],
        "a member makes up a write of this node's";
    ["a comparison is asked for behind hello"] "own", [],
        "whoever accepts a link and wants a refresh asks for it before its hello has arrived, and is hung up on";
    ["what was said before a release does not fence"] "own", [],
        "a node that is being released is fenced again by what was said of the copy that was stopped";
    ["a resumption that is refused begins anew"] "own", [],
        "a node that is level takes the base of an old cut for its own state, and asks for nothing more";
    ["what came beside what only this side has is compared too"] "14", [],
        "of two values at a path one is unsynced, and the other comes back that its supplier has seen go";
    ["who was introduced is remembered"] "own", [],
        "nobody can say any more whose the first writes of a lost member are, and no third node takes them";
    ["the first introduction counts"] "own", [],
        "a member gives another one's incarnation to a third";
    ["a floor is covered"] "own", [],
        "a peer that says it has collected everything makes this node refuse all others";
    ["a survey is passed on once"] "own", [],
        "a survey goes round in the mesh for ever";
    ["surveys are few"] "own", [],
        "a peer that asks without end fills this node's memory, and has the whole mesh answer";
    ["reports are of members"] "own", [],
        "a peer makes up reports of nodes that there are not, without end";
    ["a node reports once"] "own", [],
        "a peer repeats a report without end, and each node on the way repeats it too";
    ["reports do not pile up"] "own", [],
        "reports for a peer that reads nothing fill this node's memory";
    ["counters by origin are few"] "own", [],
        "a peer that pushes in ever other names fills this node's memory with counters";
    ["a stranger's hello is one frame"] "own", [],
        "a stranger has a message of 65 MiB put together";
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
    // Comparing and refreshing.
    ["who was not absent stays ready"] "own", [],
        "a node that refreshes one that was absent counts as absent itself, and is not ready";
    ["a refresh goes both ways"] "own", [],
        "a node that was restored is refreshed, and nobody asks for its own half";
    ["both sides learn what differs"] "9", [],
        "one side keeps to itself which of its peer's entries it has not";
    ["who cannot be told what changed is refreshed"] "13", [],
        "two halves below each other's floors stay apart for ever";
    ["what a supplier does not send it does not have"] "13", [],
        "a value whose tombstone was collected stays at the node that was absent";
    ["what came since the comparison is compared too"] "14", [],
        "a deleted value that a third node brings during a refresh stays for ever";
    ["what is staged is not sent again"] "own", [],
        "a refresh that breaks off sends all that it had sent again";
    ["what is staged and differs is dropped"] "S11, 14", [],
        "a refresh that broke off brings back what its supplier has forgotten since";
    ["who has seen what is staged goes on with it"] "S11", [],
        "a refresh is resumed at a supplier that fell back, and claims what it has not";
    ["a refresh takes over what it compared"] "own", [],
        "a row that came late to a refresh that broke off stays in the next one, unlooked at";
    ["who has come further asks again"] "own", [],
        "a node that was below a peer's floor, and is above it by now, takes nothing from that peer while they are linked";
    ["a side speaks in its turn"] "own", [],
        "a comparison of much that differs is cut off as one out of turn, again and again";
    ["a refresh may wait for the operator"] "own", [],
        "a node that is told to wait for its operator refreshes by itself";
    ["a refresh that was put off is come back to"] "own", [],
        "a refresh that a peer had no time for is not asked for again before something else happens";
    // Verify and scrub.
    ["the log tells what an entry has lost"] "own", [],
        "an entry that has vanished is not missed";
    ["what differs is looked at again"] "19", [],
        "a value that a sick peer is about to get back is issued again";
    ["what is on its way explains a difference"] "19", [],
        "verify under load finds faults where there are none";
    ["a damaged side does not tell all"] "own", [],
        "what a damaged node has yet to mend is taken for a fault of it";
    ["what is lost keeps its place"] "20", [],
        "what only a damaged node holds is dropped with the damage";
    ["what is lost is not absent"] "20", ["disk"],
        "a write beside damage is acknowledged without what it overwrites";
    ["a damaged catch-up starts anew"] "20", [],
        "a damaged row of a catch-up makes its flip fail for ever";
    ["only what the log has is put back"] "own", [],
        "a copy that was on its way brings back what was overwritten meanwhile";
    ["a lost tombstone raises the floor"] "own", [],
        "a node whose log has lost a tombstone brings others level without it";
    ["who may ask no more is not waited for"] "own", [],
        "a peer that wants nothing of a verification holds a snapshot, and all tombstones, for a minute each time";
    ["who has fallen back vouches for nobody"] "own", [],
        "of two nodes that came back from old images each takes the other for proof that it has caught up";
    ["a plan waits until its peer has time"] "own", [],
        "who asks what a refresh would do, of a peer that verifies itself just then, is told that it refuses";
    ["verifications come one after the other"] "own", [],
        "a node that verifies itself with many peers holds as many snapshots, and its file grows by all that is written meanwhile";
    ["who has read much rests"] "own", [],
        "a node with more than it can read in a period reads without pause";
    ["what is told is bounded"] "own", [],
        "a peer that is verified with fills the memory";
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sim::Profile;
    use crate::sources::sources_except;

    #[test]
    fn every_rule_has_a_line_and_a_row() {
        let sources = sources_except(&["planted/registry.rs"]);
        let calls = sources.iter().flat_map(|source| source.split("planted!(").skip(1));
        let names = calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split_once('"'));
        let asked: BTreeSet<&str> = names.map(|(name, _)| name).collect();
        let listed = PLANTED.iter().flat_map(|bug| bug.rules).copied().collect();
        assert_eq!(asked.difference(&listed).next(), None, "a rule without a row");
        assert_eq!(listed.difference(&asked).next(), None, "a row without a rule");
    }

    /// What the simulator is not asked to find a directed test or the model does.
    #[test]
    fn what_no_profile_finds_a_test_takes_out() {
        let sources = sources_except(&["planted/registry.rs"]).concat();
        let is_named = |rule: &str| {
            let (name, line) = (format!("\"{rule}\""), format!("planted!(\"{rule}\""));
            sources.matches(&name).count() > sources.matches(&line).count()
        };
        for PlantedBug { rules, profiles, .. } in PLANTED {
            let is_taken_out = rules.iter().all(|rule| is_named(rule));
            assert!(!profiles.is_empty() || is_taken_out, "nothing takes out {rules:?}");
        }
    }

    #[test]
    fn rows_name_bugs_and_profiles_that_there_are() {
        let rules: BTreeSet<_> = PLANTED.iter().map(|bug| bug.rules).collect();
        assert_eq!(rules.len(), PLANTED.len(), "two rows for one bug");
        for PlantedBug { rules, bug, source, profiles } in PLANTED {
            assert!(!bug.is_empty() && !source.is_empty(), "{rules:?}");
            for profile in *profiles {
                assert!(profile.parse::<Profile>().is_ok(), "{rules:?}: {profile}");
            }
        }
    }
}

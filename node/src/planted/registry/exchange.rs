//! What nodes tell each other: feeds, acks, catch-ups, tombstones, sessions, trees, comparisons.

use super::PlantedBug;

pub(super) const PLANTED: &[PlantedBug] = bugs! {
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
    // Sessions.
    ["members are read again"] "own", ["swarm"],
        "who joins is not known before the next boot";
    ["what goes without a dot is noticed"] "own", [],
        "a record that a comparison took away stays in force until the next boot";
    ["damage keeps no change of members back"] "own", [],
        "a node that has lost a record hears of no other one until the next boot";
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
    ["who has told all asks nothing more"] "own", [],
        "a verification under load keeps its snapshot for seconds after it has ended, and the file grows";
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

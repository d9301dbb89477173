//! What there is to be held: the invariants of a user's ledger, and what may fail where.

/// What one machine can show of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// All of it.
    Here,
    /// Not by itself, for this reason. A test may still hold a part.
    Elsewhere(&'static str),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    kind: char,
    number: u8,
    /// A few words for a person.
    pub(crate) words: &'static str,
    /// What this machine can show.
    pub(crate) place: Where,
}

impl Row {
    /// `I3`, `F12`.
    pub(crate) fn id(&self) -> String {
        format!("{}{}", self.kind, self.number)
    }
}

const fn invariant(number: u8, words: &'static str) -> Row {
    Row { kind: 'I', number, words, place: Where::Here }
}

const fn fault(number: u8, words: &'static str) -> Row {
    Row { kind: 'F', number, words, place: Where::Here }
}

const fn elsewhere(number: u8, words: &'static str, why: &'static str) -> Row {
    Row { kind: 'F', number, words, place: Where::Elsewhere(why) }
}

/// Rows whose test is not written yet, and what it will be.
pub(crate) const AWAITED: &[(&str, &str)] = &[];

/// What holds in every version that was ever committed, and what is promised to callers.
pub(crate) const INVARIANTS: &[Row] = &[
    invariant(1, "used and trashed bytes are the sums of their rows"),
    invariant(2, "reserved bytes are the sum of the pending rows"),
    invariant(3, "used and reserved stay within the quota in every version that adds a pending row"),
    invariant(4, "the count of files is that of the rows, and bounded"),
    invariant(5, "the version counts transitions, each with its entry; what guards writes never expires"),
    invariant(6, "a status moves only along its machine, every edge but trash and restore once a file"),
    invariant(7, "an acknowledged presign has a durable row from before its signature"),
    invariant(8, "bytes of every URL that may still be used are counted"),
    invariant(9, "a repeat with the same key and body is the same file; another body is refused"),
    invariant(
        10,
        "deleted for good never comes back; trash is counted, not handed out, and restorable until its time is over",
    ),
    invariant(11, "downloads only of processed files, only for those who may, for 300 s at most"),
    invariant(12, "no URL while the ledger cannot answer"),
    invariant(13, "a refusal for quota rests on an account confirmed within the last second"),
    invariant(14, "processed means the object is there, with that size"),
    invariant(15, "an object is removed only after its row can never be processed again"),
    invariant(16, "a key is used once, and takes one object"),
    invariant(17, "at rest the keys in the bucket are the processed and trashed rows"),
    invariant(18, "an uploaded object is settled, or removed with a reason, in bounded time"),
    invariant(19, "a notification is deleted only after the log has every record of it"),
    invariant(20, "an arrival is acknowledged only after its transition is durable or proven needless"),
    invariant(21, "every entry becomes an event, in order, and nothing stays unpublished"),
    invariant(22, "any message, any number of times, in any order: the same ledger"),
    invariant(23, "a write that acts on an old version never applies"),
    invariant(24, "memory is dropped after a conflict, an unknown outcome, a panic; never repaired"),
    invariant(25, "everything is bounded"),
    invariant(26, "a stop loses nothing that was acknowledged, and ends in time"),
    invariant(27, "nothing tells a user about another's files"),
    invariant(28, "a user's entries have no gap, and replay to the totals they carry"),
];

/// Where what may fail.
pub(crate) const FAULTS: &[Row] = &[
    fault(1, "presign: a crash before the write is sent"),
    fault(2, "presign: a write that lands long after its node died"),
    fault(3, "presign: applied, and the answer lost"),
    fault(4, "presign: a crash after the commit, before the answer"),
    fault(5, "presign: two nodes serve one user at once"),
    fault(6, "presign: memory says full, and is old"),
    fault(7, "client: never uploads"),
    fault(8, "client: uploads another size, type or hash"),
    fault(9, "client: uploads twice"),
    fault(10, "client: starts in time and ends late"),
    fault(11, "client: replays the URL after a delete"),
    fault(12, "bucket: the event is lost"),
    fault(13, "bucket: events twice, or in the wrong order"),
    fault(14, "bucket: the event is minutes late"),
    fault(15, "bucket: HEAD slow, failing, throttled"),
    fault(16, "bucket: a removal fails"),
    fault(17, "bucket: our clock and its are far apart"),
    fault(18, "queue: a crash after receive, before the log has it"),
    fault(19, "queue: a crash after the log has it, before the delete"),
    fault(20, "queue: a batch delete fails in part"),
    fault(21, "queue: visibility runs out while the log is slow"),
    fault(22, "queue: poison, test event, foreign bucket, bad key"),
    fault(23, "queue: so many in flight that it falls silent"),
    fault(24, "bridge: no acknowledgement, and stored all the same"),
    fault(25, "log: full"),
    fault(26, "log: its process killed"),
    fault(27, "log: acknowledged records lost (power, split brain, truncation)"),
    fault(28, "log: a consumer stalls in silence"),
    fault(29, "log: a slow consumer, messages dropped"),
    fault(30, "feed: a crash before the write, after it, or the acknowledgement lost"),
    fault(31, "feed: work longer than its ack wait; a second node gets it too"),
    fault(32, "feed: the handler panics"),
    fault(33, "ledger: a write times out, a connection breaks"),
    fault(34, "ledger: unavailable, and committed all the same"),
    fault(35, "ledger: no quorum"),
    fault(36, "ledger: overloaded"),
    elsewhere(37, "ledger: its disk is full", "needs a disk of its own to fill; to us it is F35"),
    elsewhere(
        38,
        "ledger: its nodes disagree about the time",
        "the nodes of one machine share its clock; we send no timestamps of our own (`src/adapters/scylla/session.rs`)",
    ),
    elsewhere(
        39,
        "ledger: replicas move, the topology changes",
        "needs machines to add and remove under load; to us it is F33 and F34",
    ),
    elsewhere(
        40,
        "ledger: restored from an old backup",
        "only the switch that keeps sweeps away is built and held: nothing rebuilds lost rows from the objects' metadata, or lets \
         versions go on behind those that were told; `docs/runbooks.md` says what an operator does",
    ),
    fault(41, "owner: frozen for longer than anybody waits"),
    fault(42, "owner: another takes over while a write is under way"),
    fault(43, "owner: nobody knows who owns, two act for a while"),
    fault(44, "owner: comes back at once, its old write still in the network"),
    elsewhere(
        45,
        "owner: the wall clock jumps",
        "no lease is built: nothing decides by the clock who may write. Deadlines of files are F7, F10 and F14",
    ),
    fault(46, "owner: all nodes start again"),
    fault(47, "events: a crash after the commit, before the publish"),
    fault(48, "http: the client hangs up during a presign"),
    fault(49, "http: overload"),
    fault(50, "http: slow heads, huge headers, bodies without end"),
    fault(51, "http: a stop"),
    fault(52, "node: out of memory or descriptors"),
];

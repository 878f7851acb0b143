------------------------------- MODULE ownership -------------------------------
(* Which node may answer for a shard, while nodes die, stall and are cut off from the database.

   A shard belongs to a writer, and each node has one writer (storage/postgres/writer.h). The node commits by
   statements that change its writer's row; it answers reads from memory while its lease holds. When its row has not
   changed for a whole lease, another node takes over: it raises the epoch of the row, and then moves the shards. A
   node that lives gives a shard away itself. The model says that all of this together loses nothing, does nothing
   twice and tells nobody anything old; and each constant Broken but "nothing" takes one rule away, after which TLC must
   find how it goes wrong (run.py).

   Modelled:
     - The database: rows of hf_writer and hf_shard, and for each shard its data, which is the sequence of the writes
       that made it. A statement is one atomic step.
     - A statement on its way: sent, carried out, answered. The connection may be lost before and after it is carried
       out, or be given up at the deadline of a commit, which is the same. What the server has received it may carry out
       at any later time, or never (the set `late`).
     - Clocks: all run equally fast, and none is set by another. Age is counted in ticks: since a write was sent, and
       since the row of a writer was first seen as it is. What has reached the lease counts no further.
     - Nodes die at any step, and start again as another process. A node that stalls takes no step while others do, and
       a cut is a time in which none of its statements gets anywhere: no step is ever forced, so neither needs a state.

   Left out, with the reason:
     - Looking at rows, and beat: a row counts as seen by all nodes as soon as it has changed, which is the earliest
       moment that a watcher can count from. That it has not changed since is a step of the model; the statements know
       it by comparing epoch, batch and beat with what was seen.
     - Nodes without shards: they do not beat, their lease counts as over and their rows as silent. One that gets a
       shard has to beat or to commit before it answers.
     - A heartbeat takes no time. One that is on its way longer leaves less of the lease.
     - Taking over, moving and loading a shard are a step of the database each, with no statement on its way. They
       compare what they rely on, so a late one does what it would do in time, or nothing. When its answer is lost, what
       follows is what follows when the node dies after the step, or repeats it.
     - hf_shard.epoch: no rule here needs it. It orders the maps of nodes that forward calls.
     - The log and its fold (hf_log), forwarding, several writers of a node, a database that loses commits (DATA_LOSS).
     - Replies that wait for a commit. An answer of the model is one that waits for none.
     - Clocks that run unequally: who takes over has to wait a little longer than the lease of the owner. *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
  Node, Shard,
  Lease,        \* in ticks
  WritesMax,    \* writes of clients, in all
  GivesMax,     \* shards that are given away by a live node, in all
  FaultsMax,    \* connections that are lost, late writes of Resolve, and nodes that die, in all
  TakeOversMax, \* epochs that are raised by another node, in all
  RestartsMax,  \* of each node
  Broken        \* the rule that is taken away, or "nothing"

VARIABLES
  \* The database.
  writer,   \* hf_writer, one row a node: epoch, batch, owner (the number of a process; 0: nobody)
  shard,    \* hf_shard: the node whose writer has the shard
  data,     \* hf_entry: the writes of a shard, in their order
  late,     \* statements of connections that are lost, which may still be carried out
  silent,   \* ticks since the row of a writer has changed: what a node knows that has watched it since then
  \* The nodes.
  node,
  \* What clients were told of their writes: those that are acknowledged, and those that "have not happened".
  acknowledged, refused,
  \* How much has happened of what is bounded.
  spent

vars == <<writer, shard, data, late, silent, node, acknowledged, refused, spent>>
tables == <<writer, shard, data>>
database == <<writer, shard, data, late, silent>>
clients == <<acknowledged, refused>>

Symmetry == Permutations(Node) \cup Permutations(Shard)

-------------------------------------------------------------------------------
(* A node:
     process    its number, which rises when it starts again
     up         it runs
     epoch, batch   of its row, as it knows them
     owns       the shards that it runs
     cache      what it knows of their data: all acknowledged writes
     statement  what it has sent on the connection of its writer and does not know the end of: none or one
     lease      ticks since it sent the last write to its row that was acknowledged
     raised     writers whose epoch it has raised: remembered only by variants that rely on it *)

Range(sequence) == {sequence[i] : i \in DOMAIN sequence}
Last(sequence) == sequence[Len(sequence)]
IsPrefix(short, long) == Len(short) <= Len(long) /\ SubSeq(long, 1, Len(short)) = short
Min(a, b) == IF a < b THEN a ELSE b

\* The lease of a node that has none without shards.
LeaseOf(n, age) == IF node[n].owns = {} THEN Lease ELSE age

Changed(w) == silent' = [silent EXCEPT ![w] = 0]

Spend(what) == spent' = [spent EXCEPT ![what] = @ + 1]

Init ==
  /\ writer = [n \in Node |-> [epoch |-> 1, batch |-> 0, owner |-> 1]]
  /\ shard \in [Shard -> Node]
  /\ data = [s \in Shard |-> <<>>]
  /\ late = {}
  /\ silent = [n \in Node |-> IF \E s \in Shard : shard[s] = n THEN 0 ELSE Lease]
  /\ node = [n \in Node |-> [process |-> 1, up |-> TRUE, epoch |-> 1, batch |-> 0,
                             owns |-> {s \in Shard : shard[s] = n}, cache |-> [s \in Shard |-> <<>>],
                             statement |-> {}, lease |-> silent[n], raised |-> {}]]
  /\ acknowledged = {} /\ refused = {}
  /\ spent = [writes |-> 0, gives |-> 0, faults |-> 0, takeovers |-> 0]

Tick ==
  /\ node' = [n \in Node |->
       [node[n] EXCEPT !.lease = Min(@ + 1, Lease),
                       !.statement = {[x EXCEPT !.age = Min(@ + 1, Lease)] : x \in @}]]
  /\ silent' = [n \in Node |-> Min(silent[n] + 1, Lease)]
  /\ UNCHANGED <<tables, late, clients, spent>>

-------------------------------------------------------------------------------
(* Commits. A statement knows what the fence compares and what it does. Giving a shard away is a batch as any other. *)

Statement(n, kind, s, write, to) ==
  [by |-> n, process |-> node[n].process, epoch |-> node[n].epoch, batch |-> node[n].batch + 1, kind |-> kind,
   shard |-> s, write |-> write, before |-> node[n].cache[s], to |-> to, phase |-> "sent", age |-> 0]

Write(n, s) ==
  /\ node[n].up /\ s \in node[n].owns /\ node[n].statement = {}
  /\ spent.writes < WritesMax
  /\ LET write == [by |-> n, process |-> node[n].process, number |-> spent.writes + 1]
     IN node' = [node EXCEPT ![n].statement = {Statement(n, "commit", s, <<write>>, n)}]
  /\ Spend("writes")
  /\ UNCHANGED <<database, clients>>

\* From here on the node answers no more for the shard.
Give(n, s, to) ==
  /\ node[n].up /\ s \in node[n].owns /\ node[n].statement = {} /\ to # n
  /\ spent.gives < GivesMax
  /\ node' = [node EXCEPT ![n].statement = {Statement(n, "give", s, <<>>, to)},
                          ![n].owns = @ \ {s}, ![n].cache[s] = <<>>]
  /\ Spend("gives")
  /\ UNCHANGED <<database, clients>>

\* Broken: on another connection, while the last commit is on its way.
GiveTooEarly(n, s, to) ==
  /\ Broken = "give_before_commit"
  /\ node[n].up /\ s \in node[n].owns /\ to # n
  /\ \E x \in node[n].statement : x.kind = "commit" /\ x.shard = s /\ x.phase = "sent"
  /\ spent.gives < GivesMax
  /\ shard' = [shard EXCEPT ![s] = to]
  /\ node' = [node EXCEPT ![n].owns = @ \ {s}, ![n].cache[s] = <<>>]
  /\ Spend("gives")
  /\ UNCHANGED <<writer, data, late, silent, clients>>

Fence(x) ==
  LET row == writer[x.by] IN
  CASE Broken = "commit_unfenced" /\ x.kind = "commit" -> TRUE
    [] Broken = "give_unfenced" /\ x.kind = "give" -> shard[x.shard] = x.by
    [] OTHER -> row.owner = x.process /\ row.epoch = x.epoch /\ row.batch = x.batch - 1

\* What a statement does that the fence lets through.
Effect(x) ==
  /\ writer' = [writer EXCEPT ![x.by].batch = x.batch]
  /\ IF x.kind = "commit"
     THEN data' = [data EXCEPT ![x.shard] = x.before \o x.write] /\ UNCHANGED shard
     ELSE shard' = [shard EXCEPT ![x.shard] = x.to] /\ UNCHANGED data

CarryOut(n) ==
  \E x \in node[n].statement :
    /\ x.phase = "sent"
    /\ LET end(phase) == [node EXCEPT ![n].statement = {[x EXCEPT !.phase = phase]}] IN
       IF Fence(x) THEN Effect(x) /\ Changed(n) /\ node' = end("done")
       ELSE node' = end("fenced") /\ UNCHANGED <<tables, silent>>
    /\ UNCHANGED <<late, clients, spent>>

CarryOutLate ==
  \E x \in late :
    /\ late' = late \ {x}
    /\ Fence(x)
    /\ Effect(x)
    /\ Changed(x.by)
    /\ UNCHANGED <<node, clients, spent>>

\* The node n after batch x, which has happened.
Committed(n, x) ==
  [node[n] EXCEPT !.statement = {}, !.batch = x.batch,
                  !.cache[x.shard] = IF x.kind = "commit" THEN x.before \o x.write ELSE @]

Answered(n) ==
  \E x \in node[n].statement :
    /\ node[n].up /\ x.phase = "done"
    /\ node' = [node EXCEPT ![n] = [Committed(n, x) EXCEPT
         !.lease = LeaseOf(n, IF Broken = "lease_from_answer" THEN 0 ELSE Min(@, x.age))]]
    /\ acknowledged' = acknowledged \cup Range(x.write)
    /\ UNCHANGED <<database, refused, spent>>

\* The connection is lost, or the deadline has passed.
Lose(n) ==
  /\ node[n].up /\ spent.faults < FaultsMax /\ Spend("faults")
  /\ \E x \in node[n].statement :
       /\ x.phase \in {"sent", "done"}
       /\ late' = IF x.phase = "sent" THEN late \cup {[x EXCEPT !.age = 0]} ELSE late
       /\ IF Broken = "cancelled_is_undone"
          THEN /\ node' = [node EXCEPT ![n].statement = {}]
               /\ refused' = refused \cup Range(x.write)
          ELSE /\ node' = [node EXCEPT ![n].statement = {[x EXCEPT !.phase = "unknown", !.age = 0]}]
               /\ UNCHANGED refused
  /\ UNCHANGED <<tables, silent, acknowledged>>

Stopped(n) == [node[n] EXCEPT !.up = FALSE, !.epoch = 0, !.batch = 0, !.owns = {}, !.cache = [s \in Shard |-> <<>>],
                              !.statement = {}, !.lease = Lease, !.raised = {}]

(* Finds out what has become of a batch whose answer was lost, or which the fence has refused: by a write, which raises
   the epoch, so that a late statement will never happen. The owner of the row is compared, not its epoch, since an
   earlier such write may have happened without an answer. *)
Resolve(n) ==
  \E x \in node[n].statement :
    LET row == writer[n]
        mine == row.owner = node[n].process
        raised == IF row.epoch > node[n].epoch THEN row.epoch + 1 ELSE node[n].epoch + 1
        happened(seen) == IF Broken = "give_unfenced" /\ x.kind = "give" THEN shard[x.shard] = x.to
                          ELSE seen = x.batch
        end(seen, lease) ==
          IF happened(seen)
          THEN /\ node' = [node EXCEPT ![n] = [Committed(n, x) EXCEPT !.epoch = writer'[n].epoch, !.lease = lease]]
               /\ acknowledged' = acknowledged \cup Range(x.write) /\ UNCHANGED refused
          ELSE /\ node' = [node EXCEPT ![n].statement = {}, ![n].epoch = writer'[n].epoch, ![n].lease = lease]
               /\ refused' = refused \cup Range(x.write) /\ UNCHANGED acknowledged
    IN
    /\ node[n].up /\ x.phase \in {"unknown", "fenced"}
    /\ IF ~mine
       THEN \* Taken over. What the fence has refused, or what is not in the row, will not happen any more.
            /\ node' = [node EXCEPT ![n] = Stopped(n)]
            /\ refused' = IF x.phase = "fenced" \/ row.batch < x.batch THEN refused \cup Range(x.write) ELSE refused
            /\ UNCHANGED <<writer, silent, acknowledged>>
       ELSE CASE Broken = "resolve_by_read" ->
                   \* A read may be answered by a server that has been replaced and does not know it.
                   /\ UNCHANGED <<writer, silent>>
                   /\ \E seen \in {row.batch, x.batch - 1} : end(seen, node[n].lease)
              [] Broken = "resolve_keeps_epoch" -> UNCHANGED writer /\ Changed(n) /\ end(row.batch, LeaseOf(n, 0))
              [] OTHER -> writer' = [writer EXCEPT ![n].epoch = raised] /\ Changed(n) /\ end(row.batch, LeaseOf(n, 0))
    /\ UNCHANGED <<shard, data, late, spent>>

\* A write of Resolve whose answer was lost, or which is late. Here it may come even when nothing was unknown.
ResolveLate(n) ==
  /\ writer[n].owner = node[n].process
  /\ spent.faults < FaultsMax /\ Spend("faults")
  /\ writer' = [writer EXCEPT ![n].epoch = @ + 1]
  /\ Changed(n)
  /\ UNCHANGED <<shard, data, late, node, clients>>

-------------------------------------------------------------------------------
(* Being alive. *)

Beat(n) ==
  /\ node[n].up /\ node[n].owns # {}
  /\ IF writer[n].owner = node[n].process
     THEN Changed(n) /\ node' = [node EXCEPT ![n].lease = 0]
     ELSE \* Taken over. A statement on its way is Resolve's.
          node[n].statement = {} /\ node' = [node EXCEPT ![n] = Stopped(n)] /\ UNCHANGED silent
  /\ UNCHANGED <<tables, late, clients, spent>>

Die(n) ==
  /\ node[n].up /\ spent.faults < FaultsMax /\ Spend("faults")
  /\ late' = late \cup {[x EXCEPT !.age = 0] : x \in {y \in node[n].statement : y.phase = "sent"}}
  /\ node' = [node EXCEPT ![n] = Stopped(n)]
  /\ UNCHANGED <<tables, silent, clients>>

\* Another process of the node claims its row, whoever has it: the one before is dead.
Start(n) ==
  /\ ~node[n].up /\ node[n].process <= RestartsMax
  /\ LET process == node[n].process + 1 IN
     /\ writer' = [writer EXCEPT ![n].epoch = @ + 1, ![n].owner = process]
     /\ Changed(n)
     /\ node' = [node EXCEPT ![n] = [Stopped(n) EXCEPT
          !.process = process, !.up = TRUE, !.epoch = writer[n].epoch + 1, !.batch = writer[n].batch]]
  /\ UNCHANGED <<shard, data, late, clients, spent>>

\* What a node reads of a shard. A server that has been replaced, and does not know it, would show what once was.
Loaded(s) == IF Broken = "load_from_replaced" THEN {SubSeq(data[s], 1, i) : i \in 0..Len(data[s])} ELSE {data[s]}

\* Runs a shard that is its writer's, by what the table says, unless it is about to give it away.
Adopt(n, s) ==
  /\ node[n].up /\ shard[s] = n /\ s \notin node[n].owns
  /\ \A x \in node[n].statement : x.shard # s
  /\ \E read \in Loaded(s) : node' = [node EXCEPT ![n].owns = @ \cup {s}, ![n].cache[s] = read]
  /\ UNCHANGED <<database, clients, spent>>

-------------------------------------------------------------------------------
(* Taking over. *)

Silent(w) == silent[w] >= IF Broken = "takeover_early" THEN Lease - 1 ELSE Lease

\* The variants in which a node moves the shards of writers whose epoch it has raised itself.
Remembering == {"takeover_keeps_owner", "move_unchecked", "move_by_raiser"}

\* The row is as it was seen for a whole lease. Its owner goes too, or the old process would raise the epoch again.
Raise(n, w) ==
  /\ node[n].up /\ n # w /\ writer[w].owner # 0 /\ Silent(w)
  /\ \E s \in Shard : shard[s] = w
  /\ spent.takeovers < TakeOversMax /\ Spend("takeovers")
  /\ writer' = [writer EXCEPT ![w].epoch = @ + 1, ![w].owner = IF Broken = "takeover_keeps_owner" THEN @ ELSE 0]
  /\ node' = IF Broken \in Remembering THEN [node EXCEPT ![n].raised = @ \cup {w}] ELSE node
  /\ Changed(w)
  /\ UNCHANGED <<shard, data, late, clients>>

\* The row of the old writer has no owner, in the transaction that moves the shard: it may have started again.
Free(n, w) ==
  CASE Broken = "move_before_raise" -> writer[w].owner = 0 \/ Silent(w)
    [] Broken \in {"takeover_keeps_owner", "move_unchecked"} -> w \in node[n].raised
    [] Broken = "move_by_raiser" -> writer[w].owner = 0 /\ w \in node[n].raised
    [] OTHER -> writer[w].owner = 0

Move(n, s) ==
  /\ node[n].up /\ shard[s] # n
  /\ Free(n, shard[s])
  /\ shard' = [shard EXCEPT ![s] = n]
  /\ \E read \in Loaded(s) : node' = [node EXCEPT ![n].owns = @ \cup {s}, ![n].cache[s] = read]
  /\ UNCHANGED <<writer, data, late, silent, clients, spent>>

-------------------------------------------------------------------------------
OfNode(n) ==
  \/ CarryOut(n) \/ Answered(n) \/ Resolve(n) \/ Beat(n)
  \/ \E s \in Shard : Adopt(n, s) \/ Move(n, s)
  \/ \E w \in Node : Raise(n, w)

Next ==
  \/ Tick
  \/ CarryOutLate
  \/ \E n \in Node :
       \/ OfNode(n) \/ Lose(n) \/ ResolveLate(n) \/ Die(n) \/ Start(n)
       \/ \E s \in Shard : Write(n, s) \/ \E to \in Node : Give(n, s, to) \/ GiveTooEarly(n, s, to)

Spec == Init /\ [][Next]_vars

\* Whoever is up and can do something does it one day. Nothing forces clients, faults and starts.
FairSpec ==
  /\ Spec
  /\ WF_vars(Tick)
  /\ \A n \in Node :
       /\ WF_vars(CarryOut(n)) /\ WF_vars(Answered(n)) /\ WF_vars(Resolve(n)) /\ WF_vars(Beat(n))
       /\ \A s \in Shard : WF_vars(Adopt(n, s)) /\ WF_vars(Move(n, s))
       /\ \A w \in Node : WF_vars(Raise(n, w))

-------------------------------------------------------------------------------
(* What must hold. The order of all writes to a shard is that of its data. *)

\* A node may answer a read of the shard from memory, which waits for no commit.
MayAnswer(n, s) == node[n].up /\ s \in node[n].owns /\ node[n].lease < Lease

Happened == UNION {Range(data[s]) : s \in Shard}

NothingLost == acknowledged \subseteq Happened

\* A client that was told that its write has not happened sends it again.
NothingTwice ==
  /\ refused \cap Happened = {}
  /\ \A s \in Shard : Cardinality(Range(data[s])) = Len(data[s])

\* A read answers what the database has, up to this node's own commit that nobody was told of yet. So it is no older
\* than any answer before it.
NothingStale ==
  \A n \in Node, s \in Shard : MayAnswer(n, s) =>
    \/ node[n].cache[s] = data[s]
    \/ \E x \in node[n].statement : x.shard = s /\ data[s] = x.before \o x.write

\* Only the node whom the database says to own the shard answers for it; so there are never two.
OneOwner ==
  \A n \in Node, s \in Shard : MayAnswer(n, s) => shard[s] = n /\ writer[n].owner = node[n].process

\* Each commit builds on all that were before it.
WritesBuild == [][\A s \in Shard : IsPrefix(data[s], data'[s])]_data

\* A commit of a process that has lost its writer has no effect, nor has one to a shard that is another's.
OnlyOwnersCommit ==
  [][\A s \in Shard : data'[s] # data[s] =>
       LET write == Last(data'[s]) IN shard[s] = write.by /\ writer[write.by].owner = write.process]_data

\* While any node goes on that has its writer, each shard is run by one in the end.
Working(n) == node[n].up /\ writer[n].owner = node[n].process
ShardsAreServed ==
  <>[]((\E n \in Node : Working(n)) => \A s \in Shard : \E n \in Node : Working(n) /\ s \in node[n].owns)
===============================================================================

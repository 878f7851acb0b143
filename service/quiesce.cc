#include "service/quiesce.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "actors/executor/clock.h"
#include "service/open_streams.h"

namespace holdfast::service {
namespace {

// The time between two looks at gRPC, which tells nobody of its progress.
constexpr absl::Duration kStep = absl::Milliseconds(5);
// A connection whose input is held has come to rest when this many looks in a row find it unchanged: a thread of gRPC
// may have read bytes and not looked at them yet.
constexpr int kLooks = 4;
// A call that is open on a held connection for longer than this may need the rest of its request.
constexpr absl::Duration kHeldMax = absl::Milliseconds(100);
// The time for which a connection is released: a client repeats dropped bytes after at least 200 ms.
constexpr absl::Duration kReleased = absl::Milliseconds(250);

struct Progress {
  bool held = false;
  bool quiet = false;
  absl::Time until = absl::InfinitePast();  // the time at which the connection is released, or held again
  StreamCounts streams;
  int looks = 0;
};

void Look(Connections* connections, const std::string& peer, const StreamCounts& streams, absl::Time now,
          Progress* progress) {
  if (!progress->held && now >= progress->until) {
    // If the system can't hold the connection's input, the connection may still be found without calls.
    connections->HoldInput(peer);
    progress->held = true;
    progress->until = now + kHeldMax;
    progress->looks = 0;
  } else if (progress->held) {
    const bool same = streams == progress->streams && !connections->HasUnread(peer);
    progress->looks = same ? progress->looks + 1 : 0;
    const bool rests = progress->looks >= kLooks;
    const bool idle = streams.begun == streams.ended;
    progress->quiet = rests && idle;
    // With many connections the looks are further apart, so an idle one stays held until it is found at rest.
    if (!idle && (rests || now >= progress->until)) {
      connections->ReleaseInput(peer);
      progress->held = false;
      progress->until = now + kReleased;
    }
  }
  progress->streams = streams;
}

}  // namespace

int Quiesce(Connections* connections, absl::Duration time_max) {
  absl::flat_hash_map<std::string, Progress> all;
  const absl::Time until = actors::SteadyNow() + time_max;
  while (true) {
    const auto counts = CountStreams();
    const absl::Time now = actors::SteadyNow();
    int busy = 0;
    for (const std::string& peer : connections->AllOpen()) {
      const auto streams = counts.find(peer);
      Progress& progress = all[peer];
      if (progress.quiet) continue;
      Look(connections, peer, streams == counts.end() ? StreamCounts() : streams->second, now, &progress);
      if (!progress.quiet) ++busy;
    }
    if (busy == 0) return 0;
    if (now >= until) {
      for (const auto& [peer, progress] : all) {
        if (!progress.held) connections->HoldInput(peer);
      }
      return busy;
    }
    absl::SleepFor(kStep);
  }
}

}  // namespace holdfast::service
